//! Services that speak OpenAI's audio format: `/v1/audio/transcriptions` and `/v1/audio/speech`.

use std::sync::Arc;

use carport_core::{Result as Answer, RpcError};
use carport_voice_api::{
    About, Activity, Cancel, Caps, Decoded, Decoder, Ear, Failure, FailureKind, Listen, Out, Pass,
    Provider, Recogniser, SAMPLE_RATE, Say, SpeechToText, TextToSpeech, Unready, Word,
};
use carport_voice_audio::wav;
use earshot::Detector;
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    ProviderSettings,
    http::{KeyHeader, Remote},
    pieces::{MOST, pieces},
};

/// Where the service is that the format comes from.
const USUAL: &str = "https://api.openai.com";
/// What it usually recognises with.
const STT_MODEL: &str = "whisper-1";
/// What it usually speaks with.
const TTS_MODEL: &str = "tts-1";
/// Its usual voice.
const VOICE: &str = "alloy";
/// Of the `pcm` that it speaks, in Hz.
const SPEECH_RATE: u32 = 24_000;

/// Recognition and speech of one service.
pub(crate) fn providers(name: &str, settings: &ProviderSettings) -> Answer<Vec<Provider>> {
    let or = |text: &Option<String>, usual: &str| text.clone().unwrap_or_else(|| usual.to_owned());
    let service = Arc::new(Service {
        remote: Remote::new(name, settings, USUAL, KeyHeader::Bearer)?,
        stt_model: or(&settings.stt_model, STT_MODEL),
        tts_model: or(&settings.tts_model, TTS_MODEL),
        voices: settings.voices.clone(),
    });
    Ok(vec![
        Provider::Stt(Arc::new(Hearing(service.clone()))),
        Provider::Tts(Arc::new(Speaking(service))),
    ])
}

/// One service.
struct Service {
    remote: Remote,
    stt_model: String,
    tts_model: String,
    /// Any, if empty.
    voices: Vec<String>,
}

impl Service {
    fn about(&self, what: &str, streaming: bool) -> About {
        let description = format!("{what} by a service that speaks OpenAI's audio format");
        About { id: self.remote.name.clone(), description, streaming }
    }
}

/// Whole segments into text. There are no partials: each would send all of its segment again.
struct Hearing(Arc<Service>);

impl Hearing {
    fn model(&self, listen: &Listen) -> String {
        listen.model.clone().unwrap_or_else(|| self.0.stt_model.clone())
    }
}

impl SpeechToText for Hearing {
    fn about(&self) -> About {
        self.0.about("Recognition", false)
    }

    fn ready(&self) -> Result<(), Unready> {
        self.0.remote.ready()
    }

    fn waits(&self) -> bool {
        true
    }

    fn check(&self, listen: &Listen) -> Answer<(String, Caps)> {
        let model = self.model(listen);
        let words = has_words(&model);
        Ok((model, Caps { partials: false, words, diarizer: false, languages: None }))
    }

    fn open(&self, listen: &Listen, _: Ear) -> Result<Recogniser, Failure> {
        let model = self.model(listen);
        let listen = Listen { words: listen.words && has_words(&model), ..listen.clone() };
        Ok(Recogniser::Segments {
            decoder: Box::new(Segments { service: self.0.clone(), model, listen }),
            activity: Box::new(Scores(Detector::default_boxed())),
        })
    }
}

/// Only Whisper tells when its words were said.
fn has_words(model: &str) -> bool {
    model.contains("whisper")
}

struct Scores(Box<Detector>);

impl Activity for Scores {
    fn speech(&mut self, frame: &[f32]) -> f32 {
        // The detector takes nothing beyond full scale.
        let frame: Vec<f32> = frame.iter().map(|it| it.clamp(-1.0, 1.0)).collect();
        self.0.predict_f32(&frame)
    }
}

struct Segments {
    service: Arc<Service>,
    model: String,
    listen: Listen,
}

impl Segments {
    fn form(&self, samples: &[f32]) -> Result<Form, Failure> {
        let failed = |why: String| Failure::new(FailureKind::Failed, why);
        let file = wav(samples, SAMPLE_RATE).map_err(|error| failed(error.to_string()))?;
        let file = Part::bytes(file).file_name("segment.wav").mime_str("audio/wav");
        let file = file.map_err(|_| failed("a segment could not be packed".into()))?;
        let mut form = Form::new().part("file", file).text("model", self.model.clone());
        form = match self.listen.words {
            true => form
                .text("response_format", "verbose_json")
                .text("timestamp_granularities[]", "word"),
            false => form.text("response_format", "json"),
        };
        for (name, value) in [("language", &self.listen.language), ("prompt", &self.listen.prompt)]
        {
            if let Some(value) = value {
                form = form.text(name, value.clone());
            }
        }
        Ok(form)
    }
}

impl Decoder for Segments {
    fn decode(&mut self, samples: &[f32], pass: Pass, _: &Cancel) -> Result<Decoded, Failure> {
        if pass == Pass::Partial {
            return Ok(Decoded::default());
        }
        let remote = &self.service.remote;
        let request = remote.request(Method::POST, "/v1/audio/transcriptions")?;
        let request = request.multipart(self.form(samples)?).timeout(remote.timeout);
        let body = remote.runtime.block_on(remote.text(request))?;
        let heard: Transcription = serde_json::from_slice(&body)
            .map_err(|_| remote.failed("answered with something that is no transcription"))?;
        Ok(Decoded {
            text: heard.text,
            confidence: None,
            language: self.listen.language.clone(),
            words: heard.words.into_iter().map(Word::from).collect(),
        })
    }
}

/// What `json` and `verbose_json` have in common, as far as it is of use.
#[derive(Deserialize)]
struct Transcription {
    text: String,
    #[serde(default)]
    words: Vec<TimedWord>,
}

/// Times in seconds from the start of the file.
#[derive(Deserialize)]
struct TimedWord {
    word: String,
    start: f64,
    end: f64,
}

impl From<TimedWord> for Word {
    fn from(it: TimedWord) -> Self {
        let ms = |secs: f64| (secs * 1000.0) as u64;
        Self { text: it.word, start_ms: ms(it.start), end_ms: ms(it.end), confidence: None }
    }
}

/// Text into samples.
struct Speaking(Arc<Service>);

impl TextToSpeech for Speaking {
    fn about(&self) -> About {
        self.0.about("Speech", true)
    }

    fn ready(&self) -> Result<(), Unready> {
        self.0.remote.ready()
    }

    fn waits(&self) -> bool {
        true
    }

    fn voices(&self) -> Vec<String> {
        match self.0.voices.is_empty() {
            true => vec![VOICE.into()],
            false => self.0.voices.clone(),
        }
    }

    fn sample_rate(&self) -> u32 {
        SPEECH_RATE
    }

    fn check(&self, say: &Say) -> Answer<()> {
        match &say.voice {
            Some(voice) if !self.0.voices.is_empty() && !self.0.voices.contains(voice) => {
                let why = format!("provider `{}` has no voice `{voice}`", self.0.remote.name);
                Err(RpcError::invalid_params("voice", why).with("known", self.0.voices.clone()))
            }
            _ => Ok(()),
        }
    }

    fn speak(&self, say: &Say, out: Out<'_>) -> Result<(), Failure> {
        let Service { remote, tts_model, .. } = &*self.0;
        let usual = self.voices().swap_remove(0);
        for input in pieces(&say.text, MOST) {
            let body = json!({
                "model": say.model.as_ref().unwrap_or(tts_model),
                "voice": say.voice.as_ref().unwrap_or(&usual),
                "input": input,
                "response_format": "pcm",
                "speed": say.speed,
            });
            let request = remote.post("/v1/audio/speech", &body)?;
            if !remote.speak(request, &say.cancel, &mut *out)? {
                break;
            }
        }
        Ok(())
    }
}
