//! What the daemon may call, and when again: which addresses and names are out of bounds, to whom
//! credentials go, how often a post is repeated, and how a stream of events is read.

mod address;
mod allow;
mod peer;
mod retry;
mod screen;
mod sse;
mod target;

pub use address::is_blocked;
pub use allow::{AllowList, BadEntry};
pub use peer::{choose_interface, slug};
pub use retry::{Attempt, MAX_RETRIES, Verdict, judge, parse_retry_after};
pub use screen::{Consent, Refusal, Screen};
pub use sse::{Event, EventReader, TooLong};
pub use target::{BadUrl, MAX_URL_BYTES, Target};
