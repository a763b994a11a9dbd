//! The voice encoder GE2E: windows of 1.6 s become points, their middle is the voice print.

use std::{path::Path, sync::Arc};

use rten::{Model, NodeId};
use rten_tensor::{NdTensor, prelude::*};

use super::{
    Print,
    mel::{BANDS, Mel},
};
use crate::{
    ModelError, RunError, Threads,
    load::{graph, node, unusable},
    threads::failed,
};

const GRAPH: &str = "ge2e.onnx";
/// Frames of a window, and between two windows.
const WINDOW: usize = 160;
const STEP: usize = 77;
/// No more windows are looked at; they hold 62 s.
const MOST_WINDOWS: usize = 80;
/// Sound below this level is raised to it before it is measured, in decibels of full scale.
const LEVEL_DB: f32 = -30.0;
/// What is so much quieter than the loudest is a pause, in decibels.
const PAUSE_DB: f32 = 35.0;
/// Samples over which pauses are measured, and their step.
const PAUSE_WINDOW: usize = 2048;
const PAUSE_STEP: usize = 512;

/// A loaded encoder. It keeps nothing between calls.
pub struct VoiceEncoder {
    graph: Model,
    input: NodeId,
    output: NodeId,
    mel: Mel,
    threads: Arc<Threads>,
}

impl VoiceEncoder {
    /// The name of its model directory.
    pub const MODEL: &str = "speaker-ge2e";
    /// The score from which on two prints are of one voice.
    pub const THRESHOLD: f32 = 0.75;

    /// Loads the files of a directory that was verified. Runs borrow one of `threads`.
    pub fn open(directory: &Path, threads: Arc<Threads>) -> Result<Self, ModelError> {
        let model = graph(Self::MODEL, directory, GRAPH)?;
        let wrong = |why: String| unusable(Self::MODEL, directory, GRAPH, why);
        let input = node(&model, "mels").map_err(wrong)?;
        let output = model.output_ids().first().copied();
        let output = output.ok_or_else(|| wrong("has no output".into()))?;
        Ok(Self { graph: model, input, output, mel: Mel::new(), threads })
    }

    /// The print of the voice in mono sound of 16 kHz. Of long sound the first minute without pauses is
    /// heard. Fails with [`RunError::Failed`] for silence, which has no voice.
    pub fn print(&self, samples: &[f32]) -> Result<Print, RunError> {
        let sound = without_pauses(&raised(samples));
        if sound.is_empty() {
            return Err(failed("silence has no voice"));
        }
        let sound = &sound[..sound.len().min((MOST_WINDOWS * STEP + WINDOW) * 160)];
        let mut frames = self.mel.frames(sound);
        if frames.len() < WINDOW {
            frames.resize(WINDOW, [0.0; BANDS]);
        }
        let starts = (0..=frames.len() - WINDOW).step_by(STEP).take(MOST_WINDOWS);
        let windows: Vec<f32> = starts
            .flat_map(|start| frames[start..start + WINDOW].iter().flatten().copied())
            .collect();
        let count = windows.len() / (WINDOW * BANDS);
        let windows = NdTensor::from_data([count, WINDOW, BANDS], windows);
        let points = self.threads.run(|options| {
            let inputs = vec![(self.input, windows.into())];
            self.graph.run(inputs, &[self.output], Some(options.clone()))
        });
        let points = points.map_err(failed)?.into_iter().next();
        let points: NdTensor<f32, 2> =
            points.ok_or_else(|| failed("no output"))?.try_into().map_err(failed)?;
        let mut sum = vec![0.0; points.size(1)];
        for point in 0..points.size(0) {
            for (place, sum) in sum.iter_mut().enumerate() {
                *sum += points[[point, place]];
            }
        }
        Print::try_from(sum).map_err(failed)
    }
}

/// Sound that is not quieter than the encoder expects.
fn raised(samples: &[f32]) -> Vec<f32> {
    let square = samples.iter().map(|it| it * it).sum::<f32>() / samples.len().max(1) as f32;
    let gain = (LEVEL_DB - 20.0 * (square.sqrt() + 1e-9).log10()).max(0.0);
    let factor = 10f32.powf(gain / 20.0);
    samples.iter().map(|it| it * factor).collect()
}

/// Sound without its pauses.
fn without_pauses(samples: &[f32]) -> Vec<f32> {
    let power = |start: usize| {
        let middle = start + PAUSE_STEP / 2;
        let from = middle.saturating_sub(PAUSE_WINDOW / 2);
        let piece = &samples[from..(middle + PAUSE_WINDOW / 2).min(samples.len())];
        piece.iter().map(|it| it * it).sum::<f32>()
    };
    let steps = (0..samples.len()).step_by(PAUSE_STEP);
    let loudest = steps.clone().map(power).fold(0.0, f32::max);
    let enough = loudest * 10f32.powf(-PAUSE_DB / 10.0);
    steps
        .filter(|start| power(*start) > enough)
        .flat_map(|start| &samples[start..(start + PAUSE_STEP).min(samples.len())])
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_left_out() {
        let mut sound = vec![0.5; 16_000];
        sound.extend(vec![0.001; 32_000]);
        sound.extend(vec![0.5; 16_000]);
        let kept = without_pauses(&sound).len();
        assert!((32_000..36_000).contains(&kept), "{kept}");
        assert_eq!(without_pauses(&[]).len(), 0);
        assert_eq!(without_pauses(&[0.0; 4000]).len(), 0);
    }

    #[test]
    fn quiet_sound_is_raised_and_loud_sound_is_left() {
        let level = carport_voice_audio::level_db;
        assert!((level(&raised(&[0.001; 800])) + 30.0).abs() < 0.1);
        assert_eq!(raised(&[0.5; 8]), [0.5; 8]);
    }
}
