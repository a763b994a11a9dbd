//! Real processes under a real shim, and what the disk may do to a manifest.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_disks;
mod commands;
mod endings;
mod losses;
mod machine;
mod manifest;
mod moments;
mod output;
mod specs;
mod starts;
mod tails;
mod unkillable;
mod world;

use std::path::PathBuf;

/// The program that runs the shim.
fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_carport-agents-process-helper").into()
}

/// A world in a directory that goes with it.
fn world() -> (world::World, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (world::World::at(directory.path().into(), helper()), directory)
}
