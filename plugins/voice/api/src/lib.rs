//! What other crates may ask of the voice plugin: streams in, speech out, and a place for their providers.

mod event;
mod provider;
mod recogniser;
mod sound;
mod source;
mod speech;

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Result, ServiceKey, Session, Time};

pub use event::{
    Caps, EndReason, ErrorCode, Event, FinalReason, Numbered, Segment, Speaker, TurnEvent,
    WarningCode, Word,
};
pub use provider::{
    About, Failure, FailureKind, ModelFacts, Prepared, PreparedStatus, Provider, ProviderKind,
    ProviderRow, SpeakerPrints, SpeechToText, TextToSpeech, Unready, Voiceprint,
};
pub use recogniser::{
    Activity, Decoded, Decoder, Ear, FRAME_SAMPLES, Heard, Listen, Listener, Pass, Recogniser,
    SAMPLE_RATE,
};
pub use sound::{Sound, SpeechFormat};
pub use source::{AudioSource, PcmFormat, StreamOptions, VadOptions};
pub use speech::{Cancel, Out, Say, Speech, SpeechChunk, SpeechOptions};

/// The key of the service.
pub const VOICE: ServiceKey<dyn Voice> = ServiceKey::named("voice");

/// Hears every event of a stream, in order, where it is made. It runs under the stream's lock: quick
/// plain code that calls the stream back in no way.
pub type Sink = Arc<dyn Fn(&Numbered) + Send + Sync>;

/// A stream that is to be opened.
#[derive(Default)]
pub struct NewStream {
    /// Who hears its events as `voice.event`, and with whom it ends; a stream without an owner outlives
    /// every connection.
    pub owner: Option<Arc<Session>>,
    /// `[A-Za-z0-9._:-]{1,64}`, unique among the streams of its owner.
    pub session_id: String,
    /// Where the sound comes from.
    pub source: AudioSource,
    /// How it is understood.
    pub options: StreamOptions,
    /// Who else hears its events.
    pub sink: Option<Sink>,
    /// What no client can ask for.
    pub terms: Terms,
}

/// What only other plugins may ask of a stream. By default it is one as clients open them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether the channels of a source that has two are heard apart. Each has segments of its own, which
    /// carry its number; ids of segments and labels of speakers are those of the stream.
    pub tracks: bool,
    /// What the methods let the owner's connection do.
    pub owner_may: OwnerMay,
    /// Whether it goes on without its owner's connection, until it is stopped or has no sound for long.
    pub outlives_owner: bool,
}

/// What the owner's connection may do with a stream beside hearing it. Anything more is refused with
/// `-32008`, and binary frames are dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerMay {
    /// Nothing.
    Hear,
    /// Push sound and flush.
    Push,
    /// Stop it as well.
    #[default]
    Stop,
}

/// What a stream said when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The provider's id.
    pub provider: String,
    /// The model that it uses.
    pub model: String,
    /// Of the sound that is pushed, in Hz.
    pub sample_rate: u32,
    /// Of the sound that is pushed.
    pub channels: u16,
}

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Bytes that were taken.
    pub bytes: usize,
    /// Sound that waits for the provider.
    pub buffered_ms: u64,
    /// Where the end of the push lies in the stream.
    pub position_ms: u64,
}

/// What a stream was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// The texts of its segments, joined with one blank.
    pub transcript: String,
    /// Its last 2000 segments.
    pub segments: Vec<Segment>,
    /// How long its sound was.
    pub audio_ms: u64,
    /// How much of it was speech.
    pub speech_ms: u64,
    /// How much of it was lost.
    pub dropped_ms: u64,
    /// Whether something is missing because nobody waited for it.
    pub truncated: bool,
}

/// A stream that is open. Dropping the handle lets its events out and does not end it.
#[async_trait]
pub trait Stream: Send + Sync {
    /// What it said when it was opened.
    fn opening(&self) -> Opening;

    /// When the first sample that came in was heard, if one has come: that many milliseconds of its push
    /// before that came. A file counts as heard when it is read.
    fn began(&self) -> Option<Time>;

    /// Lets its events out; before, they wait. For whoever answers a call first.
    fn go_live(&self);

    /// Takes whole sample frames of the source's format, 1 MiB at most.
    ///
    /// # Errors
    /// The stream has ended (`-32007`), is fed by the daemon (`-32008`), has no room (`-32009`), or the
    /// bytes are no whole frames (`-32602`). Nothing of the push is taken then.
    fn push(&self, pcm: &[u8]) -> Result<Accepted>;

    /// Ends the open segment now. Returns its number, if one was open by the last that was heard.
    ///
    /// # Errors
    /// The stream has ended (`-32007`).
    fn flush(&self) -> Result<Option<u64>>;

    /// Ends it. With `drain`, waits at most 10 s for what was pushed. Every event has gone out when this
    /// returns.
    ///
    /// # Errors
    /// The stream has ended (`-32007`).
    async fn stop(&self, drain: bool) -> Result<Summary>;
}

/// The voice, as other plugins see it.
#[async_trait]
pub trait Voice: Send + Sync {
    /// Adds a provider; it is there for every call that comes later.
    ///
    /// # Errors
    /// There is one of this kind and id already (`-32008`).
    fn register(&self, provider: Provider) -> Result<()>;

    /// Every provider, by kind and id.
    fn providers(&self) -> Vec<ProviderRow>;

    /// Opens a stream. Its events wait for [`Stream::go_live`].
    ///
    /// # Errors
    /// As `voice.transcribe_stream.start`.
    fn open(&self, new: NewStream) -> Result<Arc<dyn Stream>>;

    /// Makes speech of a text of 1 byte to 16 KiB.
    ///
    /// # Errors
    /// As `voice.tts_stream.start`. What goes wrong later is in the chunks.
    fn speak(&self, text: String, options: SpeechOptions) -> Result<Speech>;
}
