//! How loud sound is, and whether it clips.

/// Samples at full scale in a row, from which on a channel counts as clipped.
const RUN: u32 = 3;
/// Full scale, a little below 1 because 16 bit reach 32767/32768 only.
const FULL: f32 = 0.9999;
/// What silence is called, in decibels.
const FLOOR_DB: f32 = -100.0;

/// What a [`Meter`] saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Root mean square in decibels of full scale, -100.0..=0.0.
    pub db: f32,
    /// Three samples at full scale came in a row in one channel.
    pub clipped: bool,
}

/// Measures the level of what passes between two looks.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    squares: f64,
    samples: u64,
    runs: [u32; 2],
    clipped: bool,
}

impl Meter {
    /// Takes in samples, interleaved if there are two channels.
    pub fn push(&mut self, samples: &[f32], channels: u16) {
        let channels = usize::from(channels.clamp(1, 2));
        for frame in samples.chunks(channels) {
            for (sample, run) in frame.iter().zip(&mut self.runs) {
                self.squares += f64::from(*sample).powi(2);
                *run = if sample.abs() >= FULL { *run + 1 } else { 0 };
                self.clipped |= *run >= RUN;
            }
        }
        self.samples += samples.len() as u64;
    }

    /// The level since the last look.
    pub fn take(&mut self) -> Level {
        let power = self.squares / self.samples.max(1) as f64;
        let level = Level { db: decibels(power), clipped: self.clipped };
        *self = Self { runs: self.runs, ..Self::default() };
        level
    }
}

fn decibels(power: f64) -> f32 {
    ((10.0 * power.max(1e-12).log10()) as f32).clamp(FLOOR_DB, 0.0)
}

/// The level of a whole sound in decibels of full scale, -100.0..=0.0.
pub fn level_db(samples: &[f32]) -> f32 {
    let squares: f64 = samples.iter().map(|it| f64::from(*it).powi(2)).sum();
    decibels(squares / samples.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    #[test]
    fn a_sine_at_half_scale_is_nine_decibels_down() {
        let sine: Vec<f32> = (0..1600).map(|i| (i as f32 * 0.1 * TAU).sin() * 0.5).collect();
        let mut meter = Meter::default();
        meter.push(&sine, 1);
        let level = meter.take();
        assert!((level.db + 9.03).abs() < 0.05, "{level:?}");
        assert!(!level.clipped);
        assert_eq!(meter.take(), Level { db: -100.0, clipped: false });
        assert!((level_db(&sine) + 9.03).abs() < 0.05);
    }

    #[test]
    fn clipping_is_three_in_a_row_in_one_channel() {
        let clipped = |samples: &[f32], channels| {
            let mut meter = Meter::default();
            meter.push(samples, channels);
            meter.take().clipped
        };
        assert!(!clipped(&[1.0, -1.0, 0.5, 1.0, 1.0], 1));
        assert!(clipped(&[0.1, 1.0, 1.0, 1.0], 1));
        assert!(!clipped(&[1.0, 0.0, 1.0, 0.0, 0.0, 1.0], 2));
        assert!(clipped(&[1.0, 0.0, 1.0, 0.0, -1.0, 0.1], 2));
        let mut split = Meter::default();
        split.push(&[1.0, 1.0], 1);
        assert!(!split.take().clipped);
        split.push(&[1.0], 1);
        assert!(split.take().clipped, "a run goes on over a look");
    }
}
