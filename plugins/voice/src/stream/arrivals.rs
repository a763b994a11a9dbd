//! When which part of a stream came in.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Moments that are kept: 100 s at one each 50 ms.
const MOST: usize = 2048;
/// Sound that shares a moment.
const TOGETHER_MS: u64 = 50;

/// Positions and the moments at which they were reached.
#[derive(Debug, Default)]
pub(crate) struct Arrivals(VecDeque<(u64, Instant)>);

impl Arrivals {
    /// The stream reaches to this position now.
    pub(crate) fn note(&mut self, end_ms: u64, now: Instant) {
        let len = self.0.len();
        let before = len.checked_sub(2).map_or(0, |at| self.0[at].0);
        if len >= 2 && end_ms - before < TOGETHER_MS {
            self.0[len - 1] = (end_ms, now);
            return;
        }
        if len == MOST {
            self.0.pop_front();
        }
        self.0.push_back((end_ms, now));
    }

    /// How long ago this position was reached.
    pub(crate) fn since(&self, position_ms: u64, now: Instant) -> Duration {
        let at = self.0.partition_point(|(end_ms, _)| *end_ms < position_ms);
        let reached = self.0.get(at).or(self.0.back());
        reached.map_or(Duration::ZERO, |(_, then)| now.saturating_duration_since(*then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_as_old_as_the_push_that_reached_it() {
        let (began, mut arrivals) = (Instant::now(), Arrivals::default());
        let after = |ms| began + Duration::from_millis(ms);
        for push in 1..=10_000u64 {
            arrivals.note(push * 20, after(push * 20));
        }
        assert!(arrivals.0.len() <= MOST);
        for ago in [0, 400, 5000, 50_000] {
            let age = arrivals.since(200_000 - ago, after(200_000)).as_millis() as u64;
            assert!((ago.saturating_sub(60)..=ago).contains(&age), "{ago}: {age}");
        }
        assert_eq!(Arrivals::default().since(5, began), Duration::ZERO);
    }
}
