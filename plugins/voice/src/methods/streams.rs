//! `voice.transcribe_stream.*` and `voice.sessions.list`.

use carport_core::{Access, Caller, Method, Result, Time};
use carport_voice_api::{AudioSource, NewStream, OwnerMay, Segment, StreamOptions};
use carport_voice_audio::Ring;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode;
use crate::{
    Voice, ids,
    stream::{
        Admission, HeldBack, MAX_PUSH, check_push,
        settings::{check_options, check_source},
    },
};

/// Opens a stream of this connection; what is heard comes as `voice.event`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StartStream {
    /// `[A-Za-z0-9._:-]`, unique on this connection; 32 lower-case hex digits for binary frames.
    #[schemars(length(min = 1, max = 64))]
    pub session_id: String,
    /// Where the sound comes from; the client pushes 16 kHz s16le mono if absent.
    pub audio_source: Option<AudioSource>,
    /// How it is understood.
    pub options: Option<StreamOptions>,
}

/// A stream is open.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamStarted {
    /// Its id.
    pub session_id: String,
    /// Always `listening`.
    pub status: String,
    /// The provider's id.
    pub provider: String,
    /// The model that it uses.
    pub model: String,
    /// Of the sound that is pushed, in Hz.
    pub sample_rate: u32,
    /// Of the sound that is pushed.
    pub channels: u16,
    /// Whether the id can be in binary frames.
    pub binary: bool,
    /// What may be pushed.
    pub limits: StreamLimits,
}

/// What may be pushed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamLimits {
    /// Sound that may wait.
    pub buffer_ms: u64,
    /// Bytes of one push.
    pub max_push_bytes: usize,
}

impl Method for StartStream {
    const NAME: &'static str = "voice.transcribe_stream.start";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Voice;
    type Reply = StreamStarted;

    fn validate(&self) -> Result<()> {
        ids::check("session_id", &self.session_id)?;
        self.audio_source.as_ref().map_or(Ok(()), check_source)?;
        self.options.as_ref().map_or(Ok(()), check_options)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<StreamStarted> {
        let new = NewStream {
            owner: Some(caller.session().clone()),
            session_id: self.session_id.clone(),
            source: self.audio_source.unwrap_or_default(),
            options: self.options.unwrap_or_default(),
            ..NewStream::default()
        };
        let may_hear = voice.hub.may_hear(caller.identity());
        let stream = Admission::check(&voice.hub, new, may_hear)?.open(&voice.hub)?;
        let opening = stream.opening.clone();
        let held = HeldBack(stream);
        caller.after_reply(move || drop(held));
        Ok(StreamStarted {
            binary: ids::raw(&self.session_id).is_some(),
            session_id: self.session_id,
            status: "listening".into(),
            provider: opening.provider,
            model: opening.model,
            sample_rate: opening.sample_rate,
            channels: opening.channels,
            limits: StreamLimits { buffer_ms: Ring::LIMIT_MS, max_push_bytes: MAX_PUSH },
        })
    }
}

/// Pushes sound to a stream; all of it is taken, or nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PushSound {
    /// The stream.
    #[schemars(length(min = 1, max = 64))]
    pub session_id: String,
    /// Whole sample frames in standard base64, at most 1 MiB of them.
    #[schemars(length(max = 1_398_104))]
    pub pcm_b64: String,
}

/// Sound was taken.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pushed {
    /// The stream.
    pub session_id: String,
    /// Always `listening`.
    pub status: String,
    /// Bytes that were taken.
    pub accepted_bytes: usize,
    /// Sound that waits for the provider.
    pub buffered_ms: u64,
    /// Where the end of the push lies in the stream.
    pub position_ms: u64,
}

impl Method for PushSound {
    const NAME: &'static str = "voice.transcribe_stream.push";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Voice;
    type Reply = Pushed;

    fn validate(&self) -> Result<()> {
        ids::check("session_id", &self.session_id)?;
        let text = self.pcm_b64.as_bytes();
        let padding = text.iter().rev().take_while(|it| **it == b'=').count();
        check_push(text.len().div_ceil(4) * 3 - padding.min(2))
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<Pushed> {
        let stream = voice.hub.stream_to(OwnerMay::Push, caller.session(), &self.session_id)?;
        let accepted = stream.push(&decode("pcm_b64", &self.pcm_b64)?)?;
        Ok(Pushed {
            session_id: self.session_id,
            status: "listening".into(),
            accepted_bytes: accepted.bytes,
            buffered_ms: accepted.buffered_ms,
            position_ms: accepted.position_ms,
        })
    }
}

/// Ends the open segment of a stream now, as push-to-talk wants.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FlushStream {
    /// The stream.
    #[schemars(length(min = 1, max = 64))]
    pub session_id: String,
}

/// What is heard after this belongs to another segment.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Flushed {
    /// The stream.
    pub session_id: String,
    /// The segment that was open by the last that was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<u64>,
}

impl Method for FlushStream {
    const NAME: &'static str = "voice.transcribe_stream.flush";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Flushed;

    fn validate(&self) -> Result<()> {
        ids::check("session_id", &self.session_id)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<Flushed> {
        let stream = voice.hub.stream_to(OwnerMay::Push, caller.session(), &self.session_id)?;
        let segment_id = stream.flush()?;
        Ok(Flushed { session_id: self.session_id, segment_id })
    }
}

/// Stops a stream; its last event has left when this is answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StopStream {
    /// The stream.
    #[schemars(length(min = 1, max = 64))]
    pub session_id: String,
    /// Whether what was pushed is still heard, for 10 s at most; true if absent.
    pub drain: Option<bool>,
}

/// What a stream was.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// Its id, which is free now.
    pub session_id: String,
    /// Always `stopped`.
    pub status: String,
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

impl Method for StopStream {
    const NAME: &'static str = "voice.transcribe_stream.stop";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Stopped;

    fn validate(&self) -> Result<()> {
        ids::check("session_id", &self.session_id)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<Stopped> {
        let stream = voice.hub.stream_to(OwnerMay::Stop, caller.session(), &self.session_id)?;
        let summary = stream.stop(self.drain.unwrap_or(true)).await?;
        Ok(Stopped {
            session_id: self.session_id,
            status: "stopped".into(),
            transcript: summary.transcript,
            segments: summary.segments,
            audio_ms: summary.audio_ms,
            speech_ms: summary.speech_ms,
            dropped_ms: summary.dropped_ms,
            truncated: summary.truncated,
        })
    }
}

/// Lists the streams of this connection; the host sees all.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListStreams {}

/// One stream.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamRow {
    /// Its id.
    pub session_id: String,
    /// `listening` or `stopping`.
    pub status: String,
    /// The provider's id.
    pub provider: String,
    /// The model that it uses.
    pub model: String,
    /// `pcm_push`, `file` or `mic`.
    pub source: String,
    /// When it was opened.
    pub started_at: Time,
    /// How long its sound is so far.
    pub audio_ms: u64,
    /// How much of it waits for the provider.
    pub buffered_ms: u64,
    /// Whose it is; only the host is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

impl Method for ListStreams {
    const NAME: &'static str = "voice.sessions.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Vec<StreamRow>;

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<Vec<StreamRow>> {
        let (is_host, own) = (caller.is_host(), Some(caller.session().serial()));
        let streams = voice.hub.streams.lock();
        let listed = streams.values().filter(|it| is_host || it.key.0 == own);
        let row = listed.map(|stream| {
            let (audio_ms, buffered_ms) = stream.lengths_ms();
            let owner = stream.owner.as_ref().filter(|_| is_host);
            StreamRow {
                session_id: stream.key.1.clone(),
                status: stream.status().into(),
                provider: stream.opening.provider.clone(),
                model: stream.opening.model.clone(),
                source: stream.source.into(),
                started_at: stream.started_at,
                audio_ms,
                buffered_ms,
                client_id: owner.map(|it| it.id().to_owned()),
            }
        });
        Ok(row.collect())
    }
}
