//! Asking agents of others: which addresses and names are out of bounds, to whom credentials go, how often a post
//! is repeated, and how cards, answers and streams are read. Whatever carries the requests is the caller's.

mod address;
mod agent;
mod allow;
mod ask;
mod card;
mod carrier;
mod failure;
mod gathered;
mod peer;
mod retry;
mod screen;
mod sse;
mod target;

pub use address::is_blocked;
pub use agent::{ANSWER_BYTES, Agent, Events, within_bounds};
pub use allow::{AllowList, BadEntry};
pub use ask::Ask;
pub use card::{CARD_BYTES, find_card};
pub use carrier::{Carrier, Pieces, Reply, Request};
pub use failure::{Failure, Unmet};
pub use gathered::Gathered;
pub use peer::{choose_interface, slug};
pub use retry::{Attempt, MAX_RETRIES, Verdict, judge, parse_retry_after};
pub use screen::{Consent, Refusal, Screen};
pub use sse::{Event, EventReader, TooLong};
pub use target::{BadUrl, MAX_URL_BYTES, Target};
