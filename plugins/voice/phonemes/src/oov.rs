//! Phonemes of words that no dictionary has, by a small network.

use rten::{Model, NodeId};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use serde::Deserialize;
use std::collections::HashMap;

/// What `oov.json` holds: the letters read, the phonemes written, and the letters of the longest word.
#[derive(Deserialize)]
pub(crate) struct File {
    #[serde(rename = "in")]
    letters: Vec<char>,
    #[serde(rename = "out")]
    phonemes: Vec<char>,
    maxlen: usize,
}

/// A character transformer with a CTC output: several slots a letter, repeats and blanks (0) dropped.
pub(crate) struct Network {
    model: Model,
    input: NodeId,
    output: NodeId,
    letters: HashMap<char, i32>,
    phonemes: Vec<char>,
    longest: usize,
}

impl Network {
    /// Checks that the model takes letters and gives phonemes by reading one word.
    ///
    /// # Errors
    /// What is wrong with the model.
    pub(crate) fn new(model: Model, file: File) -> Result<Self, String> {
        let input = model.node_id("chars").map_err(|e| e.to_string())?;
        let output = *model.output_ids().first().ok_or("it has no output")?;
        let letters = file.letters.into_iter().zip(1..).collect();
        let network =
            Self { model, input, output, letters, phonemes: file.phonemes, longest: file.maxlen };
        network.run("word")?;
        Ok(network)
    }

    /// `None` when the word has no letter that the network knows.
    pub(crate) fn read(&self, word: &str) -> Option<String> {
        self.run(word).ok().filter(|phonemes| !phonemes.is_empty())
    }

    fn run(&self, word: &str) -> Result<String, String> {
        let known = word.chars().filter_map(|c| self.letters.get(&c).copied());
        let ids: Vec<i32> = known.take(self.longest).collect();
        if ids.is_empty() {
            return Ok(String::new());
        }
        let ids = NdTensor::from_data([1, ids.len()], ids);
        let outputs = self.model.run(vec![(self.input, ids.into())], &[self.output], None);
        let slots = outputs.map_err(|e| e.to_string())?.pop().ok_or("it gave nothing")?;
        let slots: NdTensor<i32, 2> =
            slots.try_into().map_err(|_| "its output is not [1, n] integers")?;
        let mut spoken = String::new();
        let mut last = 0;
        for slot in slots.iter().copied() {
            if slot != last && slot > 0 {
                spoken.extend(self.phonemes.get(slot as usize - 1));
            }
            last = slot;
        }
        Ok(spoken)
    }
}
