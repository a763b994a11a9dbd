//! The last stretch of a stream's samples, addressed by position.

use std::ops::Range;

/// Samples from some position of the stream to its end so far.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    samples: Vec<f32>,
    /// The position of the first sample that is kept.
    start: u64,
}

impl Tape {
    /// Appends samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples.extend_from_slice(samples);
    }

    /// The position after the last sample.
    pub fn end(&self) -> u64 {
        self.start + self.samples.len() as u64
    }

    /// The samples of these positions, as far as they are kept.
    pub fn slice(&self, range: Range<u64>) -> &[f32] {
        let place =
            |position: u64| (position.saturating_sub(self.start) as usize).min(self.samples.len());
        &self.samples[place(range.start)..place(range.end.max(range.start))]
    }

    /// Lets go of what lies before a position. Memory moves only when that is as much as what stays, so
    /// that many calls cost no more than the samples.
    pub fn forget(&mut self, before: u64) {
        let count = (before.saturating_sub(self.start) as usize).min(self.samples.len());
        if count > 0 && count * 2 >= self.samples.len() {
            self.samples.drain(..count);
            self.start += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_stay_when_the_past_is_forgotten() {
        let mut tape = Tape::default();
        for step in 0..100u64 {
            tape.push(&[step as f32; 10]);
            tape.forget((step * 10).saturating_sub(35));
            let from = (step * 10).saturating_sub(35);
            let kept = tape.slice(from..tape.end());
            assert_eq!(kept.len() as u64, tape.end() - from);
            assert_eq!(kept.last(), Some(&(step as f32)));
            assert!(tape.samples.len() <= 100, "{}", tape.samples.len());
        }
        assert_eq!(tape.slice(0..5), [0.0; 0]);
        assert_eq!(tape.slice(990..u64::MAX).len(), 10);
        assert_eq!(tape.slice(2000..3000).len(), 0);
        assert_eq!(tape.end(), 1000);
    }
}
