//! When a post is repeated.

use std::time::Duration;

use carport_core::Time;
use chrono::DateTime;

/// Posts after the first one.
pub const MAX_RETRIES: u32 = 5;

/// The longest that a receiver may ask to wait.
const MOST_WAIT: Duration = Duration::from_secs(60);

/// How a post went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// There was no answer: refused, reset, timed out.
    NoAnswer,
    /// There was one, with this status, and perhaps a wish for how long to wait.
    Answer(u16, Option<Duration>),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Delivered,
    /// Once more after this time.
    Again(Duration),
    /// Never again; the next one may do better.
    GiveUp,
    /// The receiver is gone for good.
    Forget,
}

/// Judges the post that came after `retries` others. `chance` from 0 to 1 spreads the waits by 20 %.
pub fn judge(attempt: Attempt, retries: u32, chance: f64) -> Verdict {
    let wish = match attempt {
        Attempt::Answer(200..=299, _) => return Verdict::Delivered,
        Attempt::Answer(410, _) => return Verdict::Forget,
        Attempt::Answer(408 | 425 | 429 | 500..=599, wish) => wish,
        Attempt::Answer(..) => return Verdict::GiveUp,
        Attempt::NoAnswer => None,
    };
    if retries >= MAX_RETRIES {
        return Verdict::GiveUp;
    }
    let spread = 1.0 + 0.2 * (2.0 * chance.clamp(0.0, 1.0) - 1.0);
    let own = Duration::from_secs(1 << retries).mul_f64(spread);
    Verdict::Again(own.max(wish.unwrap_or_default().min(MOST_WAIT)))
}

/// The value of a header `Retry-After`: seconds, or a date.
pub fn parse_retry_after(value: &str, now: Time) -> Option<Duration> {
    let value = value.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(value).ok()?.to_utc();
            Some((until - *now).to_std().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_retries_wait_longer_and_longer() {
        let waits: Vec<_> = (0..7).map(|n| judge(Attempt::NoAnswer, n, 0.5)).collect();
        let secs = |s| Verdict::Again(Duration::from_secs(s));
        let give_up = Verdict::GiveUp;
        assert_eq!(waits, [secs(1), secs(2), secs(4), secs(8), secs(16), give_up, give_up]);
    }

    #[test]
    fn the_status_decides() {
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (204, Verdict::Delivered),
            (301, Verdict::GiveUp),
            (307, Verdict::GiveUp),
            (400, Verdict::GiveUp),
            (401, Verdict::GiveUp),
            (404, Verdict::GiveUp),
            (410, Verdict::Forget),
        ] {
            assert_eq!(judge(Attempt::Answer(status, None), 0, 0.5), verdict, "{status}");
        }
        for status in [408, 425, 429, 500, 503, 599] {
            let verdict = judge(Attempt::Answer(status, None), 0, 0.5);
            assert_eq!(verdict, Verdict::Again(Duration::from_secs(1)), "{status}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_minute_at_most() {
        let now = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().to_utc().into();
        let wait = |value| match judge(Attempt::Answer(503, parse_retry_after(value, now)), 0, 0.5)
        {
            Verdict::Again(wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait("30"), 30);
        assert_eq!(wait("3600"), 60);
        assert_eq!(wait("0"), 1);
        assert_eq!(wait("soon"), 1);
        assert_eq!(wait("Thu, 01 Jan 2026 00:00:20 GMT"), 20);
        assert_eq!(wait("Wed, 31 Dec 2025 00:00:00 GMT"), 1);
    }

    proptest! {
        #[test]
        fn waits_are_spread_by_a_fifth(retries in 0..5_u32, chance in 0.0..=1.0) {
            let Verdict::Again(wait) = judge(Attempt::NoAnswer, retries, chance) else {
                return Err(TestCaseError::fail("gives up"));
            };
            let whole = f64::from(1 << retries);
            let seconds = wait.as_secs_f64();
            prop_assert!(seconds >= whole * 0.799 && seconds <= whole * 1.201);
        }
    }
}
