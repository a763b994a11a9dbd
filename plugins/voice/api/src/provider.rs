//! What turns sound into text, text into sound, and sound into a voice print.

use std::sync::Arc;

use carport_core::Result as Answer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Caps, Ear, Listen, Out, Recogniser, Say, SpeechFormat};

/// What a provider says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// A word that names it, `[a-z0-9_-]{1,64}`.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// Whether it gives something before it is at the end.
    pub streaming: bool,
}

/// What a provider lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{remedy}")]
pub struct Unready {
    /// What is missing: a file, a key, a program.
    pub missing: String,
    /// What is missing and how to get it, in one line.
    pub remedy: String,
}

/// How a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// In some other way.
    Failed,
    /// Its key was refused.
    Auth,
    /// It wants fewer requests, or there is no credit.
    Limit,
    /// It could not be loaded.
    Load,
}

/// What a provider failed with. The message is shown to clients, so it names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// In what way.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// When to try again, if it says so.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure that says no time.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after_ms: None }
    }
}

/// Whether a provider's files are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PreparedStatus {
    /// They are whole, and loaded.
    Ready,
    /// They are not there.
    Missing,
    /// They are being fetched.
    Fetching,
}

/// What preparing a provider came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prepared {
    /// Whether it would work now.
    pub ready: bool,
    /// Whether its files are there.
    pub status: PreparedStatus,
    /// Where they are, or are looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// In words.
    pub detail: String,
    /// What was loaded, if it is a model in files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelFacts>,
}

/// A model in files, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelFacts {
    /// The name of the model and of its directory.
    pub id: String,
    /// An SPDX expression.
    pub license: String,
    /// Where the files come from, in words.
    pub source: String,
    /// The bytes of all files.
    pub bytes: u64,
}

impl Prepared {
    /// What a provider without files of its own says.
    pub fn of(ready: &Result<(), Unready>) -> Self {
        match ready {
            Ok(()) => Self {
                ready: true,
                status: PreparedStatus::Ready,
                path: None,
                detail: "there is nothing to load".into(),
                model: None,
            },
            Err(unready) => Self {
                ready: false,
                status: PreparedStatus::Missing,
                path: None,
                detail: unready.remedy.clone(),
                model: None,
            },
        }
    }
}

/// Turns sound into text.
pub trait SpeechToText: Send + Sync {
    /// Who it is.
    fn about(&self) -> About;

    /// Whether it would work now. Quick: it looks for files and keys and loads nothing.
    ///
    /// # Errors
    /// What is missing.
    fn ready(&self) -> Result<(), Unready>;

    /// Whether it only waits for a server or a program. It takes no place from those who compute then.
    fn waits(&self) -> bool {
        false
    }

    /// Whether it can do what a stream asks, without loading anything: the model that it would use, and
    /// what it can do.
    ///
    /// # Errors
    /// `-32602` naming `options.language` or `options.model`.
    fn check(&self, listen: &Listen) -> Answer<(String, Caps)>;

    /// Opens a recogniser; loads what it needs, and takes the time for it. `ear` is for
    /// [`Recogniser::Stream`]. A stream whose two channels are heard apart opens two.
    ///
    /// # Errors
    /// The stream ends with what went wrong.
    fn open(&self, listen: &Listen, ear: Ear) -> Result<Recogniser, Failure>;

    /// Verifies its files and loads them once; fetches them only if that is allowed. May take its time.
    ///
    /// # Errors
    /// The files are there and cannot be used.
    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        Ok(Prepared::of(&self.ready()))
    }
}

/// Turns text into sound.
pub trait TextToSpeech: Send + Sync {
    /// Who it is.
    fn about(&self) -> About;

    /// Whether it would work now. Quick: it looks for files and keys and loads nothing.
    ///
    /// # Errors
    /// What is missing.
    fn ready(&self) -> Result<(), Unready>;

    /// Whether it only waits for a server or a program. It takes no place from those who compute then.
    fn waits(&self) -> bool {
        false
    }

    /// Its voices, the one that it takes by itself first.
    fn voices(&self) -> Vec<String>;

    /// Of its sound, in Hz; one channel.
    fn sample_rate(&self) -> u32;

    /// Formats that it hands over as [`Sound::Encoded`](crate::Sound::Encoded); WAV and PCM are made of its
    /// samples by the plugin.
    fn encodes(&self) -> &[SpeechFormat] {
        &[]
    }

    /// Whether it takes a reference recording or an instruction.
    fn clones(&self) -> bool {
        false
    }

    /// Whether it can say this, without loading anything.
    ///
    /// # Errors
    /// `-32602` naming `voice`, `language` or `model`.
    fn check(&self, say: &Say) -> Answer<()>;

    /// Speaks, sentence by sentence: each call of `out` is one chunk, and the first comes before the last
    /// is made. Returns early when `out` breaks off. May take its time; runs on a thread of its own.
    ///
    /// # Errors
    /// The speech ends with what went wrong.
    fn speak(&self, say: &Say, out: Out<'_>) -> Result<(), Failure>;

    /// As [`SpeechToText::prepare`].
    ///
    /// # Errors
    /// The files are there and cannot be used.
    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        Ok(Prepared::of(&self.ready()))
    }
}

/// Who speaks, as a point: near ones are one person. It never leaves the daemon.
#[derive(Clone, PartialEq)]
pub struct Voiceprint {
    /// Of length 1; empty without voice.
    pub vector: Vec<f32>,
    /// How much of the sound was voice.
    pub voiced_ms: u64,
}

/// Turns sound into voice prints.
pub trait SpeakerPrints: Send + Sync {
    /// Who it is.
    fn about(&self) -> About;

    /// Whether it would work now.
    ///
    /// # Errors
    /// What is missing.
    fn ready(&self) -> Result<(), Unready>;

    /// From which cosine two prints are one person's.
    fn threshold(&self) -> f32 {
        0.75
    }

    /// The print of samples at 16 kHz. May take its time.
    ///
    /// # Errors
    /// The model failed.
    fn print(&self, samples: &[f32]) -> Result<Voiceprint, Failure>;

    /// As [`SpeechToText::prepare`].
    ///
    /// # Errors
    /// The files are there and cannot be used.
    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        Ok(Prepared::of(&self.ready()))
    }
}

/// A provider of one kind.
#[derive(Clone)]
pub enum Provider {
    /// Sound into text.
    Stt(Arc<dyn SpeechToText>),
    /// Text into sound.
    Tts(Arc<dyn TextToSpeech>),
    /// Sound into voice prints.
    Speakers(Arc<dyn SpeakerPrints>),
}

/// What a provider is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Sound into text.
    Stt,
    /// Text into sound.
    Tts,
}

/// A row of `voice.providers.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProviderRow {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub kind: ProviderKind,
    /// Whether it is compiled into this build.
    pub available: bool,
    /// One line for people.
    pub description: String,
    /// Whether it would work now.
    pub ready: bool,
    /// What is missing and how to get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it is taken where a call names none.
    pub default: bool,
    /// Whether it gives something before it is at the end.
    pub streaming: bool,
    /// Its voices, if it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voices: Option<Vec<String>>,
}
