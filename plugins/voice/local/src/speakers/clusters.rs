//! Labels for voices in the order in which they appear, decided as they come.

use super::print::{Match, Print, add};

/// From this score on two stretches of speech are one voice.
const SAME: f32 = 0.70;
/// From so much speech on, in milliseconds, a print may be a new voice. Shorter ones are too unlike
/// themselves: they get the most alike label.
const SURE_MS: u64 = 1000;
/// Beyond so many voices a new one gets the most alike label.
const MOST: usize = 32;

/// The voices of one stream. Labels are `S1`, `S2`, ... in order of first appearance.
#[derive(Debug, Clone, Default)]
pub struct Speakers {
    voices: Vec<Voice>,
}

/// One voice: the sum of its prints, each weighed by its speech in seconds.
#[derive(Debug, Clone)]
struct Voice {
    sum: Vec<f32>,
    middle: Print,
}

impl Voice {
    fn take(&mut self, print: &Print, seconds: f32) {
        add(&mut self.sum, print, seconds);
        if let Ok(middle) = Print::try_from(self.sum.clone()) {
            self.middle = middle;
        }
    }
}

impl Speakers {
    /// The label of the next stretch of speech, and how alike it is to what was heard of that voice; 1
    /// for a new voice.
    pub fn label(&mut self, print: &Print, voiced_ms: u64) -> Match {
        let scores = self.voices.iter().map(|it| it.middle.score(print)).enumerate();
        let best = scores.max_by(|a, b| a.1.total_cmp(&b.1));
        let may_be_new = voiced_ms >= SURE_MS && self.voices.len() < MOST;
        let seconds = voiced_ms as f32 / 1000.0;
        match best {
            Some((place, score)) if score >= SAME || !may_be_new => {
                if score >= SAME && voiced_ms >= SURE_MS {
                    self.voices[place].take(print, seconds);
                }
                Match { label: label(place), score }
            }
            _ => {
                let mut sum = vec![0.0; 256];
                add(&mut sum, print, seconds);
                self.voices.push(Voice { sum, middle: print.clone() });
                Match { label: label(self.voices.len() - 1), score: 1.0 }
            }
        }
    }

    /// How many voices there are.
    pub fn count(&self) -> usize {
        self.voices.len()
    }
}

fn label(place: usize) -> String {
    format!("S{}", place + 1)
}

#[cfg(test)]
mod tests {
    use super::{super::print::tests::at, *};

    #[test]
    fn labels_come_in_order_of_appearance() {
        let mut speakers = Speakers::default();
        let mut said = |axis, degrees, ms| speakers.label(&at(axis, degrees), ms).label;
        assert_eq!(said(0, 0.0, 2000), "S1");
        assert_eq!(said(4, 0.0, 2000), "S2");
        assert_eq!(said(0, 30.0, 2000), "S1");
        assert_eq!(said(8, 0.0, 2000), "S3");
        assert_eq!(said(4, -30.0, 2000), "S2");
        assert_eq!(speakers.count(), 3);
    }

    #[test]
    fn a_short_word_is_no_new_voice_and_moves_none() {
        let mut speakers = Speakers::default();
        speakers.label(&at(0, 0.0), 3000);
        let short = speakers.label(&at(0, 80.0), 400);
        assert_eq!(short.label, "S1");
        assert!(short.score < SAME);
        assert!((speakers.voices[0].middle.score(&at(0, 0.0)) - 1.0).abs() < 1e-6);
        // The first stretch of all is a voice, however short.
        assert_eq!(Speakers::default().label(&at(0, 0.0), 100).label, "S1");
    }

    #[test]
    fn a_voice_is_the_middle_of_what_it_said() {
        let mut speakers = Speakers::default();
        speakers.label(&at(0, 0.0), 1000);
        speakers.label(&at(0, 40.0), 1000);
        assert!((speakers.voices[0].middle.score(&at(0, 20.0)) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn there_is_an_end_to_new_voices() {
        let mut speakers = Speakers::default();
        for axis in 0..40 {
            speakers.label(&at(axis * 2, 0.0), 2000);
        }
        assert_eq!(speakers.count(), MOST);
    }
}
