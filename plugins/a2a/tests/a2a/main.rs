//! The plugin on a test host, with an engine and executors of the tests' own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "what `json!` makes is handed on")]

mod asking;
mod bad_peers;
mod bad_receivers;
mod bad_streams;
mod carding;
mod chatting;
mod drawing;
mod failing;
mod fuzzing;
mod http;
mod interleaving;
mod judge;
mod limits;
mod listening;
#[path = "../../types/tests/official/mod.rs"]
mod official;
mod peer;
mod pushing;
mod resting;
mod scene;
mod sending;
mod sheet;
mod streaming;
mod surviving;
mod tls;
mod turning;

use carport_a2a as _;
