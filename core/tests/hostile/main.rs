//! Hostile and crowded clients on real sockets: each attack is bounded in time and count, and each
//! test shows that a bystander is answered meanwhile and that the memory held stays under a bound.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod crowds;
mod raw;
mod scene;
