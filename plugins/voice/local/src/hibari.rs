//! The voice hibari (English, 24 kHz): a small acoustic network, and a vocoder behind it.

use std::{
    ops::{ControlFlow, Range},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rten::{Model, NodeId, RunOptions, Value};
use rten_tensor::{NdTensor, Tensor, prelude::*};

use crate::{
    ModelError, RunError, Threads,
    load::{graph, node, unusable},
    threads::failed,
    vocoder::{HOP, RATE, Spectra, Vocoder},
};

const ACOUSTIC: &str = "hibari.onnx";
/// What the network predicts: five parts of the spectrum, and the pitch.
const OUTPUTS: usize = 6;

/// Where the graph is cut between the part that reads the phonemes and the part that makes the spectrum: a row of
/// frames for each feature.
const FEATURES: &str = "/Concat_43_output_0";
/// Frames of 12.5 ms that are handed out first.
const HEAD: usize = 16;
/// The vocoder's windows reach so many frames further, the pitch between two frames included.
const WINDOW: usize = 4;
/// The spectrum of a frame depends on so many to each side: nine convolutions of 7 frames.
const REACH: usize = 9 * 3;

/// Samples a second of what is spoken.
pub const SPEECH_RATE: u32 = RATE;
/// The most ids of one sentence. The network learned from sentences of up to 400 phonemes.
pub const MAX_IDS: usize = 512;

/// How a sentence is spoken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// 1 is the voice's own pace; within 0.5..=2, what lies outside is brought there.
    pub speed: f32,
    /// Decides the noise in the voice: the same seed gives the same samples.
    pub seed: u64,
    /// Whether somebody waits for the sound: the first 200 ms are made before the rest, for a little more work in all.
    pub early: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { speed: 1.0, seed: 0, early: false }
    }
}

/// A loaded voice. It keeps nothing between calls.
pub struct Hibari {
    acoustic: Model,
    ids: NodeId,
    speed: NodeId,
    features: NodeId,
    outputs: [NodeId; OUTPUTS],
    vocoder: Vocoder,
    threads: Arc<Threads>,
}

impl Hibari {
    /// The name of its model directory.
    pub const MODEL: &str = "hibari";
    /// The language that it speaks.
    pub const LANGUAGE: &str = "en";

    /// Loads the files of a directory that was verified. Runs borrow one of `threads`.
    pub fn open(directory: &Path, threads: Arc<Threads>) -> Result<Self, ModelError> {
        let acoustic = graph(Self::MODEL, directory, ACOUSTIC)?;
        let wrong = |why: String| unusable(Self::MODEL, directory, ACOUSTIC, why);
        let outputs = acoustic.output_ids();
        let outputs = outputs
            .try_into()
            .map_err(|_| wrong(format!("has {} outputs instead of {OUTPUTS}", outputs.len())))?;
        let ids = node(&acoustic, "ids").map_err(wrong)?;
        let speed = node(&acoustic, "speed").map_err(wrong)?;
        let features = node(&acoustic, FEATURES).map_err(wrong)?;
        Ok(Self { acoustic, ids, speed, features, outputs, vocoder: Vocoder::new(), threads })
    }

    /// Speaks one sentence, handing out samples of 24 kHz within -1..=1, mono; with [`Style::early`] the first
    /// 200 ms as soon as they are made, then the rest; until `out` breaks. `ids` are phonemes of the voice's
    /// `vocab.json` between two pads (0), at most [`MAX_IDS`]; without a phoneme there is no sound. `cancel` is
    /// looked at before each run of the network and at every frame of 12.5 ms. No thread is held while `out` runs.
    pub fn speak(
        &self,
        ids: &[i32],
        style: Style,
        cancel: &AtomicBool,
        out: &mut dyn FnMut(Vec<f32>) -> ControlFlow<()>,
    ) -> Result<(), RunError> {
        if ids.len() > MAX_IDS {
            return Err(RunError::TooLong { got: ids.len(), limit: MAX_IDS, unit: "phonemes" });
        }
        if ids.iter().all(|it| *it == 0) {
            return Ok(());
        }
        let go_on =
            || if cancel.load(Ordering::Relaxed) { Err(RunError::Cancelled) } else { Ok(()) };
        go_on()?;
        let read = self.threads.run(|options| self.read(ids, style.speed, options))?;
        go_on()?;
        let (frames, enough, mut head) = (read.pitch.len(), HEAD + WINDOW + REACH, None);
        if style.early && frames > enough {
            let mut first = self.threads.run(|options| self.spectra(&read, enough, options))?;
            first.cut(HEAD + WINDOW);
            if self.voice(&first, style.seed, 0..HEAD, cancel, out)?.is_break() {
                return Ok(());
            }
            head = Some(first);
        }
        go_on()?;
        let mut spectra = self.threads.run(|options| self.spectra(&read, frames, options))?;
        if let Some(head) = &head {
            // Runs over other lengths round a little otherwise; the waveform goes on where it was.
            spectra.begin_with(head);
        } else if style.early && self.voice(&spectra, style.seed, 0..HEAD, cancel, out)?.is_break()
        {
            return Ok(());
        }
        let from = if style.early { HEAD } else { 0 };
        self.voice(&spectra, style.seed, from..frames, cancel, out).map(drop)
    }

    /// Makes the waveform and hands out these frames of it at once.
    fn voice(
        &self,
        spectra: &Spectra,
        seed: u64,
        frames: Range<usize>,
        cancel: &AtomicBool,
        out: &mut dyn FnMut(Vec<f32>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, RunError> {
        let (mut piece, mut frame) = (Vec::with_capacity(frames.len() * HOP), 0);
        // A break is not only cancelling: what comes after the last frame is not wanted.
        let _ = self.vocoder.waveform(spectra, seed, |hop| {
            if frames.contains(&frame) {
                piece.extend_from_slice(hop);
            }
            frame += 1;
            match frame == frames.end || cancel.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        match cancel.load(Ordering::Relaxed) {
            true => Err(RunError::Cancelled),
            false if piece.is_empty() => Ok(ControlFlow::Continue(())),
            false => Ok(out(piece)),
        }
    }

    /// Reads the phonemes: what frames are made of, and how many there are.
    fn read(&self, ids: &[i32], speed: f32, options: &RunOptions) -> Result<Read, RunError> {
        let speed = if speed.is_nan() { 1.0 } else { speed.clamp(0.5, 2.0) };
        let inputs = vec![
            (self.ids, NdTensor::from_data([1, ids.len()], ids.to_vec()).into()),
            (self.speed, NdTensor::from_data([1], vec![speed]).into()),
        ];
        let [.., pitch] = self.outputs;
        let made = self.acoustic.run(inputs, &[self.features, pitch], Some(options.clone()));
        let mut made = made.map_err(failed)?.into_iter();
        let features = made.next().ok_or_else(|| failed("an output is missing"))?;
        let features: NdTensor<f32, 3> = features.try_into().map_err(failed)?;
        let pitch = numbers(made.next())?;
        match features.size(2) == pitch.len() {
            true => Ok(Read { features, pitch }),
            false => Err(failed("the pitch and the sentence differ in length")),
        }
    }

    /// Makes the first `frames` of a sentence.
    fn spectra(
        &self,
        read: &Read,
        frames: usize,
        options: &RunOptions,
    ) -> Result<Spectra, RunError> {
        let features = read.features.slice((.., .., ..frames)).to_tensor();
        let inputs = vec![(self.features, features.into())];
        let outputs = &self.outputs[..OUTPUTS - 1];
        let made = self.acoustic.run(inputs, outputs, Some(options.clone()));
        let mut made = made.map_err(failed)?.into_iter();
        let mut part = || numbers(made.next());
        let spectra = Spectra {
            filter: [part()?, part()?],
            noise: part()?,
            free: [part()?, part()?],
            pitch: read.pitch[..frames].to_vec(),
        };
        match spectra.is_whole() {
            true => Ok(spectra),
            false => Err(failed("parts of the spectrum differ in size")),
        }
    }
}

/// A sentence between the two parts of the graph.
struct Read {
    features: NdTensor<f32, 3>,
    /// Of each frame, in Hz.
    pitch: Vec<f32>,
}

fn numbers(value: Option<Value>) -> Result<Vec<f32>, RunError> {
    let value = value.ok_or_else(|| failed("an output is missing"))?;
    let tensor: Tensor<f32> = value.try_into().map_err(failed)?;
    Ok(tensor.to_vec())
}
