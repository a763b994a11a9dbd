//! Who speaks: the voices of one stream, and those that are enrolled.

pub(crate) mod store;

use std::sync::Arc;

use carport_voice_api::{Speaker, SpeakerPrints, Voiceprint};

/// With less voice than this, a print is too unlike its own voice: it makes nobody new and changes nobody.
const ENOUGH_MS: u64 = 1000;
/// The voices of one stream share their room and microphone, so two prints of one of them may be so much
/// less alike than the provider's threshold.
const LENIENCE: f32 = 0.05;
/// Beyond so many voices a new one gets the most alike label.
const MOST: usize = 32;

/// The voices of one stream.
pub(crate) struct Voices {
    provider: Arc<dyn SpeakerPrints>,
    /// Labels and prints of those enrolled when the stream began; empty if they are not asked for.
    enrolled: Vec<(String, Vec<Vec<f32>>)>,
    /// Sums of the prints of those that are not, each weighed by its voice, in order of appearance.
    people: Vec<Vec<f32>>,
}

impl Voices {
    pub(crate) fn new(
        provider: Arc<dyn SpeakerPrints>,
        enrolled: Vec<(String, Vec<Vec<f32>>)>,
    ) -> Self {
        Self { provider, enrolled, people: Vec::new() }
    }

    pub(crate) fn provider(&self) -> Arc<dyn SpeakerPrints> {
        self.provider.clone()
    }

    /// Whose print this is: somebody enrolled, else somebody who was heard, else somebody new.
    pub(crate) fn name(&mut self, print: &Voiceprint) -> Speaker {
        let threshold = self.provider.threshold();
        let known = self.enrolled.iter().filter_map(|(label, prints)| {
            let nearest = prints.iter().map(|it| cosine(it, &print.vector));
            Some((label, nearest.max_by(f32::total_cmp)?))
        });
        let best = known.max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((label, score)) = best.filter(|(_, score)| *score >= threshold) {
            let score = Some(f64::from(score));
            return Speaker { label: label.clone(), score, enrolled: true };
        }
        let people = self.people.iter().map(|it| cosine(it, &print.vector)).enumerate();
        let nearest = people.max_by(|a, b| a.1.total_cmp(&b.1));
        let has_enough = print.voiced_ms >= ENOUGH_MS;
        let may_be_new = has_enough && self.people.len() < MOST;
        let is_same = |score: f32| score >= threshold - LENIENCE;
        let (at, learns) = match nearest {
            Some((at, score)) if is_same(score) => (at, has_enough),
            Some((at, _)) if !may_be_new => (at, false),
            _ => {
                self.people.push(vec![0.0; print.vector.len()]);
                (self.people.len() - 1, true)
            }
        };
        if learns {
            for (sum, one) in self.people[at].iter_mut().zip(&print.vector) {
                *sum += one * print.voiced_ms as f32;
            }
        }
        Speaker { label: format!("S{}", at + 1), score: None, enrolled: false }
    }
}

/// Prints of different lengths were made by different models, and say nothing of each other.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let length = |it: &[f32]| it.iter().map(|x| x * x).sum::<f32>().sqrt();
    let lengths = length(a) * length(b);
    if lengths > 0.0 { dot / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use carport_voice_api::{About, Failure, Unready};

    use super::*;

    struct Nobody;

    impl SpeakerPrints for Nobody {
        fn about(&self) -> About {
            About::default()
        }
        fn ready(&self) -> Result<(), Unready> {
            Ok(())
        }
        fn print(&self, _: &[f32]) -> Result<Voiceprint, Failure> {
            Ok(Voiceprint { vector: Vec::new(), voiced_ms: 0 })
        }
    }

    fn print(vector: [f32; 3], voiced_ms: u64) -> Voiceprint {
        Voiceprint { vector: vector.to_vec(), voiced_ms }
    }

    #[test]
    fn people_are_numbered_as_they_appear_and_the_enrolled_have_their_names() {
        let ann = ("Ann".to_owned(), vec![vec![0.0, 0.0, 1.0], vec![0.0, 0.1, 1.0]]);
        let mut voices = Voices::new(Arc::new(Nobody), vec![ann]);
        let mut label = |vector, ms| {
            let speaker = voices.name(&print(vector, ms));
            (speaker.label, speaker.enrolled)
        };
        let named = |label: &str, enrolled| (label.to_owned(), enrolled);
        assert_eq!(label([1.0, 0.0, 0.0], 2000), named("S1", false));
        assert_eq!(label([0.0, 1.0, 0.0], 2000), named("S2", false));
        assert_eq!(label([0.95, 0.2, 0.0], 2000), named("S1", false));
        assert_eq!(label([0.1, 0.2, 1.0], 2000), named("Ann", true));
        assert_eq!(label([0.4, 0.9, 0.3], 300), named("S2", false), "too short for somebody new");
        assert_eq!(label([-1.0, 0.0, 0.0], 2000), named("S3", false));
    }

    /// A print at an angle in the plane of two of its numbers, in degrees.
    fn at(axis: usize, degrees: f32, voiced_ms: u64) -> Voiceprint {
        let mut vector = vec![0.0; 128];
        vector[axis] = degrees.to_radians().cos();
        vector[axis + 1] = degrees.to_radians().sin();
        Voiceprint { vector, voiced_ms }
    }

    #[test]
    fn a_voice_is_the_middle_of_what_it_said_by_its_length() {
        let mut voices = Voices::new(Arc::new(Nobody), Vec::new());
        voices.name(&at(0, 0.0, 3000));
        voices.name(&at(0, 40.0, 3000));
        voices.name(&at(0, 45.0, 900));
        assert!((cosine(&voices.people[0], &at(0, 20.0, 0).vector) - 1.0).abs() < 1e-6);
        assert_eq!(voices.name(&at(0, 20.0 + 44.0, 1000)).label, "S1");
        assert_eq!(voices.name(&at(0, 20.0 - 60.0, 1000)).label, "S2");
    }

    #[test]
    fn a_print_of_another_model_matches_nobody() {
        let old = ("Ann".to_owned(), vec![vec![1.0, 0.0]]);
        let mut voices = Voices::new(Arc::new(Nobody), vec![old]);
        assert_eq!(voices.name(&print([1.0, 0.0, 0.0], 2000)).label, "S1");
    }

    #[test]
    fn there_is_an_end_to_new_voices() {
        let mut voices = Voices::new(Arc::new(Nobody), Vec::new());
        for axis in 0..MOST + 8 {
            voices.name(&at(axis * 2, 0.0, 2000));
        }
        assert_eq!(voices.people.len(), MOST);
    }
}
