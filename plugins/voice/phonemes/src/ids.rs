//! Phonemes to the numbers that the voice's network takes.

use std::collections::BTreeMap;

/// What `vocab.json` holds: a number above 0 for every phoneme, mark and the space.
#[derive(Debug)]
pub(crate) struct Vocabulary(BTreeMap<char, i32>);

/// Silence; opens and closes every sentence.
const PAD: i32 = 0;

impl Vocabulary {
    pub(crate) fn new(ids: BTreeMap<char, i32>) -> Self {
        Self(ids)
    }

    /// One number a known phoneme, between two pads. Others are passed over.
    pub(crate) fn ids(&self, phonemes: &str) -> Vec<i32> {
        let known = phonemes.chars().filter_map(|c| self.0.get(&c).copied());
        [PAD].into_iter().chain(known).chain([PAD]).collect()
    }
}
