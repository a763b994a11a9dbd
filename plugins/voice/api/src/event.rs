//! What is told of streams, speech and turns: the events of `voice.event`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SpeechFormat;

/// An event with its place in its stream or turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Numbered {
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// Counts from 0 what was made; a hole means that something was dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A word of a segment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    /// As it is written.
    pub text: String,
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Speaker {
    /// `S1`, `S2` in order of first appearance, or the label of whoever is enrolled.
    pub label: String,
    /// The cosine with the nearest print of whoever is enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Whether the label is of whoever is enrolled.
    pub enrolled: bool,
}

/// What was said without a pause. Times count from the first sample of the stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// Counts from 0 in its stream.
    pub segment_id: u64,
    /// Empty if nothing was said.
    pub text: String,
    /// Where it begins.
    pub start_ms: u64,
    /// Where it ends.
    pub end_ms: u64,
    /// 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The language that was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Speaker>,
    /// Which channel it was heard on, where they are kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u16>,
    /// Its words, if they were asked for and the provider has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

/// What a provider can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Caps {
    /// Whether there are partials.
    pub partials: bool,
    /// Whether words have times.
    pub words: bool,
    /// Whether speakers are told apart in this stream.
    pub diarizer: bool,
    /// The languages that it knows, if it knows only some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<Vec<String>>,
}

/// Why a segment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinalReason {
    /// Nobody spoke on.
    Silence,
    /// It was as long as one may be.
    MaxLength,
    /// The client said so.
    Flush,
    /// The stream stopped.
    Stop,
    /// The provider said so.
    Provider,
}

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The client stopped it.
    Stop,
    /// Its source came to its end.
    End,
    /// No sound came for long.
    Idle,
    /// Its connection went.
    Disconnect,
    /// It could not go on.
    Error,
    /// The daemon stops.
    Shutdown,
}

/// What went wrong without ending the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// A binary frame found no room.
    Overrun,
    /// A binary frame's payload does not fit the stream.
    BadFrame,
    /// Binary frames are missing.
    ClockGap,
    /// A decode takes very long.
    ProviderSlow,
    /// Binary frames came twice or late.
    FramesIgnored,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The provider failed.
    ProviderFailed,
    /// The provider refused its key.
    ProviderAuth,
    /// The provider wants fewer requests.
    ProviderLimit,
    /// The provider could not be loaded.
    LoadFailed,
    /// The source broke off.
    SourceLost,
    /// A limit was reached.
    Limit,
    /// The client did not take its events.
    SlowReader,
    /// Nothing was made for long.
    Stalled,
}

/// What happened. `start_ms`, `end_ms` and `at_ms` count from the first sample of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The provider is open.
    SessionStarted {
        /// The provider's id.
        provider: String,
        /// The model that it uses.
        model: String,
        /// Of the sound that is pushed, in Hz.
        sample_rate: u32,
        /// Of the sound that is pushed.
        channels: u16,
        /// What the provider can do.
        caps: Caps,
    },
    /// Every 500 ms of sound, if it was asked for.
    AudioMeta {
        /// Of these 500 ms, in dB below full scale; -120 for silence.
        level_db: f64,
        /// Whether a sample is at full scale.
        clipped: bool,
        /// Sound that waits for the provider.
        buffered_ms: u64,
        /// Where in the stream.
        position_ms: u64,
    },
    /// Somebody speaks.
    SpeechStarted {
        /// The segment that begins.
        segment_id: u64,
        /// The onset of the speech.
        at_ms: u64,
    },
    /// The text so far. It replaces the former one of its segment.
    Partial {
        /// Its segment.
        segment_id: u64,
        /// All of its text.
        text: String,
        /// The beginning of it that does not change any more.
        stable_text: String,
        /// Where the segment begins.
        start_ms: u64,
        /// Up to where it was heard.
        end_ms: u64,
        /// The language that was heard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        language: Option<String>,
        /// Who speaks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        speaker: Option<Speaker>,
    },
    /// Probably the final text.
    Preflight {
        /// Its segment.
        segment_id: u64,
        /// All of its text.
        text: String,
        /// The probability that the speaker is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        eot_probability: Option<f64>,
    },
    /// Nobody speaks any more.
    SpeechStopped {
        /// The segment that ends.
        segment_id: u64,
        /// The last moment with voice.
        at_ms: u64,
        /// How long it has been silent.
        silence_ms: u64,
    },
    /// The text of a segment, for good.
    Final {
        /// The segment.
        #[serde(flatten)]
        segment: Segment,
        /// Why it ended.
        reason: FinalReason,
        /// From when its last voiced moment came in to when its text was there.
        latency_ms: u64,
    },
    /// The segment with its speaker settled.
    Transcript {
        /// The segment.
        #[serde(flatten)]
        segment: Segment,
    },
    /// A later look changed the speaker of an earlier `transcript`.
    SpeakerCorrected {
        /// Its segment.
        segment_id: u64,
        /// Who it was.
        speaker: Speaker,
    },
    /// Speech cancelled what the connection was being told.
    BargeIn {
        /// The onset of the speech.
        at_ms: u64,
        /// The speech streams that ended.
        stream_ids: Vec<String>,
        /// The turn that ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn_id: Option<u64>,
    },
    /// Something is not as it should be.
    Warning {
        /// What.
        code: WarningCode,
        /// In words.
        message: String,
        /// Sound that was lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped_ms: Option<u64>,
    },
    /// Something failed.
    Error {
        /// What.
        code: ErrorCode,
        /// In words.
        message: String,
        /// Whether the stream ends with it.
        fatal: bool,
        /// When to try again, if the provider says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The last event of a stream.
    SessionStopped {
        /// Why it ended.
        reason: EndReason,
        /// How long its sound was.
        audio_ms: u64,
        /// How much of it was speech.
        speech_ms: u64,
        /// How much of it was lost.
        dropped_ms: u64,
        /// How many segments it had.
        segments: u64,
    },
    /// Speech is about to come.
    TtsStarted {
        /// Its stream.
        stream_id: String,
        /// What its chunks are.
        format: SpeechFormat,
        /// In Hz.
        sample_rate: u32,
        /// Always 1.
        channels: u16,
    },
    /// A piece of speech; its `seq` counts the chunks.
    TtsChunk {
        /// Its stream.
        stream_id: String,
        /// The bytes in standard base64; may be empty in the last chunk.
        audio_b64: String,
        /// What the bytes are.
        format: SpeechFormat,
        /// Whether it is the last one.
        is_final: bool,
    },
    /// The speech broke off; nothing follows.
    TtsError {
        /// Its stream.
        stream_id: String,
        /// What went wrong.
        code: ErrorCode,
        /// In words.
        message: String,
    },
    /// A turn goes on.
    #[serde(untagged)]
    Turn(TurnEvent),
}

/// What happens in a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum TurnEvent {
    /// Say this while the slow track works.
    #[serde(rename = "voice.turn.bridge")]
    Bridge {
        /// The turn.
        turn_id: u64,
        /// `email`, `calendar`, `search` or `unknown`.
        kind: String,
        /// What to say.
        phrase: String,
    },
    /// A piece of the fast answer.
    #[serde(rename = "voice.turn.fast_delta")]
    FastDelta {
        /// The turn.
        turn_id: u64,
        /// The piece.
        text: String,
    },
    /// The fast answer is whole, or broke off.
    #[serde(rename = "voice.turn.fast_done")]
    FastDone {
        /// The turn.
        turn_id: u64,
        /// From the start of the turn to the first piece.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first_delta_ms: Option<u64>,
    },
    /// The slow answer; ends the turn.
    #[serde(rename = "voice.turn.sidecar")]
    Sidecar {
        /// The turn.
        turn_id: u64,
        /// The answer.
        text: String,
        /// From the start of the turn to the answer.
        latency_ms: u64,
    },
    /// There is no slow answer; ends the turn.
    #[serde(rename = "voice.turn.error")]
    Error {
        /// The turn.
        turn_id: u64,
        /// Why.
        error: String,
    },
    /// Somebody ended the turn.
    #[serde(rename = "voice.turn.cancelled")]
    Cancelled {
        /// The turn.
        turn_id: u64,
    },
}

impl Event {
    /// Whether a client that is slow may miss it.
    pub const fn is_droppable(&self) -> bool {
        matches!(self, Self::AudioMeta { .. } | Self::Partial { .. } | Self::Preflight { .. })
    }
}
