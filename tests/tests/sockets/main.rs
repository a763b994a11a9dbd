//! The real binary: processes, sockets, files, signals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_days;
mod clients;
mod commands;
mod daemon;
mod durability;
mod engine;
