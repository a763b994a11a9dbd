//! The way from a text to sentences that the voice can speak, one at a time.

use crate::ids::Vocabulary;
use crate::normalise::Normaliser;
use crate::oov::Network;
use crate::sentences::{Splitter, shorten};
use crate::speak::Speaker;
use std::collections::HashMap;

/// Ids of a sentence, at most, the two pads included: the voice's own program gives it no more than 400 phonemes at once.
pub const MAX_IDS: usize = 402;

/// What the voice speaks in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The part of the text, trimmed.
    pub text: String,
    /// Its phonemes in the voice's alphabet, with marks that the voice hears as pauses.
    pub phonemes: String,
    /// The phonemes as numbers, a 0 at both ends: 3 to [`MAX_IDS`].
    pub ids: Vec<i32>,
}

/// Turns English text into phonemes. Holds the dictionaries and models and changes nothing, so many threads may share one.
pub struct Phonemizer {
    pub(crate) normaliser: Normaliser,
    pub(crate) speaker: Speaker,
    pub(crate) network: Network,
    pub(crate) vocabulary: Vocabulary,
}

impl std::fmt::Debug for Phonemizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phonemizer").finish_non_exhaustive()
    }
}

impl Phonemizer {
    /// All sentences of a text. What has no sound (other scripts, pictures) is left out; the result may be empty.
    pub fn phonemize(&self, text: &str) -> Vec<Sentence> {
        self.sentences(text).collect()
    }

    /// The sentences one by one: the first is ready before the others are looked at.
    pub fn sentences<'a>(&'a self, text: &'a str) -> Sentences<'a> {
        Sentences {
            phonemizer: self,
            parts: Splitter::new(text, &self.normaliser.titles),
            waiting: Vec::new(),
            unknown: HashMap::new(),
        }
    }

    /// One sentence in words, as it is read aloud: what [`Self::phonemize`] looks up.
    pub fn normalise(&self, sentence: &str) -> String {
        self.normaliser.normalise(sentence)
    }
}

/// Sentences that are made as they are asked for.
#[derive(Debug)]
pub struct Sentences<'a> {
    phonemizer: &'a Phonemizer,
    parts: Splitter<'a>,
    /// Parts that were too long when spoken, the next one last.
    waiting: Vec<&'a str>,
    /// Words that the network has read in this text.
    unknown: HashMap<String, Option<String>>,
}

impl Iterator for Sentences<'_> {
    type Item = Sentence;

    fn next(&mut self) -> Option<Sentence> {
        loop {
            let part = self.waiting.pop().or_else(|| self.parts.next())?;
            let Phonemizer { normaliser, speaker, network, vocabulary } = self.phonemizer;
            let unknown = &mut self.unknown;
            let phonemes = speaker.phonemes(&normaliser.normalise(part), &mut |word| {
                if let Some(known) = unknown.get(word) {
                    return known.clone();
                }
                let read = network.read(word);
                unknown.insert(word.to_owned(), read.clone());
                read
            });
            let ids = vocabulary.ids(&phonemes);
            if ids.len() > MAX_IDS {
                shorten(part, ids.len().div_ceil(MAX_IDS), &mut self.waiting);
                continue;
            }
            // Only pads: nothing in it has a sound.
            if ids.len() > 2 {
                return Some(Sentence { text: part.to_owned(), phonemes, ids });
            }
        }
    }
}
