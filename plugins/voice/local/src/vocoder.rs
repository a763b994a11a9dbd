//! From what the voice's network predicts to a waveform, by inverse short-time Fourier transform.
//!
//! Each frame of 12.5 ms has a spectrum of 601 bins in three parts: pulses at the pitch through a filter,
//! shaped noise, and a part with phases of its own:
//! `S = exp(lh) exp(i pi tanh(theta)) STFT(pulses(f0)) + exp(ln) Z + exp(lr) exp(i phi)`.

use std::{f32::consts::PI, f64, ops::ControlFlow, sync::Arc};

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex32};

/// Samples a second.
pub(crate) const RATE: u32 = 24_000;
/// Samples of a window, and between two windows.
const WINDOW: usize = 1200;
pub(crate) const HOP: usize = 300;
const BINS: usize = WINDOW / 2 + 1;
/// Pitch below is no voice; harmonics above are left out. In Hz.
const LOWEST: f32 = 40.0;
const HIGHEST: f32 = 11_000.0;
/// The loudest a bin may be, as a logarithm.
const LOUDEST: f32 = 7.0;

/// What the network predicts for a sentence: each part has a row of frames for every bin.
pub(crate) struct Spectra {
    /// Logarithm of the filter's magnitude, and its phase before `pi tanh`.
    pub(crate) filter: [Vec<f32>; 2],
    /// Logarithm of the noise's magnitude.
    pub(crate) noise: Vec<f32>,
    /// Logarithm of the free part's magnitude, and its phase.
    pub(crate) free: [Vec<f32>; 2],
    /// Pitch of each frame, in Hz.
    pub(crate) pitch: Vec<f32>,
}

impl Spectra {
    /// Every part has its size.
    pub(crate) fn is_whole(&self) -> bool {
        let [a, b] = &self.filter;
        let [c, d] = &self.free;
        [a, b, &self.noise, c, d].iter().all(|it| it.len() == BINS * self.pitch.len())
    }

    /// Keeps the first frames only.
    pub(crate) fn cut(&mut self, frames: usize) {
        let all = self.pitch.len();
        let frames = frames.min(all);
        for part in self.parts() {
            *part = part.chunks_exact(all.max(1)).flat_map(|row| &row[..frames]).copied().collect();
        }
        self.pitch.truncate(frames);
    }

    /// Puts other frames, no more than there are, in the place of the first.
    pub(crate) fn begin_with(&mut self, first: &Self) {
        let (all, frames) = (self.pitch.len(), first.pitch.len());
        let [a, b] = &first.filter;
        let [c, d] = &first.free;
        for (part, first) in self.parts().into_iter().zip([a, b, &first.noise, c, d]) {
            for (row, first) in part.chunks_exact_mut(all).zip(first.chunks_exact(frames)) {
                row[..frames].copy_from_slice(first);
            }
        }
        self.pitch[..frames].copy_from_slice(&first.pitch);
    }

    fn parts(&mut self) -> [&mut Vec<f32>; 5] {
        let [a, b] = &mut self.filter;
        let [c, d] = &mut self.free;
        [a, b, &mut self.noise, c, d]
    }
}

/// The transforms, planned once.
pub(crate) struct Vocoder {
    window: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl Vocoder {
    pub(crate) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let turn = 2.0 * PI / WINDOW as f32;
        Self {
            window: (0..WINDOW).map(|i| 0.5 - 0.5 * (turn * i as f32).cos()).collect(),
            forward: planner.plan_fft_forward(WINDOW),
            inverse: planner.plan_fft_inverse(WINDOW),
        }
    }

    /// Makes the waveform, and hands out [`HOP`] samples for each frame as soon as no later frame changes
    /// them, until it is told to stop. The same seed gives the same samples.
    pub(crate) fn waveform(
        &self,
        spectra: &Spectra,
        seed: u64,
        mut out: impl FnMut(&[f32]) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let frames = spectra.pitch.len();
        let pulses = pulses(&spectra.pitch);
        let mut noise = Noise::new(seed);
        let mut sound = vec![0.0; (frames + 3) * HOP];
        let mut weight = vec![0.0; sound.len()];
        let mut piece = vec![0.0; WINDOW];
        let mut bins = self.forward.make_output_vec();
        for frame in 0..frames {
            for (i, sample) in piece.iter_mut().enumerate() {
                // A unit cosine has the height 1 in the spectrum.
                let scale = self.window[i] / (WINDOW as f32 / 4.0);
                *sample = mirrored(&pulses, frame * HOP + i) * scale;
            }
            self.forward.process(&mut piece, &mut bins).expect("buffers of the plan's lengths");
            shape(&mut bins, spectra, frame, &mut noise);
            self.inverse.process(&mut bins, &mut piece).expect("buffers of the plan's lengths");
            for (i, sample) in piece.iter().enumerate() {
                let window = self.window[i];
                sound[frame * HOP + i] += sample / WINDOW as f32 * window;
                weight[frame * HOP + i] += window * window;
            }
            // The first half of a window lies before the beginning.
            if frame * HOP >= WINDOW / 2 {
                out(&levelled(&sound, &weight, frame))?;
            }
        }
        (frames.max(WINDOW / 2 / HOP)..frames + WINDOW / 2 / HOP)
            .try_for_each(|hop| out(&levelled(&sound, &weight, hop)))
    }
}

/// One hop of the sum of windows, brought to the height of the sound.
fn levelled(sound: &[f32], weight: &[f32], hop: usize) -> [f32; HOP] {
    let of = |it: &[f32], i: usize| it.get(hop * HOP + i).copied().unwrap_or_default();
    std::array::from_fn(|i| (of(sound, i) / of(weight, i).max(1e-11)).clamp(-1.0, 1.0))
}

/// The spectrum of one frame, from that of its pulses.
fn shape(bins: &mut [Complex32], spectra: &Spectra, frame: usize, noise: &mut Noise) {
    let frames = spectra.pitch.len();
    let height = |log: f32| log.min(LOUDEST).exp();
    for (bin, value) in bins.iter_mut().enumerate() {
        let i = bin * frames + frame;
        let phase = spectra.filter[1][i].tanh() * PI;
        let filter = Complex32::from_polar(height(spectra.filter[0][i]), phase);
        let free = Complex32::from_polar(height(spectra.free[0][i]), spectra.free[1][i]);
        *value = *value * filter + noise.next() * height(spectra.noise[i]) + free;
    }
    // These two of a real signal have no imaginary part.
    bins[0].im = 0.0;
    bins[BINS - 1].im = 0.0;
}

/// The sample at a place that begins half a window before the first; the ends are mirrored.
fn mirrored(samples: &[f32], place: usize) -> f32 {
    let last = samples.len() as isize - 1;
    let mut place = (place as isize - WINDOW as isize / 2).abs();
    if place > last {
        place = 2 * last - place;
    }
    samples[place.clamp(0, last) as usize]
}

/// A band-limited train of pulses: every harmonic of the pitch up to 11 kHz at height 1, by the closed
/// form `sum cos(h t) = sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2`. Nothing where there is no pitch.
fn pulses(pitch: &[f32]) -> Vec<f32> {
    let frames = pitch.len() as isize;
    let at = |frame: isize| pitch[frame.clamp(0, frames - 1) as usize];
    let mut train = Vec::with_capacity(pitch.len() * HOP);
    let mut phase = 0.0f64;
    for frame in 0..frames {
        for i in 0..HOP {
            // Pitch is known in the middle of frames; between them it goes straight.
            let aside = (i as f32 + 0.5) / HOP as f32 - 0.5;
            let other = if aside < 0.0 { at(frame - 1) } else { at(frame + 1) };
            let hz = at(frame) * (1.0 - aside.abs()) + other * aside.abs();
            let voiced = hz > LOWEST;
            let hz = hz.max(LOWEST);
            phase = (phase + f64::from(hz) / f64::from(RATE)).fract();
            let turn = (phase * 2.0 * f64::consts::PI) as f32;
            let harmonics = (HIGHEST / hz).floor() + 0.5;
            let divisor = 2.0 * (turn * 0.5).sin();
            train.push(match voiced {
                false => 0.0,
                true if divisor.abs() <= 2e-3 => harmonics - 0.5,
                true => (harmonics * turn).sin() / divisor - 0.5,
            });
        }
    }
    train
}

/// Normal noise of variance 1 in both parts: SplitMix64 and the transform of Box and Muller.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 40) as f32 + 0.5) / (1u32 << 24) as f32
    }

    fn next(&mut self) -> Complex32 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        Complex32::from_polar(radius, 2.0 * PI * self.uniform())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(vocoder: &Vocoder, spectra: &Spectra, seed: u64) -> Vec<f32> {
        let mut made = Vec::new();
        let flow = vocoder.waveform(spectra, seed, |hop| {
            made.extend_from_slice(hop);
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
        made
    }

    fn spectra(frames: usize, filter: f32, noise: f32) -> Spectra {
        let part = |value: f32| vec![value; BINS * frames];
        Spectra {
            filter: [part(filter), part(0.0)],
            noise: part(noise),
            free: [part(-50.0), part(0.0)],
            pitch: vec![200.0; frames],
        }
    }

    #[test]
    fn a_flat_filter_gives_the_pulses_back() {
        let spectra = spectra(40, (WINDOW as f32 / 4.0).ln(), -50.0);
        let made = whole(&Vocoder::new(), &spectra, 1);
        let pulses = pulses(&spectra.pitch);
        assert_eq!(made.len(), 40 * HOP);
        // Away from the ends, and where nothing was cut at full scale.
        for (made, pulse) in made.iter().zip(&pulses).skip(1200).take(9000) {
            assert!((made - pulse.clamp(-1.0, 1.0)).abs() < 2e-3, "{made} {pulse}");
        }
    }

    #[test]
    fn pulses_come_at_the_pitch_and_not_without_one() {
        let train = pulses(&[200.0; 20]);
        let peaks = train.iter().filter(|it| **it > 40.0).count();
        assert!((49..=51).contains(&peaks), "50 periods in 250 ms: {peaks}");
        assert!(pulses(&[0.0; 4]).iter().all(|it| *it == 0.0));
    }

    #[test]
    fn a_seed_decides_the_noise() {
        let spectra = spectra(10, -50.0, 0.0);
        let vocoder = Vocoder::new();
        let made = |seed| whole(&vocoder, &spectra, seed);
        assert_eq!(made(7), made(7));
        assert_ne!(made(7), made(8));
        let (mut noise, mut sum, mut square) = (Noise::new(3), 0.0f64, 0.0f64);
        for _ in 0..50_000 {
            let next = noise.next();
            sum += f64::from(next.re + next.im);
            square += f64::from(next.norm_sqr());
        }
        assert!((sum / 100_000.0).abs() < 0.02 && (square / 100_000.0 - 1.0).abs() < 0.02);
    }

    #[test]
    fn nothing_is_made_after_a_stop_and_what_was_handed_out_is_final() {
        let (vocoder, spectra) = (Vocoder::new(), spectra(100, 0.0, 0.0));
        let (all, mut some) = (whole(&vocoder, &spectra, 1), Vec::new());
        let flow = vocoder.waveform(&spectra, 1, |hop| {
            some.extend_from_slice(hop);
            if some.len() < 5 * HOP { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(flow.is_break() && some == all[..5 * HOP]);
        for frames in 0..4 {
            let made = whole(&vocoder, &self::spectra(frames, 0.0, 0.0), 1);
            assert_eq!(made.len(), frames * HOP);
        }
    }
}
