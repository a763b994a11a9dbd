//! The real binary: processes, sockets, files, signals.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod a2a;
mod a2a_commands;
mod a2a_crash;
mod a2a_many;
mod a2a_secrets;
mod agents;
mod agents_bad_days;
mod bad_days;
mod bad_disks;
mod clients;
mod commands;
mod crash;
mod daemon;
mod engine;
mod example_agents;
mod meetings;
mod meetings_commands;
mod meetings_crash;
mod meetings_many;
mod memory;
mod memory_crash;
mod memory_learning;
mod subtitles;
mod surfaces;
mod talk;
