//! The voice hibari (English, 24 kHz): a small acoustic network, and a vocoder behind it.

use std::{
    ops::ControlFlow,
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
    vocoder::{RATE, Spectra, Vocoder},
};

const ACOUSTIC: &str = "hibari.onnx";
/// What the network predicts: five parts of the spectrum, and the pitch.
const OUTPUTS: usize = 6;

/// Samples that are handed out first.
const HEAD: usize = RATE as usize / 5;

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
}

impl Default for Style {
    fn default() -> Self {
        Self { speed: 1.0, seed: 0 }
    }
}

/// A loaded voice. It keeps nothing between calls.
pub struct Hibari {
    acoustic: Model,
    ids: NodeId,
    speed: NodeId,
    outputs: Vec<NodeId>,
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
        let outputs = acoustic.output_ids().to_vec();
        if outputs.len() != OUTPUTS {
            return Err(wrong(format!("has {} outputs instead of {OUTPUTS}", outputs.len())));
        }
        let ids = node(&acoustic, "ids").map_err(wrong)?;
        let speed = node(&acoustic, "speed").map_err(wrong)?;
        Ok(Self { acoustic, ids, speed, outputs, vocoder: Vocoder::new(), threads })
    }

    /// Speaks one sentence, handing out samples of 24 kHz within -1..=1, mono: the first 200 ms as soon as
    /// they are made, then the rest; until `out` breaks. `ids` are phonemes of the voice's `vocab.json`
    /// between two pads (0), at most [`MAX_IDS`]; without a phoneme there is no sound. `cancel` is looked
    /// at before the network runs and then at every frame of 12.5 ms. No thread is held while `out` runs.
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
        let cancelled = || cancel.load(Ordering::Relaxed);
        if cancelled() {
            return Err(RunError::Cancelled);
        }
        let spectra = self.threads.run(|options| self.spectra(ids, style.speed, options))?;
        let (mut piece, mut enough) = (Vec::new(), HEAD);
        let made = self.vocoder.waveform(&spectra, style.seed, |hop| {
            piece.extend_from_slice(hop);
            match cancelled() {
                true => ControlFlow::Break(()),
                false if piece.len() < enough => ControlFlow::Continue(()),
                false => {
                    enough = usize::MAX;
                    out(std::mem::take(&mut piece))
                }
            }
        });
        if cancelled() {
            return Err(RunError::Cancelled);
        }
        if made.is_continue() && !piece.is_empty() {
            let _ = out(piece);
        }
        Ok(())
    }

    fn spectra(&self, ids: &[i32], speed: f32, options: &RunOptions) -> Result<Spectra, RunError> {
        let speed = if speed.is_nan() { 1.0 } else { speed.clamp(0.5, 2.0) };
        let inputs = vec![
            (self.ids, NdTensor::from_data([1, ids.len()], ids.to_vec()).into()),
            (self.speed, NdTensor::from_data([1], vec![speed]).into()),
        ];
        let made = self.acoustic.run(inputs, &self.outputs, Some(options.clone()));
        let mut made = made.map_err(failed)?.into_iter();
        let mut part = || numbers(made.next());
        let spectra = Spectra {
            filter: [part()?, part()?],
            noise: part()?,
            free: [part()?, part()?],
            pitch: part()?,
        };
        match spectra.is_whole() {
            true => Ok(spectra),
            false => Err(failed("parts of the spectrum differ in size")),
        }
    }
}

fn numbers(value: Option<Value>) -> Result<Vec<f32>, RunError> {
    let value = value.ok_or_else(|| failed("an output is missing"))?;
    let tensor: Tensor<f32> = value.try_into().map_err(failed)?;
    Ok(tensor.to_vec())
}
