//! Who speaks: the voices of one stream, and those that are enrolled.

pub(crate) mod store;

use std::sync::Arc;

use carport_voice_api::{Speaker, SpeakerPrints, Voiceprint};

/// With less voice than this, a segment makes nobody new.
const ENOUGH_MS: u64 = 800;

/// The voices of one stream.
pub(crate) struct Voices {
    provider: Arc<dyn SpeakerPrints>,
    /// Labels and prints of those enrolled when the stream began; empty if they are not asked for.
    enrolled: Vec<(String, Vec<Vec<f32>>)>,
    /// Sums of the prints of those that are not, in order of appearance.
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
        let is_short = print.voiced_ms < ENOUGH_MS;
        let at = match nearest {
            Some((at, score)) if score >= threshold || is_short => at,
            _ => {
                self.people.push(vec![0.0; print.vector.len()]);
                self.people.len() - 1
            }
        };
        if !is_short || nearest.is_none() {
            for (sum, one) in self.people[at].iter_mut().zip(&print.vector) {
                *sum += one;
            }
        }
        Speaker { label: format!("S{}", at + 1), score: None, enrolled: false }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
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
}
