//! How much sound a connection may send: a bucket that fills with time.

use std::time::Duration;

/// Bytes a second.
const RATE: u64 = 2 << 20;
/// Bytes at once.
const BURST: u64 = 8 << 20;

/// What a connection may still send. Times count from any fixed moment and never go back.
#[derive(Debug)]
pub(crate) struct Bucket {
    room: u64,
    at: Duration,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { room: BURST, at: Duration::ZERO }
    }
}

impl Bucket {
    /// Takes so many bytes, or tells in how many milliseconds there is room for them.
    pub(crate) fn take(&mut self, bytes: usize, now: Duration) -> Result<(), u64> {
        let bytes = bytes as u64;
        let gained =
            (now.saturating_sub(self.at).as_micros() as u64).saturating_mul(RATE) / 1_000_000;
        // What is too short to give a byte goes on counting.
        if gained > 0 {
            self.room = self.room.saturating_add(gained).min(BURST);
            self.at = now;
        }
        if bytes <= self.room {
            self.room -= bytes;
            return Ok(());
        }
        Err(((bytes - self.room) * 1000).div_ceil(RATE).max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = Bucket::default();
        for _ in 0..8 {
            assert_eq!(bucket.take(1 << 20, Duration::ZERO), Ok(()));
        }
        assert_eq!(bucket.take(1 << 20, Duration::ZERO), Err(500));
        assert_eq!(bucket.take(1 << 20, Duration::from_millis(499)), Err(2));
        assert_eq!(bucket.take(1 << 20, Duration::from_millis(501)), Ok(()));
        assert_eq!(bucket.take(0, Duration::from_millis(501)), Ok(()));
    }

    proptest! {
        #[test]
        fn no_more_passes_than_the_rate_allows(asks in prop::collection::vec((0usize..2 << 20, 0u64..900), 1..60)) {
            let (mut bucket, mut now, mut passed) = (Bucket::default(), 0, 0u64);
            for (bytes, wait) in asks {
                now += wait;
                let at = Duration::from_millis(now);
                if let Err(after) = bucket.take(bytes, at) {
                    now += after;
                    prop_assert_eq!(bucket.take(bytes, Duration::from_millis(now)), Ok(()));
                }
                passed += bytes as u64;
                prop_assert!(passed <= BURST + RATE * now / 1000);
            }
        }
    }
}
