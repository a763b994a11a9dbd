//! Reading the voice's text files.

use crate::ids::Vocabulary;
use crate::lexicon::Lexicon;
use crate::normalise::Normaliser;
use crate::oov::Network;
use crate::phonemizer::Phonemizer;
use crate::speak::Speaker;
use crate::tagger::Tagger;
use crate::tokens::Tokenizer;
use flate2::read::GzDecoder;
use rten::Model;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing or cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{} is damaged or of another version: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Bytes of the largest file once unpacked; the tagger's has about 10 MB.
const MAX_BYTES: u64 = 64 << 20;

impl Phonemizer {
    /// Reads the text files of the voice in `dir`. Takes a few tenths of a second and keeps about 18 MB.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Content`], both with the file's path.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let lexicon = Lexicon::new(
            json(dir.join("lexicon_us_gold.json.gz"))?,
            json(dir.join("lexicon_us_silver.json.gz"))?,
        );
        let speaker = Speaker {
            tokenizer: Tokenizer::new(json(dir.join("tokenizer_exceptions.json"))?),
            tagger: Tagger::new(json(dir.join("tagger.json.gz"))?),
            lexicon,
        };
        let normaliser = Normaliser::new(json(dir.join("normalize.json"))?);
        let vocabulary = Vocabulary::new(json(dir.join("vocab.json"))?);
        let path = dir.join("oov.onnx");
        let bytes = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let model = Model::load(bytes)
            .map_err(|e| Error::Content { path: path.clone(), reason: e.to_string() })?;
        let network = Network::new(model, json(dir.join("oov.json"))?)
            .map_err(|reason| Error::Content { path, reason })?;
        Ok(Self { normaliser, speaker, network, vocabulary })
    }
}

/// The JSON in a file, unpacked where its name ends in "gz". Read as it comes, so that it is never held whole.
fn json<T: DeserializeOwned>(path: PathBuf) -> Result<T, Error> {
    let parsed = File::open(&path).map(|file| {
        if path.extension().is_some_and(|end| end == "gz") {
            serde_json::from_reader(BufReader::new(GzDecoder::new(file).take(MAX_BYTES)))
        } else {
            serde_json::from_reader(BufReader::new(file.take(MAX_BYTES)))
        }
    });
    match parsed {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Error::Content { path, reason: e.to_string() }),
        Err(source) => Err(Error::Read { path, source }),
    }
}
