//! Where a stream's sound comes from, and how it is understood.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the sound comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AudioSource {
    /// The client pushes it.
    PcmPush {
        /// In Hz; 16000 if absent.
        #[schemars(range(min = 8000, max = 48_000))]
        sample_rate: Option<u32>,
        /// Interleaved channels, 1 or 2; 1 if absent.
        #[schemars(range(min = 1, max = 2))]
        channels: Option<u16>,
        /// What a sample is; `s16le` if absent.
        format: Option<PcmFormat>,
    },
    /// A WAV file that the daemon reads.
    File {
        /// Under `voice/audio/`, or absolute under one of `voice.audio_roots`.
        #[schemars(length(min = 1, max = 4096))]
        path: String,
        /// Whether it is read no faster than it sounds.
        realtime: Option<bool>,
    },
    /// The daemon's microphone.
    Mic {
        /// Which one; the system's choice if absent.
        #[schemars(length(min = 1, max = 256))]
        device: Option<String>,
    },
}

impl Default for AudioSource {
    fn default() -> Self {
        Self::PcmPush { sample_rate: None, channels: None, format: None }
    }
}

/// What a sample is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PcmFormat {
    /// 16-bit signed, little-endian.
    #[default]
    S16le,
    /// 32-bit float, little-endian, -1 to 1.
    F32le,
    /// 8-bit mu-law, ITU-T G.711.
    Mulaw,
}

impl PcmFormat {
    /// Bytes of a sample.
    pub const fn width(self) -> usize {
        match self {
            Self::S16le => 2,
            Self::F32le => 4,
            Self::Mulaw => 1,
        }
    }
}

/// How the sound is understood.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StreamOptions {
    /// The provider's id; `local` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
    /// The provider's model.
    #[schemars(length(min = 1, max = 128))]
    pub model: Option<String>,
    /// The language that is spoken.
    #[schemars(length(min = 1, max = 35))]
    pub language: Option<String>,
    /// Words that may come up.
    #[schemars(length(max = 4096))]
    pub prompt: Option<String>,
    /// Whether there are `partial` and `preflight` events; true if absent.
    pub streaming: Option<bool>,
    /// Whether there is an `audio_meta` event every 500 ms.
    pub emit_audio_meta: Option<bool>,
    /// Whether speakers are told apart, as `S1`, `S2` in order of first appearance.
    pub diarizer: Option<bool>,
    /// Whether speakers are matched with those enrolled.
    pub enrolled: Option<bool>,
    /// Whether there are `transcript` events; with `diarizer` or `enrolled` if absent.
    pub settled: Option<bool>,
    /// Whether words have times, if the provider has them.
    pub words: Option<bool>,
    /// Whether speech cancels what the connection is being told.
    pub barge_in: Option<bool>,
    /// What the model is told in turns of this stream; empty for nothing, the built-in text if absent.
    #[schemars(length(max = 8192))]
    pub voice_prompt_overlay: Option<String>,
    /// When speech begins and ends.
    pub vad: Option<VadOptions>,
}

/// When speech begins and ends. What is out of bounds is brought to the nearest bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct VadOptions {
    /// From which probability a frame is speech, 0.1 to 0.9; 0.5 if absent.
    pub threshold: Option<f64>,
    /// Speech in a row that begins a segment; 64 if absent.
    pub start_ms: Option<u64>,
    /// Sound before its onset that belongs to a segment; 320 if absent.
    pub preroll_ms: Option<u64>,
    /// Silence after which the text is probably final, at most `end_ms`; 200 if absent.
    pub eager_ms: Option<u64>,
    /// Silence that ends a segment, 200 to 5000; 500 if absent.
    pub end_ms: Option<u64>,
    /// The longest segment, 2000 to 30000; 20000 if absent.
    pub max_segment_ms: Option<u64>,
    /// Time between two `partial` events, 100 to 5000; 400 if absent.
    pub partial_ms: Option<u64>,
}
