//! What can be wrong with an encoder.

use std::io;

/// Why an encoder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// A file is not there, is no file or cannot be read.
    #[error("`{file}` cannot be read: {error}")]
    Unread {
        /// Its name.
        file: &'static str,
        /// The reason.
        error: io::Error,
    },
    /// A file is larger than any encoder's.
    #[error("`{file}` has {bytes} bytes; at most {most} are read")]
    TooLarge {
        /// Its name.
        file: &'static str,
        /// Its bytes.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// A file is not what its name says, or does not fit the others.
    #[error("`{file}` is not that of a BERT encoder: {reason}")]
    Broken {
        /// Its name.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The files fit together, but nothing comes of them.
    #[error("the encoder does not work: {0}")]
    Untried(Failed),
}

/// Why a text has no vector.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It cannot be split into tokens.
    #[error("a text cannot be split: {0}")]
    Tokens(String),
    /// The computation failed.
    #[error("a text cannot be computed: {0}")]
    Computation(#[from] candle_core::Error),
    /// The result has no direction.
    #[error("a text's vector is no number")]
    NoNumber,
    /// The library that computes it gave up.
    #[error("the encoder panicked")]
    Panicked,
}
