//! When speech is taken to begin and to end.

use super::FRAME_MS;

/// Options of a stream's endpointing, in milliseconds; the threshold is a score of 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VadOptions {
    /// From this score on a frame is speech. Once speech began, 0.15 less is enough to stay.
    pub threshold: f32,
    /// So much speech in a row begins a segment.
    pub start_ms: u32,
    /// So much sound before the onset belongs to the segment.
    pub preroll_ms: u32,
    /// After so much silence the text is probably final.
    pub eager_ms: u32,
    /// After so much silence the segment ends.
    pub end_ms: u32,
    /// No segment is longer.
    pub max_segment_ms: u32,
    /// The time between two partial texts.
    pub partial_ms: u32,
}

impl Default for VadOptions {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            start_ms: 64,
            preroll_ms: 320,
            eager_ms: 200,
            end_ms: 500,
            max_segment_ms: 20_000,
            partial_ms: 400,
        }
    }
}

impl VadOptions {
    /// Each within its bounds: threshold 0.1..=0.9 (no number: 0.5), start 16..=1000, preroll 0..=1000,
    /// end 200..=5000, eager up to `end_ms`, segment 2000..=30000, partial 100..=5000.
    #[must_use]
    pub fn clamped(self) -> Self {
        let end_ms = self.end_ms.clamp(200, 5000);
        let threshold = if self.threshold.is_nan() { 0.5 } else { self.threshold };
        Self {
            threshold: threshold.clamp(0.1, 0.9),
            start_ms: self.start_ms.clamp(FRAME_MS, 1000),
            preroll_ms: self.preroll_ms.min(1000),
            eager_ms: self.eager_ms.clamp(FRAME_MS, end_ms),
            end_ms,
            max_segment_ms: self.max_segment_ms.clamp(2000, 30_000),
            partial_ms: self.partial_ms.clamp(100, 5000),
        }
    }

    /// The score that is enough once speech began.
    pub(super) fn stay(&self) -> f32 {
        (self.threshold - 0.15).max(0.05)
    }
}

/// Milliseconds as frames, rounded up, one at least.
pub(super) fn frames(ms: u32) -> u64 {
    u64::from(ms.div_ceil(FRAME_MS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_clamped() {
        let low = VadOptions {
            threshold: -1.0,
            start_ms: 0,
            preroll_ms: 0,
            eager_ms: 0,
            end_ms: 0,
            max_segment_ms: 0,
            partial_ms: 0,
        };
        let low = low.clamped();
        assert_eq!((low.threshold, low.start_ms, low.eager_ms, low.end_ms), (0.1, 16, 16, 200));
        assert_eq!((low.max_segment_ms, low.partial_ms), (2000, 100));
        let high = VadOptions {
            threshold: 9.0,
            start_ms: u32::MAX,
            preroll_ms: u32::MAX,
            eager_ms: u32::MAX,
            end_ms: u32::MAX,
            max_segment_ms: u32::MAX,
            partial_ms: u32::MAX,
        };
        let high = high.clamped();
        assert_eq!((high.threshold, high.start_ms, high.preroll_ms), (0.9, 1000, 1000));
        assert_eq!((high.eager_ms, high.end_ms), (5000, 5000));
        assert_eq!((high.max_segment_ms, high.partial_ms), (30_000, 5000));
        let nan = VadOptions { threshold: f32::NAN, ..VadOptions::default() };
        assert_eq!(nan.clamped(), VadOptions::default());
    }

    #[test]
    fn eager_never_comes_after_the_end() {
        let options = VadOptions { eager_ms: 900, end_ms: 300, ..VadOptions::default() };
        assert_eq!(options.clamped().eager_ms, 300);
    }
}
