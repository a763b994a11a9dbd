//! Voice activity: a score of 0..=1 for each 16 ms of sound.

use carport_voice_audio::{FRAME, Reason, Segmenter, VadOptions};
use earshot::Detector;

/// Scores a stream. One for each stream; it remembers 48 ms.
pub struct Activity {
    detector: Box<Detector>,
    frame: Vec<f32>,
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Activity {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self { detector: Detector::default_boxed(), frame: Vec::with_capacity(FRAME) }
    }

    /// Takes samples of 16 kHz in pieces of any size and gives the score of each frame that they complete.
    pub fn push(&mut self, samples: &[f32], mut score: impl FnMut(f32)) {
        for sample in samples {
            // The detector takes nothing beyond full scale.
            self.frame.push(sample.clamp(-1.0, 1.0));
            if self.frame.len() == FRAME {
                score(self.detector.predict_f32(&self.frame));
                self.frame.clear();
            }
        }
    }

    /// Ends the stream: an incomplete frame is filled up with silence and scored.
    pub fn flush(&mut self, score: impl FnMut(f32)) {
        if !self.frame.is_empty() {
            self.push(&[0.0; FRAME][self.frame.len()..], score);
        }
        self.detector.reset();
    }
}

/// How much speech a recording holds, in milliseconds.
pub fn voiced_ms(samples: &[f32]) -> u64 {
    let (mut activity, mut events) = (Activity::new(), Vec::new());
    let mut segmenter = Segmenter::new(VadOptions::default());
    activity.push(samples, |score| segmenter.push(score, &mut events));
    activity.flush(|score| segmenter.push(score, &mut events));
    segmenter.flush(Reason::Stop, &mut events);
    segmenter.speech_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_sound_is_cut_changes_no_score() {
        let sound: Vec<f32> = (0..5000).map(|i| (i as f32 * 0.3).sin() * 3.0).collect();
        let scores = |size: usize| {
            let (mut activity, mut scores) = (Activity::new(), Vec::new());
            for piece in sound.chunks(size) {
                activity.push(piece, |it| scores.push(it));
            }
            activity.flush(|it| scores.push(it));
            scores
        };
        assert_eq!(scores(5000).len(), 20);
        assert_eq!(scores(5000), scores(1));
        assert_eq!(scores(5000), scores(333));
    }

    #[test]
    fn silence_is_not_voiced() {
        assert_eq!(voiced_ms(&[0.0; 16_000]), 0);
        assert_eq!(voiced_ms(&[]), 0);
    }

    #[test]
    fn a_detector_may_move_between_threads() {
        fn moves<T: Send>() {}
        moves::<Activity>();
    }
}
