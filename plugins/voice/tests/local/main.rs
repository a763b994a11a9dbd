//! The voice plugin with the models of this machine, on recordings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
