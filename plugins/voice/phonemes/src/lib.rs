//! English text to sentences of phonemes and ids for the hibari voice.
//!
//! Text is cut into sentences, each is put into words as it is read aloud, cut into tokens, tagged by part of speech and
//! looked up; words that no dictionary has are read by a small network. All of it is data beside the voice:
//! `vocab.json`, `lexicon_us_gold.json.gz`, `lexicon_us_silver.json.gz`, `tagger.json.gz`,
//! `tokenizer_exceptions.json`, `normalize.json`, `oov.json` and `oov.onnx`.

mod dictionary;
mod endings;
mod ids;
mod lexicon;
mod normalise;
mod numbers;
mod oov;
mod open;
mod phonemizer;
mod pieces;
mod sentences;
mod speak;
mod stress;
mod strings;
mod tag_file;
mod tagger;
mod tokens;

pub use numbers::cardinal;
pub use open::Error;
pub use phonemizer::{MAX_IDS, Phonemizer, Sentence, Sentences};
