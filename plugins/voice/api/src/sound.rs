//! Sound as providers hand it over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the bytes of a chunk or a file of speech are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpeechFormat {
    /// MPEG layer III.
    Mp3,
    /// A whole WAV file.
    Wav,
    /// 16-bit signed little-endian samples without a header.
    Pcm,
}

/// A piece of speech.
#[derive(Debug, Clone, PartialEq)]
pub enum Sound {
    /// Samples between -1 and 1, one channel.
    Samples(Vec<f32>),
    /// Bytes of a format that is not taken apart, and how long they sound.
    Encoded {
        /// The bytes.
        bytes: Vec<u8>,
        /// How long they sound.
        duration_ms: u64,
    },
}
