//! `voice.tts_stream.*`: speech out.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_voice_api::{SpeechFormat, SpeechOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Voice, ids,
    speech::{MOST_TEXT, Talk, check_options},
};

/// Speaks a text; the sound comes as `voice.event` or in binary frames.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StartSpeech {
    /// `[A-Za-z0-9._:-]`, unique among the speech of this connection; 32 lower-case hex digits for binary
    /// frames.
    #[schemars(length(min = 1, max = 64))]
    pub stream_id: String,
    /// What is said.
    #[schemars(length(min = 1, max = 16_384))]
    pub text: String,
    /// How it is said.
    pub options: Option<SpeechOptions>,
}

/// Speech is being made.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpeechStarted {
    /// Its id.
    pub stream_id: String,
    /// Whether the sound comes in binary frames.
    pub binary_frames: bool,
    /// What the chunks are.
    pub format: SpeechFormat,
    /// In Hz.
    pub sample_rate: u32,
    /// Always 1.
    pub channels: u16,
}

impl Method for StartSpeech {
    const NAME: &'static str = "voice.tts_stream.start";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Voice;
    type Reply = SpeechStarted;

    fn validate(&self) -> Result<()> {
        ids::check("stream_id", &self.stream_id)?;
        bounds::bytes("text", &self.text, 1..=MOST_TEXT)?;
        self.options.as_ref().map_or(Ok(()), check_options)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<SpeechStarted> {
        let Self { stream_id, text, options } = self;
        let options = options.unwrap_or_default();
        let talk = Talk::start(&voice.hub, caller.session(), stream_id.clone(), text, &options)?;
        let started = SpeechStarted {
            stream_id,
            binary_frames: options.binary_frames.unwrap_or_default(),
            format: talk.making.format,
            sample_rate: talk.making.sample_rate,
            channels: 1,
        };
        caller.after_reply(move || talk.go_live());
        Ok(started)
    }
}

/// Cancels speech; none of its sound is sent after the reply.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CancelSpeech {
    /// The speech.
    #[schemars(length(min = 1, max = 64))]
    pub stream_id: String,
}

/// The speech has ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpeechCancelled {
    /// The speech.
    pub stream_id: String,
    /// Whether this call ended it.
    pub cancelled: bool,
}

impl Method for CancelSpeech {
    const NAME: &'static str = "voice.tts_stream.cancel";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = SpeechCancelled;

    fn validate(&self) -> Result<()> {
        ids::check("stream_id", &self.stream_id)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<SpeechCancelled> {
        let talks = voice.hub.talks_of(caller.session());
        let mut cancelled = false;
        if let Some(talk) = talks.into_iter().find(|it| it.key.1 == self.stream_id) {
            cancelled = talk.cancel();
            talk.done().await;
        }
        Ok(SpeechCancelled { stream_id: self.stream_id, cancelled })
    }
}

/// Lists the speech of this connection, in order of starting.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListSpeech {}

/// The speech of a connection.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpeechList {
    /// Ids, in order of starting.
    pub streams: Vec<String>,
}

impl Method for ListSpeech {
    const NAME: &'static str = "voice.tts_stream.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = SpeechList;

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<SpeechList> {
        let talks = voice.hub.talks_of(caller.session());
        Ok(SpeechList { streams: talks.iter().map(|it| it.key.1.clone()).collect() })
    }
}
