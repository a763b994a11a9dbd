//! Mel power of sound, as the voice encoder learned it: no logarithm, 40 bands, a frame every 10 ms.

use std::{f32::consts::PI, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex};

const RATE: f32 = 16_000.0;
/// Samples of a window, and between two windows.
const WINDOW: usize = 400;
const HOP: usize = 160;
const BINS: usize = WINDOW / 2 + 1;
/// Bands.
pub(super) const BANDS: usize = 40;

/// The transform and the bands, made once.
pub(super) struct Mel {
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    /// For each band, the weight of each bin.
    bands: Vec<[f32; BINS]>,
}

impl Mel {
    pub(super) fn new() -> Self {
        let turn = 2.0 * PI / WINDOW as f32;
        Self {
            window: (0..WINDOW).map(|i| 0.5 - 0.5 * (turn * i as f32).cos()).collect(),
            forward: RealFftPlanner::new().plan_fft_forward(WINDOW),
            bands: bands(),
        }
    }

    /// One row of bands for each frame; frame `n` has its middle at sample `160 n`, and beyond the ends
    /// there is silence.
    pub(super) fn frames(&self, samples: &[f32]) -> Vec<[f32; BANDS]> {
        let mut piece = vec![0.0; WINDOW];
        let mut bins = self.forward.make_output_vec();
        let mut frames = Vec::with_capacity(samples.len() / HOP + 1);
        for frame in 0..=samples.len() / HOP {
            for (i, value) in piece.iter_mut().enumerate() {
                let place = (frame * HOP + i).checked_sub(WINDOW / 2);
                let sample = place.and_then(|it| samples.get(it)).copied().unwrap_or(0.0);
                *value = sample * self.window[i];
            }
            // Sizes are those that the transform asked for, so it has no reason to refuse.
            if self.forward.process(&mut piece, &mut bins).is_err() {
                continue;
            }
            let power: Vec<f32> = bins.iter().map(|it| it.norm_sqr()).collect();
            let mut row = [0.0; BANDS];
            for (value, band) in row.iter_mut().zip(&self.bands) {
                *value = power.iter().zip(band).map(|(power, weight)| power * weight).sum();
            }
            frames.push(row);
        }
        frames
    }
}

/// Triangles on the scale of Slaney's Auditory Toolbox, each with the area 1: straight up to 1 kHz
/// (200/3 Hz a step), then logarithmic (27 steps for a factor of 6.4). Their edges reach from 0 Hz to 8 kHz.
fn bands() -> Vec<[f32; BINS]> {
    const STEP: f32 = 200.0 / 3.0;
    const BEND: f32 = 1000.0;
    let log_step = 6.4f32.ln() / 27.0;
    let to_mel = |hz: f32| match hz < BEND {
        true => hz / STEP,
        false => BEND / STEP + (hz / BEND).ln() / log_step,
    };
    let to_hz = |mel: f32| match mel < BEND / STEP {
        true => mel * STEP,
        false => BEND * (log_step * (mel - BEND / STEP)).exp(),
    };
    let top = to_mel(RATE / 2.0);
    let edge = |i: usize| to_hz(top * i as f32 / (BANDS + 1) as f32);
    let band = |i: usize| {
        let (low, middle, high) = (edge(i), edge(i + 1), edge(i + 2));
        std::array::from_fn(|bin| {
            let hz = bin as f32 * RATE / WINDOW as f32;
            let height = ((hz - low) / (middle - low)).min((high - hz) / (high - middle));
            height.max(0.0) * 2.0 / (high - low)
        })
    };
    (0..BANDS).map(band).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_lies_in_its_band() {
        let mel = Mel::new();
        for (hz, band) in [(440.0, 5), (1000.0, 13), (4000.0, 31)] {
            let tone: Vec<f32> =
                (0..16_000).map(|i| (i as f32 / RATE * hz * 2.0 * PI).sin()).collect();
            let frames = mel.frames(&tone);
            assert_eq!(frames.len(), 101);
            let row = frames[50];
            let loudest = (0..BANDS).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
            assert!(loudest.abs_diff(band) <= 1, "{hz} Hz is in band {loudest}");
        }
    }

    #[test]
    fn bands_overlap_without_a_gap() {
        let bands = bands();
        for bin in 3..BINS - 3 {
            let sum: f32 = bands.iter().map(|it| it[bin]).sum();
            assert!(sum > 0.0, "bin {bin} is heard by no band");
        }
        assert_eq!(Mel::new().frames(&[]).len(), 1);
    }
}
