//! Rate limits: so many calls in any window of a given length.

use std::{collections::VecDeque, time::Duration};

use crate::tool::RateLimit;

/// The calls of the last window. Times are measured from any fixed moment and never go back.
#[derive(Debug, Clone)]
pub struct SlidingWindow {
    max_calls: usize,
    length: Duration,
    /// When each call of the window was made, oldest first.
    calls: VecDeque<Duration>,
}

impl SlidingWindow {
    /// Room for `max_calls` in any `interval_secs`; a length beyond what a duration holds is for ever.
    pub fn new(limit: RateLimit) -> Self {
        let length = Duration::try_from_secs_f64(limit.interval_secs).unwrap_or(Duration::MAX);
        Self { max_calls: limit.max_calls as usize, length, calls: VecDeque::new() }
    }

    /// Counts one call at `now`, or says how long to wait until there is room; `None` if there never is.
    pub fn take(&mut self, now: Duration) -> Result<(), Option<Duration>> {
        while self.calls.front().is_some_and(|call| self.end_of(*call).is_some_and(|it| it <= now))
        {
            self.calls.pop_front();
        }
        if self.calls.len() < self.max_calls {
            self.calls.push_back(now);
            return Ok(());
        }
        let free = self.calls.front().and_then(|call| self.end_of(*call));
        Err(free.map(|free| free.saturating_sub(now)))
    }

    /// Takes back a call that was counted at `then` and not made after all.
    pub fn give_back(&mut self, then: Duration) {
        if let Some(at) = self.calls.iter().rposition(|call| *call == then) {
            self.calls.remove(at);
        }
    }

    fn end_of(&self, call: Duration) -> Option<Duration> {
        call.checked_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(max_calls: u32, interval_secs: f64) -> SlidingWindow {
        SlidingWindow::new(RateLimit { max_calls, interval_secs })
    }

    #[test]
    fn a_window_slides() {
        let at = Duration::from_millis;
        let mut window = window(2, 1.0);
        assert_eq!((window.take(at(0)), window.take(at(600))), (Ok(()), Ok(())));
        assert_eq!(window.take(at(700)), Err(Some(at(300))));
        assert_eq!(window.take(at(1000)), Ok(()));
        assert_eq!(window.take(at(1500)), Err(Some(at(100))));
        window.give_back(at(1000));
        assert_eq!(window.take(at(1500)), Ok(()));
        assert_eq!(window.take(at(1500)), Err(Some(at(100))));
    }

    #[test]
    fn none_and_for_ever_are_limits_too() {
        assert_eq!(window(0, 1.0).take(Duration::ZERO), Err(None));
        let mut once = window(1, 1e300);
        assert_eq!(once.take(Duration::from_secs(1)), Ok(()));
        assert_eq!(once.take(Duration::from_secs(1 << 40)), Err(None));
    }

    proptest! {
        #[test]
        fn no_window_holds_more_and_no_call_is_refused_without_need(
            limit in 0..4u32, steps in prop::collection::vec(0..40u64, 0..60),
        ) {
            let mut window = window(limit, 0.1);
            let (mut now, mut made) = (0u64, Vec::new());
            for step in steps {
                now += step;
                let inside = made.iter().filter(|it| now - **it < 100).count();
                let taken = window.take(Duration::from_millis(now));
                prop_assert_eq!(taken.is_ok(), inside < limit as usize);
                if taken.is_ok() {
                    made.push(now);
                }
            }
        }
    }
}
