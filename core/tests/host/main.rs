//! The host on real frames over memory: every rule of the core, shown by a small plugin of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod added;
mod approvals;
mod auth;
mod calls;
mod events;
mod frames;
mod lab;
mod lifecycle;
mod registry;
mod subscriptions;
