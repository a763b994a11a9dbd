//! Who speaks: the voices of one stream, and those that are enrolled.

pub(crate) mod store;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, sync::Arc};

use carport_voice_api::{Speaker, SpeakerPrints, Voiceprint};

/// With less voice than this, a print is too unlike its own voice: it makes nobody new and changes nobody.
const ENOUGH_MS: u64 = 1000;
/// The voices of one stream share their room and microphone, so two prints of one of them may be so much
/// less alike than the provider's threshold.
const LENIENCE: f32 = 0.05;
/// Beyond so many voices a new one gets the most alike label.
const MOST: usize = 32;
/// Segments whose speaker may still be corrected.
const RECENT: usize = 64;

/// The voices of one stream.
pub(crate) struct Voices {
    provider: Arc<dyn SpeakerPrints>,
    /// Labels and prints of those enrolled when the stream began; empty if they are not asked for.
    enrolled: Vec<(String, Vec<Vec<f32>>)>,
    /// Those that are told apart, in order of appearance.
    people: Vec<Person>,
    /// How many there ever were.
    numbers: usize,
    /// The last segments, oldest first.
    recent: VecDeque<Turn>,
}

/// Somebody who is told apart.
struct Person {
    number: usize,
    /// The sum of the prints, each weighed by its voice.
    sum: Vec<f32>,
    /// Who of those enrolled this is.
    known: Option<(String, f32)>,
}

/// A segment and whose it is.
struct Turn {
    segment_id: u64,
    print: Voiceprint,
    /// The number of a person.
    of: usize,
    /// What was told of it last.
    told: Speaker,
}

impl Person {
    fn speaker(&self) -> Speaker {
        match &self.known {
            Some((label, score)) => enrolled(label, *score),
            None => Speaker { label: format!("S{}", self.number), score: None, enrolled: false },
        }
    }
}

impl Voices {
    pub(crate) fn new(
        provider: Arc<dyn SpeakerPrints>,
        enrolled: Vec<(String, Vec<Vec<f32>>)>,
    ) -> Self {
        Self { provider, enrolled, people: Vec::new(), numbers: 0, recent: VecDeque::new() }
    }

    pub(crate) fn provider(&self) -> Arc<dyn SpeakerPrints> {
        self.provider.clone()
    }

    /// Whose print this is, if that can be said: nothing is learned from it.
    pub(crate) fn seems(&self, print: &Voiceprint) -> Option<Speaker> {
        if print.voiced_ms < ENOUGH_MS {
            return None;
        }
        let known = self.known(&print.vector).map(|(label, score)| enrolled(&label, score));
        let heard = self.nearest(&print.vector).filter(|(_, score)| self.is_same(*score));
        known.or_else(|| heard.map(|(at, _)| self.people[at].speaker()))
    }

    /// Whose segment this is: somebody enrolled, else somebody who was heard, else somebody new. And what
    /// that says of earlier segments: those whose speaker is another now.
    pub(crate) fn name(
        &mut self,
        segment_id: u64,
        print: Voiceprint,
    ) -> (Speaker, Vec<(u64, Speaker)>) {
        let nearest = self.nearest(&print.vector);
        let same = nearest.filter(|(_, score)| self.is_same(*score));
        let has_enough = print.voiced_ms >= ENOUGH_MS;
        if let Some((label, score)) = self.known(&print.vector) {
            return (enrolled(&label, score), Vec::new());
        }
        let may_be_new = has_enough && self.people.len() < MOST;
        let (at, learns) = match (same, nearest) {
            (Some((at, _)), _) => (at, has_enough),
            (None, Some((at, _))) if !may_be_new => (at, false),
            _ => (self.somebody_new(print.vector.len()), true),
        };
        let at = if learns { self.learn(at, &print) } else { at };
        let corrected = self.corrections();
        let (of, told) = (self.people[at].number, self.people[at].speaker());
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Turn { segment_id, print, of, told: told.clone() });
        (told, corrected)
    }

    fn somebody_new(&mut self, dimensions: usize) -> usize {
        self.numbers += 1;
        let sum = vec![0.0; dimensions];
        self.people.push(Person { number: self.numbers, sum, known: None });
        self.people.len() - 1
    }

    /// Somebody said more, and may turn out to be somebody enrolled, or one with somebody else: where they
    /// are then.
    fn learn(&mut self, at: usize, print: &Voiceprint) -> usize {
        let weight = print.voiced_ms as f32;
        for (sum, one) in self.people[at].sum.iter_mut().zip(&print.vector) {
            *sum += one * weight;
        }
        let sum = &self.people[at].sum;
        let known = self.known(sum);
        let others = self.people.iter().enumerate().filter(|(other, _)| *other != at);
        let scores = others.map(|(other, it)| (other, cosine(&it.sum, sum)));
        let twin = scores.max_by(|a, b| a.1.total_cmp(&b.1));
        let twin = twin.filter(|(_, score)| *score >= self.provider.threshold());
        self.people[at].known = known.or(self.people[at].known.take());
        match twin {
            Some((twin, _)) => self.merge(at.min(twin), at.max(twin)),
            None => at,
        }
    }

    /// Two are one: the later one's segments are the former one's.
    fn merge(&mut self, at: usize, later: usize) -> usize {
        let later = self.people.remove(later);
        let person = &mut self.people[at];
        person.sum.iter_mut().zip(&later.sum).for_each(|(sum, one)| *sum += one);
        person.known = person.known.take().or(later.known);
        for turn in self.recent.iter_mut().filter(|it| it.of == later.number) {
            turn.of = person.number;
        }
        at
    }

    /// The segments whose speaker is another by now than was told.
    fn corrections(&mut self) -> Vec<(u64, Speaker)> {
        let mut corrected = Vec::new();
        for at in 0..self.recent.len() {
            let turn = &self.recent[at];
            let of = self.better(turn).unwrap_or(turn.of);
            let Some(person) = self.people.iter().find(|it| it.number == of) else { continue };
            let (now, turn) = (person.speaker(), &mut self.recent[at]);
            turn.of = of;
            if now.label != turn.told.label {
                turn.told = now.clone();
                corrected.push((turn.segment_id, now));
            }
        }
        corrected
    }

    /// Who is like a voice that was given to somebody unlike it, for it was too short to be somebody new.
    fn better(&self, turn: &Turn) -> Option<usize> {
        let (at, score) = self.nearest(&turn.print.vector)?;
        let person = self.people.iter().find(|it| it.number == turn.of)?;
        let was_forced = !self.is_same(cosine(&person.sum, &turn.print.vector));
        (was_forced && self.is_same(score)).then(|| self.people[at].number)
    }

    /// The person whose voice is most alike, and how much.
    fn nearest(&self, vector: &[f32]) -> Option<(usize, f32)> {
        let scores = self.people.iter().map(|it| cosine(&it.sum, vector)).enumerate();
        scores.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Who of those enrolled has this voice, and how much alike it is.
    fn known(&self, vector: &[f32]) -> Option<(String, f32)> {
        let known = self.enrolled.iter().filter_map(|(label, prints)| {
            let nearest = prints.iter().map(|it| cosine(it, vector));
            Some((label, nearest.max_by(f32::total_cmp)?))
        });
        let best = known.max_by(|a, b| a.1.total_cmp(&b.1));
        let (label, score) = best.filter(|(_, score)| *score >= self.provider.threshold())?;
        Some((label.clone(), score))
    }

    fn is_same(&self, score: f32) -> bool {
        score >= self.provider.threshold() - LENIENCE
    }
}

fn enrolled(label: &str, score: f32) -> Speaker {
    Speaker { label: label.to_owned(), score: Some(f64::from(score)), enrolled: true }
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
