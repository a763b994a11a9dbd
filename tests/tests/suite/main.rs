//! The whole build in one process: laws, conformance, goldens and transcripts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod discovery;
mod golden;
mod laws;
mod meetings;
mod peers_draw;
mod peers_lent;
mod peers_share;
mod peers_work;
mod transcripts;

// Links every plugin of the full build.
use carport as _;
