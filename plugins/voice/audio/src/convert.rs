//! From a client's bytes to 16 kHz mono, in pieces of any size.

use rubato::{
    Async, FixedAsync, Indexing, Resampler as _, SincInterpolationParameters,
    SincInterpolationType, WindowFunction, audioadapter_buffers::direct::SequentialSlice,
};

use crate::{Format, FormatError, Level, Meter, RATE, format::bounded};

/// Taps of the filter. With this window everything below 6.9 kHz of 16 kHz passes at 48 kHz in.
const TAPS: usize = 256;
/// The resampler works on so many blocks a second.
const BLOCKS_A_SECOND: u32 = 100;

/// Which of two channels is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mix {
    /// The mean of all channels.
    #[default]
    Down,
    /// One channel only, counted from 0; a channel that is not there is silent.
    Channel(u16),
}

/// Turns pushed bytes into mono samples of 16 kHz, within -1..=1.
///
/// State is kept from push to push, so that how a stream is cut has no influence on its samples, and the
/// sample at place `n` is the sound at `n / 16000` s, to the sample.
pub struct Converter {
    format: Format,
    mix: Mix,
    meter: Meter,
    resampler: Resampler,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
}

impl Converter {
    /// A converter at the beginning of a stream.
    pub fn new(format: Format, mix: Mix) -> Self {
        Self {
            format,
            mix,
            meter: Meter::default(),
            resampler: Resampler::new(format.sample_rate()),
            interleaved: Vec::new(),
            mono: Vec::new(),
        }
    }

    /// Appends what can be said so far. Bytes that end within a sample frame are refused, and nothing of
    /// them is taken.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<f32>) -> Result<(), FormatError> {
        self.format.frames(bytes)?;
        self.interleaved.clear();
        self.format.samples(bytes, &mut self.interleaved);
        self.meter.push(&self.interleaved, self.format.channels());
        let channels = usize::from(self.format.channels());
        self.mono.clear();
        mix_into(&self.interleaved, channels, self.mix, &mut self.mono);
        self.resampler.push(&self.mono, out);
        Ok(())
    }

    /// Appends the rest. The converter then stands at the beginning of a new stream.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        self.resampler.flush(out);
    }

    /// The level of the input since the last look.
    pub fn take_level(&mut self) -> Level {
        self.meter.take()
    }

    /// How far the output is behind the input at most, in samples of 16 kHz; 0 at 16 kHz.
    pub fn latency(&self) -> usize {
        self.resampler.latency()
    }
}

/// Appends one sample for each frame.
pub(crate) fn mix_into(interleaved: &[f32], channels: usize, mix: Mix, out: &mut Vec<f32>) {
    let frames = interleaved.chunks_exact(channels.max(1));
    match mix {
        Mix::Down if channels == 1 => out.extend_from_slice(interleaved),
        Mix::Down => out.extend(frames.map(|it| it.iter().sum::<f32>() / channels as f32)),
        Mix::Channel(which) => {
            out.extend(frames.map(|it| it.get(usize::from(which)).copied().unwrap_or(0.0)));
        }
    }
}

/// Brings mono sound of any sample rate to 16 kHz, in pieces of any size.
pub struct Resampler {
    sample_rate: u32,
    /// Absent at 16 kHz, and for the impossible rate 0.
    engine: Option<Async<f32>>,
    waiting: Vec<f32>,
    block: Vec<f32>,
    /// Output that is still to be dropped: the filter runs before there was sound.
    early: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// A resampler at the beginning of a sound of this sample rate, in Hz.
    pub fn new(sample_rate: u32) -> Self {
        let engine = engine(sample_rate);
        let early = engine.as_ref().map_or(0, |it| it.output_delay());
        let block = vec![0.0; engine.as_ref().map_or(0, |it| it.output_frames_max())];
        Self { sample_rate, engine, waiting: Vec::new(), block, early, taken: 0, given: 0 }
    }

    /// How far the output is behind the input at most, in samples of 16 kHz: a block of 10 ms, and half
    /// of the filter. 0 at 16 kHz.
    pub fn latency(&self) -> usize {
        let Some(engine) = &self.engine else { return 0 };
        engine.output_delay() + engine.output_frames_max()
    }

    /// Appends what can be said so far.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        let Some(needed) = self.engine.as_ref().map(|it| it.input_frames_next()) else {
            self.given += samples.len() as u64;
            return out.extend_from_slice(samples);
        };
        self.waiting.extend_from_slice(samples);
        let waiting = std::mem::take(&mut self.waiting);
        let blocks = waiting.chunks_exact(needed);
        self.waiting.extend_from_slice(blocks.remainder());
        for block in blocks {
            self.run(block, out);
        }
    }

    /// Appends the rest, so that the output is as long as the input, to the sample. The resampler then
    /// stands at the beginning of a new sound.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        let due = (self.taken * u64::from(RATE)).div_ceil(u64::from(self.sample_rate.max(1)));
        let rest = std::mem::take(&mut self.waiting);
        let start = out.len();
        let missing = due.saturating_sub(self.given) as usize;
        let mut block = &rest[..];
        while self.engine.is_some() && out.len() - start < missing {
            self.run(block, out);
            block = &[];
        }
        if self.engine.is_some() {
            out.truncate(start + missing);
        }
        *self = Self::new(self.sample_rate);
    }

    /// One block; a short one is filled up with silence.
    fn run(&mut self, block: &[f32], out: &mut Vec<f32>) {
        let Some(engine) = &mut self.engine else { return };
        let room = self.block.len();
        let input = SequentialSlice::new(block, 1, block.len());
        let output = SequentialSlice::new_mut(&mut self.block, 1, room);
        let (Ok(input), Ok(mut output)) = (input, output) else { return };
        let partial = Indexing::new().partial_len(block.len());
        // Sizes are those that the engine asked for, so it has no reason to refuse.
        let Ok((_, made)) = engine.process_into_buffer(&input, &mut output, Some(&partial)) else {
            return;
        };
        let early = self.early.min(made);
        self.early -= early;
        self.given += (made - early) as u64;
        out.extend(self.block[early..made].iter().map(|it| bounded(*it)));
    }
}

/// Whole mono sound at 16 kHz.
pub fn resample(samples: &[f32], sample_rate: u32) -> Vec<f32> {
    let mut out = Vec::new();
    let mut resampler = Resampler::new(sample_rate);
    resampler.push(samples, &mut out);
    resampler.flush(&mut out);
    out
}

fn engine(sample_rate: u32) -> Option<Async<f32>> {
    if sample_rate == RATE || sample_rate == 0 {
        return None;
    }
    let ratio = f64::from(RATE) / f64::from(sample_rate);
    let filter = SincInterpolationParameters::new(TAPS, WindowFunction::BlackmanHarris2)
        .oversampling_factor(256)
        .interpolation(SincInterpolationType::Linear);
    let block = sample_rate.div_ceil(BLOCKS_A_SECOND) as usize;
    Async::new_sinc(ratio, 1.0, &filter, block, 1, FixedAsync::Input).ok()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use proptest::prelude::*;

    use super::*;
    use crate::Encoding;

    fn tone(hz: f32, rate: u32, seconds: f32) -> Vec<f32> {
        let count = (rate as f32 * seconds) as usize;
        (0..count).map(|i| (i as f32 / rate as f32 * hz * TAU).sin() * 0.5).collect()
    }

    fn bytes(samples: &[f32]) -> Vec<u8> {
        crate::pcm_s16le(samples)
    }

    #[test]
    fn a_tone_keeps_its_place_at_every_rate() {
        for rate in [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 48_000] {
            let out = resample(&tone(440.0, rate, 0.5), rate);
            assert!(out.len().abs_diff(8000) <= 1, "{rate}: {}", out.len());
            // The best sine through it: what is left over is distortion, its phase is the delay.
            let (mut sine, mut cosine, mut rest) = (0.0, 0.0, 0.0f64);
            let turn = |i: usize| f64::from(TAU) * 440.0 * i as f64 / f64::from(RATE);
            for (i, sample) in out.iter().enumerate().take(7600).skip(400) {
                sine += f64::from(*sample) * turn(i).sin() / 3600.0;
                cosine += f64::from(*sample) * turn(i).cos() / 3600.0;
            }
            for (i, sample) in out.iter().enumerate().take(7600).skip(400) {
                let fit = sine * turn(i).sin() + cosine * turn(i).cos();
                rest = rest.max((fit - f64::from(*sample)).abs());
            }
            let late = cosine.atan2(sine) / turn(1);
            assert!(late.abs() < 1.1 && rest < 0.002, "{rate} Hz: {late} late, {rest} left over");
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_does_not_fold_back() {
        let out = resample(&tone(9500.0, 48_000, 0.5), 48_000);
        let loudest = out[400..7600].iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(loudest < 0.001, "{loudest}");
    }

    #[test]
    fn two_channels_are_mixed_or_picked() {
        let format = Format::new(Encoding::S16le, 16_000, 2).unwrap();
        let both: Vec<u8> =
            [8192i16, -16_384, 16_384, 0].iter().flat_map(|it| it.to_le_bytes()).collect();
        let heard = |mix| {
            let mut out = Vec::new();
            Converter::new(format, mix).push(&both, &mut out).unwrap();
            out
        };
        assert_eq!(heard(Mix::Down), [-0.125, 0.25]);
        assert_eq!(heard(Mix::Channel(0)), [0.25, 0.5]);
        assert_eq!(heard(Mix::Channel(1)), [-0.5, 0.0]);
        assert_eq!(heard(Mix::Channel(2)), [0.0, 0.0]);
    }

    #[test]
    fn an_odd_push_is_refused_whole() {
        let mut converter =
            Converter::new(Format::new(Encoding::S16le, 16_000, 1).unwrap(), Mix::Down);
        let mut out = Vec::new();
        assert!(converter.push(&[0, 64, 0], &mut out).is_err());
        converter.push(&[0, 64], &mut out).unwrap();
        assert_eq!(out, [0.5]);
        assert_eq!(converter.latency(), 0);
    }

    #[test]
    fn no_sample_waits_longer_than_the_latency() {
        for rate in [8000, 44_100, 48_000] {
            let mut resampler = Resampler::new(rate);
            let (mut out, mut pushed) = (Vec::new(), 0u64);
            for piece in tone(440.0, rate, 0.4).chunks(37) {
                resampler.push(piece, &mut out);
                pushed += piece.len() as u64;
                let due = pushed * u64::from(RATE) / u64::from(rate);
                let behind = due.saturating_sub(out.len() as u64);
                assert!(behind <= resampler.latency() as u64, "{rate}: {behind}");
            }
            assert!(resampler.latency() <= 16 * 27, "{rate}: {}", resampler.latency());
        }
    }

    #[test]
    fn a_second_sound_begins_afresh() {
        let sound = tone(440.0, 8000, 0.1);
        let mut resampler = Resampler::new(8000);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        resampler.push(&sound, &mut first);
        resampler.flush(&mut first);
        resampler.push(&sound, &mut second);
        resampler.flush(&mut second);
        assert_eq!(first, second);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn how_a_stream_is_cut_changes_nothing(
            rate in 8000u32..=48_000,
            cuts in prop::collection::vec(0usize..700, 1..20),
        ) {
            let sound = bytes(&tone(313.0, rate, 0.12));
            let format = Format::new(Encoding::S16le, rate, 1).unwrap();
            let mut whole = Vec::new();
            let mut converter = Converter::new(format, Mix::Down);
            converter.push(&sound, &mut whole).unwrap();
            converter.flush(&mut whole);
            let mut pieces = Vec::new();
            let mut rest = &sound[..];
            let mut converter = Converter::new(format, Mix::Down);
            for cut in cuts.iter().cycle().map(|it| it * 2 + 2) {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                converter.push(piece, &mut pieces).unwrap();
                rest = after;
                if rest.is_empty() { break }
            }
            converter.flush(&mut pieces);
            prop_assert_eq!(whole.len(), pieces.len());
            prop_assert!(whole == pieces);
        }
    }
}
