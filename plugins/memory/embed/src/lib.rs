//! Sentence embeddings: texts as directions, near each other where they mean much the same.
//!
//! The encoder is a BERT that lies in a directory, as `sentence-transformers` publishes them: `config.json`,
//! `tokenizer.json` and `model.safetensors` (for instance all-MiniLM-L6-v2). A text's vector is the mean of
//! the last layer over its tokens, as long as 1 (N. Reimers and I. Gurevych, "Sentence-BERT", 2019). It
//! runs on the CPU. The files are an operator's and may be anything: what is wrong with them is an error.

mod error;
mod files;
#[cfg(test)]
mod tests;

use std::{
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use candle_core::{Device, Tensor};
use candle_transformers::models::bert::BertModel;
use tokenizers::{Encoding, Tokenizer};

pub use error::{Failed, Unusable};

/// Tokens of a text that are looked at; the rest of a longer one is not.
pub const MOST_TOKENS: usize = 256;
/// Texts that are computed at once.
const BATCH: usize = 16;

/// An encoder that is ready.
pub struct Embedder {
    tokenizer: Tokenizer,
    model: BertModel,
    /// Numbers of a vector.
    width: usize,
    /// What fills shorter texts up. It does not count.
    padding: u32,
}

impl Embedder {
    /// Reads an encoder's files, as large as they are, and tries it out.
    ///
    /// # Errors
    /// A file is missing or is not what its name says, or the files do not fit together.
    pub fn open(directory: &Path) -> Result<Self, Unusable> {
        let config = files::config(directory)?;
        let tokenizer = files::tokenizer(directory, &config)?;
        let model = files::model(directory, &config)?;
        let (width, padding) = (config.hidden_size, config.pad_token_id as u32);
        let embedder = Self { tokenizer, model, width, padding };
        embedder.embed(&["", "a text"]).map_err(Unusable::Untried)?;
        Ok(embedder)
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The vectors of texts, each as long as 1. An empty text has one, too.
    ///
    /// # Errors
    /// The encoder yields no number for a text, which only one whose weights are broken does.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failed> {
        let mut vectors = Vec::with_capacity(texts.len());
        for some in texts.chunks(BATCH) {
            vectors.extend(self.embed_some(some)?);
        }
        Ok(vectors)
    }

    fn embed_some(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failed> {
        // A tokenizer made of a damaged file may panic, as its reader may. Nothing in it changes.
        let encoded = panic::catch_unwind(AssertUnwindSafe(|| {
            let encode = |text: &&str| self.tokenizer.encode_fast(*text, true);
            texts.iter().map(encode).collect::<Result<Vec<_>, _>>()
        }));
        let encoded = encoded.map_err(|_| Failed::Panicked)?;
        let sums = self.forward(&encoded.map_err(|error| Failed::Tokens(error.to_string()))?)?;
        sums.into_iter().map(unit).collect()
    }

    /// The sums of the last layer over the tokens of each text.
    fn forward(&self, texts: &[Encoding]) -> Result<Vec<Vec<f32>>, candle_core::Error> {
        let longest = texts.iter().map(|text| text.get_ids().len()).max().unwrap_or_default();
        let filled = |of: &dyn Fn(&Encoding) -> Vec<u32>, with| {
            let fill = |text| {
                let mut numbers = of(text);
                numbers.resize(longest, with);
                numbers
            };
            let numbers = texts.iter().flat_map(fill).collect();
            Tensor::from_vec(numbers, (texts.len(), longest), &Device::Cpu)
        };
        let ids = filled(&|text| text.get_ids().to_vec(), self.padding)?;
        let counts = filled(&|text| vec![1; text.get_ids().len()], 0)?;
        let last = self.model.forward(&ids, &ids.zeros_like()?, Some(&counts))?;
        let counts = counts.to_dtype(last.dtype())?.unsqueeze(2)?;
        last.broadcast_mul(&counts)?.sum(1)?.to_vec2()
    }
}

/// The same direction, as long as 1. The mean of a text's tokens and their sum have the same.
fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, Failed> {
    let length = vector.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err(Failed::NoNumber);
    }
    vector.iter_mut().for_each(|it| *it = (f64::from(*it) / length) as f32);
    Ok(vector)
}
