//! Nothing but the suites under `tests/`.
