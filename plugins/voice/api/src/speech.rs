//! Speech out: what is said, how, and the pieces that it comes in.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{Failure, Sound, SpeechFormat};

/// How a text is spoken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpeechOptions {
    /// The provider's id; `local` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
    /// One of the provider's voices; its first if absent.
    #[schemars(length(min = 1, max = 128))]
    pub voice_id: Option<String>,
    /// Whether chunks come as binary frames; the id of the stream is 32 lower-case hex digits then.
    pub binary_frames: Option<bool>,
    /// What the chunks are; `wav` if absent, `pcm` in binary frames.
    pub format: Option<SpeechFormat>,
    /// How fast, 0.5 to 2; 1 if absent.
    #[schemars(range(min = 0.5, max = 2.0))]
    pub speed: Option<f64>,
    /// The language of the text.
    #[schemars(length(min = 1, max = 35))]
    pub language: Option<String>,
}

/// What a provider is asked to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Say {
    /// 1 byte to 16 KiB.
    pub text: String,
    /// The model.
    pub model: Option<String>,
    /// One of the provider's voices.
    pub voice: Option<String>,
    /// The language of the text.
    pub language: Option<String>,
    /// How fast, 0.5 to 2.
    pub speed: f64,
    /// What the chunks have to be, if the provider hands over encoded sound.
    pub format: Option<SpeechFormat>,
    /// A recording to take the voice of, as samples at 16 kHz; only with [`TextToSpeech::clones`](crate::TextToSpeech::clones).
    pub reference: Option<Arc<[f32]>>,
    /// What is said in the recording.
    pub reference_text: Option<String>,
    /// How to speak, in words; only with [`TextToSpeech::clones`](crate::TextToSpeech::clones).
    pub instruction: Option<String>,
    /// Tells that nobody wants the speech any more; for a provider that waits between two chunks.
    pub cancel: Cancel,
}

/// Takes a piece of speech, and waits while too much lies ahead of what was sent. `Break` means that
/// nobody wants more.
pub type Out<'a> = &'a mut dyn FnMut(Sound) -> ControlFlow<()>;

/// Tells whoever works on a thing that nobody wants it any more. Clones tell of the same.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl PartialEq for Cancel {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Cancel {}

impl Cancel {
    /// Nobody wants it any more.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether nobody wants it any more.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The same for code that knows a flag only: it becomes true.
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }
}

/// A piece of speech, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechChunk {
    /// Of the speech's format; may be empty in the last chunk.
    pub bytes: Vec<u8>,
    /// How long it sounds.
    pub duration_ms: u64,
    /// Whether it is the last one.
    pub is_final: bool,
}

/// Speech that is being made. Dropping it cancels the making.
#[derive(Debug)]
pub struct Speech {
    /// What the chunks are.
    pub format: SpeechFormat,
    /// In Hz.
    pub sample_rate: u32,
    /// The provider's id.
    pub provider: String,
    /// At most 10 s of sound lie ahead of what was taken. An error is the last item; without one, exactly
    /// one chunk is the final one.
    pub chunks: mpsc::Receiver<Result<SpeechChunk, Failure>>,
}
