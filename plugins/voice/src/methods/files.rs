//! `transcribe` and `synthesize`: whole files.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use carport_voice_api::{Listen, Say, Segment, SpeechFormat, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode;
use crate::{
    Voice,
    oneshot::{Source, Unwanted, apart, hear, samples, whole, write},
    speech::{self, MOST_TEXT, Names, making::Purpose, word},
};

/// Text of a sound file: WAV, and what else can be read; at most 30 minutes.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Transcribe {
    /// Under `voice/audio/`, or absolute under one of `voice.audio_roots`.
    #[schemars(length(min = 1, max = 4096))]
    pub audio_path: Option<String>,
    /// The file in standard base64; wins over the path.
    pub audio_b64: Option<String>,
    /// The provider's model.
    #[schemars(length(min = 1, max = 128))]
    pub model: Option<String>,
    /// The provider's id; `local` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
    /// The language that is spoken.
    #[schemars(length(min = 1, max = 35))]
    pub language: Option<String>,
    /// Words that may come up.
    #[schemars(length(max = 4096))]
    pub prompt: Option<String>,
    /// Whether segments and words are told too.
    pub timestamps: Option<bool>,
}

/// What was said in a file.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transcription {
    /// The texts of its segments, joined with one blank.
    pub text: String,
    /// The language that was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How long the sound is.
    pub duration_ms: u64,
    /// The model that was used.
    pub model_used: String,
    /// The provider's id.
    pub provider: String,
    /// The segments with text, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<Segment>>,
    /// The words, if they were asked for and the provider has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

impl Method for Transcribe {
    const NAME: &'static str = "transcribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Transcription;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("audio_path", self.audio_path.as_deref(), 1..=4096)?;
        bounds::maybe_bytes("model", self.model.as_deref(), 1..=128)?;
        bounds::maybe_bytes("provider", self.provider.as_deref(), 1..=64)?;
        bounds::maybe_bytes("language", self.language.as_deref(), 1..=35)?;
        bounds::maybe_bytes("prompt", self.prompt.as_deref(), 0..=4096)?;
        match self.audio_path.is_some() || self.audio_b64.is_some() {
            true => Ok(()),
            false => Err(RpcError::invalid_params(
                "audio_path",
                "give this, or the sound as `audio_b64`",
            )),
        }
    }

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Transcription> {
        let hub = &voice.hub;
        let _one = hub.one_shot()?;
        let provider = hub.providers.stt("provider", self.provider.as_deref())?;
        let timestamps = self.timestamps.unwrap_or_default();
        let Self { model, language, prompt, .. } = self;
        let unwanted = Unwanted::default();
        let cancel = unwanted.0.clone();
        let listen =
            Listen { model, language: language.clone(), prompt, words: timestamps, cancel };
        let checked = provider.check(&listen);
        let (model_used, _) = checked.map_err(|error| match error.field() {
            Some("options.language") => error.with("field", "language"),
            Some("options.model") => error.with("field", "model"),
            _ => error,
        })?;
        let id = provider.about().id;
        let file = match (&self.audio_b64, &self.audio_path) {
            (None, Some(path)) => Some(hub.files.open("audio_path", path)?),
            _ => None,
        };
        let text = self.audio_b64.unwrap_or_default();
        let waits = provider.waits();
        let heard = apart(hub, waits, move |go_on| {
            let samples = match file {
                Some(file) => samples("audio_path", Source::File(file))?,
                None => samples("audio_b64", Source::Bytes(decode("audio_b64", &text)?))?,
            };
            hear(&*provider, &listen, &samples, go_on)
        });
        let heard = heard.await?;
        let texts: Vec<&str> = heard.segments.iter().map(|it| &*it.text).collect();
        let words = || heard.segments.iter().flat_map(|it| it.words.clone().unwrap_or_default());
        let spoken = heard.segments.iter().find_map(|it| it.language.clone());
        Ok(Transcription {
            text: texts.join(" "),
            language: spoken.or(language),
            duration_ms: heard.duration_ms,
            model_used,
            provider: id,
            words: timestamps.then(|| words().collect::<Vec<_>>()).filter(|it| !it.is_empty()),
            segments: timestamps.then_some(heard.segments),
        })
    }
}

/// Speaks a text into a file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Synthesize {
    /// What is said.
    #[schemars(length(min = 1, max = 16_384))]
    pub text: String,
    /// The provider's model.
    #[schemars(length(min = 1, max = 128))]
    pub model: Option<String>,
    /// The provider's id; `local` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
    /// One of the provider's voices.
    #[schemars(length(min = 1, max = 128))]
    pub voice: Option<String>,
    /// The language of the text.
    #[schemars(length(min = 1, max = 35))]
    pub language: Option<String>,
    /// How fast; 1 if absent.
    #[schemars(range(min = 0.5, max = 2.0))]
    pub speed: Option<f64>,
    /// What the file is; `wav` if absent.
    pub format: Option<SpeechFormat>,
    /// Where it is written, in the place of a file that is there; a new file that goes after an hour if
    /// absent.
    #[schemars(length(min = 1, max = 4096))]
    pub output_path: Option<String>,
    /// A recording to take the voice of, if the provider can.
    #[schemars(length(min = 1, max = 4096))]
    pub reference_audio_path: Option<String>,
    /// What is said in the recording.
    #[schemars(length(max = 4096))]
    pub reference_text: Option<String>,
    /// How to speak, in words, if the provider can.
    #[schemars(length(max = 4096))]
    pub voice_instruction: Option<String>,
    /// Whether the reply holds the file too; always without `output_path`.
    pub return_b64: Option<bool>,
}

/// A text was spoken into a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Synthesized {
    /// Where it is.
    pub audio_path: String,
    /// What it is.
    pub media_type: String,
    /// In Hz.
    pub sample_rate: u32,
    /// How long it sounds.
    pub duration_ms: u64,
    /// The provider's id.
    pub provider: String,
    /// The file in standard base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_b64: Option<String>,
}

impl Synthesize {
    /// What a provider without cloning must not pass over in silence.
    fn cloning(&self) -> Option<&'static str> {
        [
            ("reference_audio_path", self.reference_audio_path.is_some()),
            ("reference_text", self.reference_text.is_some()),
            ("voice_instruction", self.voice_instruction.is_some()),
        ]
        .into_iter()
        .find_map(|(field, is_set)| is_set.then_some(field))
    }

    async fn say(&self, voice: &Voice) -> Result<Say> {
        let provider = voice.hub.providers.tts("provider", self.provider.as_deref())?;
        if let Some(field) = self.cloning().filter(|_| !provider.clones()) {
            let why = format!("provider `{}` cannot take another voice on", provider.about().id);
            return Err(RpcError::invalid_params(field, why));
        }
        let mut reference = None;
        if let Some(path) = &self.reference_audio_path {
            let field = "reference_audio_path";
            let file = voice.hub.files.open(field, path)?;
            let heard =
                apart(&voice.hub, false, move |_| samples(field, Source::File(file))).await?;
            reference = Some(Arc::from(heard));
        }
        Ok(Say {
            text: self.text.clone(),
            model: self.model.clone(),
            voice: self.voice.clone(),
            language: self.language.clone(),
            speed: self.speed.unwrap_or(1.0),
            format: self.format,
            reference,
            reference_text: self.reference_text.clone(),
            instruction: self.voice_instruction.clone(),
            ..Say::default()
        })
    }
}

impl Method for Synthesize {
    const NAME: &'static str = "synthesize";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Synthesized;

    fn validate(&self) -> Result<()> {
        bounds::bytes("text", &self.text, 1..=MOST_TEXT)?;
        bounds::maybe_bytes("model", self.model.as_deref(), 1..=128)?;
        bounds::maybe_bytes("provider", self.provider.as_deref(), 1..=64)?;
        bounds::maybe_bytes("voice", self.voice.as_deref(), 1..=128)?;
        bounds::maybe_bytes("language", self.language.as_deref(), 1..=35)?;
        bounds::within("speed", self.speed.unwrap_or(1.0), 0.5..=2.0)?;
        bounds::maybe_bytes("output_path", self.output_path.as_deref(), 1..=4096)?;
        bounds::maybe_bytes(
            "reference_audio_path",
            self.reference_audio_path.as_deref(),
            1..=4096,
        )?;
        bounds::maybe_bytes("reference_text", self.reference_text.as_deref(), 0..=4096)?;
        bounds::maybe_bytes("voice_instruction", self.voice_instruction.as_deref(), 0..=4096)
    }

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Synthesized> {
        let hub = &voice.hub;
        let _one = hub.one_shot()?;
        let format = self.format.unwrap_or(SpeechFormat::Wav);
        let place = match &self.output_path {
            Some(path) => hub.files.target("output_path", path)?,
            None => hub.files.fresh(hub.clock.now(), word(format))?,
        };
        let names = Names {
            provider: "provider",
            format: "format",
            voice: "voice",
            language: "language",
            speed: "speed",
        };
        let say = self.say(voice).await?;
        let provider = self.provider.as_deref();
        let making = speech::start(hub, say, provider, format, Purpose::File, &names)?;
        let (sample_rate, provider) = (making.sample_rate, making.provider_id.clone());
        let spoken = whole(making).await?;
        let audio_path = place.path().display().to_string();
        let bytes = write(place, spoken.bytes).await?;
        let returns = self.output_path.is_none() || self.return_b64.unwrap_or_default();
        let media_type = match format {
            SpeechFormat::Wav => "audio/wav",
            SpeechFormat::Mp3 => "audio/mpeg",
            SpeechFormat::Pcm => "audio/pcm",
        };
        Ok(Synthesized {
            audio_path,
            media_type: media_type.into(),
            sample_rate,
            duration_ms: spoken.duration_ms,
            provider,
            audio_b64: returns.then(|| STANDARD.encode(bytes)),
        })
    }
}
