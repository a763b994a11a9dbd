//! Tools for agents that the daemon runs itself: files within one directory, and a calculator.
