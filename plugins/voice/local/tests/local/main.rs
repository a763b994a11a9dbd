//! The models on recordings: what is heard, who speaks, and what is spoken.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod recognition;
mod speakers;
mod speech;
mod support;
