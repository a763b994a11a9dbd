//! ElevenLabs: realtime recognition over a WebSocket, and speech that streams.

mod listening;
mod socket;
mod wire;

use std::sync::Arc;

use carport_core::{Result as Answer, RpcError};
use carport_voice_api::{
    About, Caps, Ear, Failure, Listen, Out, Provider, Recogniser, Say, SpeechToText, TextToSpeech,
    Unready,
};
use serde_json::json;

use super::{
    ProviderSettings,
    http::{KeyHeader, Remote},
    pieces::{MOST, pieces},
    wrong,
};

/// Where the service is.
const USUAL: &str = "https://api.elevenlabs.io";
/// What it usually recognises with.
const STT_MODEL: &str = "scribe_v2_realtime";
/// What it usually speaks with.
const TTS_MODEL: &str = "eleven_flash_v2_5";
/// A voice that every account has.
const VOICE: &str = "21m00Tcm4TlvDq8ikWAM";
/// Of the `pcm_24000` that it speaks, in Hz.
const SPEECH_RATE: u32 = 24_000;
/// How fast it speaks.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.7..=1.2;

/// Recognition and speech of one account.
pub(crate) fn providers(name: &str, settings: &ProviderSettings) -> Answer<Vec<Provider>> {
    if settings.voices.iter().any(|it| !is_voice(it)) {
        return Err(wrong(name, "voices", "must be ids of voices: letters and digits"));
    }
    let or = |text: &Option<String>, usual: &str| text.clone().unwrap_or_else(|| usual.to_owned());
    let account = Arc::new(Account {
        remote: Remote::new(name, settings, USUAL, KeyHeader::Xi)?,
        stt_model: or(&settings.stt_model, STT_MODEL),
        tts_model: or(&settings.tts_model, TTS_MODEL),
        voices: settings.voices.clone(),
    });
    Ok(vec![
        Provider::Stt(Arc::new(Hearing(account.clone()))),
        Provider::Tts(Arc::new(Speaking(account))),
    ])
}

/// A voice stands in the path of a request.
fn is_voice(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-')
}

/// One account.
struct Account {
    remote: Remote,
    stt_model: String,
    tts_model: String,
    /// Any, if empty.
    voices: Vec<String>,
}

/// The service finds the segments itself.
struct Hearing(Arc<Account>);

impl Hearing {
    fn model(&self, listen: &Listen) -> String {
        listen.model.clone().unwrap_or_else(|| self.0.stt_model.clone())
    }
}

impl SpeechToText for Hearing {
    fn about(&self) -> About {
        let description = "Realtime recognition by ElevenLabs".into();
        About { id: self.0.remote.name.clone(), description, streaming: true }
    }

    fn ready(&self) -> Result<(), Unready> {
        self.0.remote.ready()
    }

    fn waits(&self) -> bool {
        true
    }

    fn check(&self, listen: &Listen) -> Answer<(String, Caps)> {
        let caps = Caps { partials: true, words: true, diarizer: false, languages: None };
        Ok((self.model(listen), caps))
    }

    fn open(&self, listen: &Listen, ear: Ear) -> Result<Recogniser, Failure> {
        let (remote, model) = (&self.0.remote, self.model(listen));
        let socket = remote.runtime.block_on(socket::open(remote, &model, listen))?;
        Ok(Recogniser::Stream(Box::new(listening::Listening::start(remote, socket, listen, ear))))
    }
}

/// Text into samples.
struct Speaking(Arc<Account>);

impl TextToSpeech for Speaking {
    fn about(&self) -> About {
        let description = "Speech by ElevenLabs".into();
        About { id: self.0.remote.name.clone(), description, streaming: true }
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
        let (voices, name) = (&self.0.voices, &self.0.remote.name);
        if let Some(voice) = &say.voice {
            let is_known = voices.is_empty() || voices.contains(voice);
            if !is_known || !is_voice(voice) {
                let why = format!("provider `{name}` has no voice `{voice}`");
                return Err(RpcError::invalid_params("voice", why).with("known", self.voices()));
            }
        }
        if !SPEEDS.contains(&say.speed) {
            let why = format!("provider `{name}` speaks at 0.7 to 1.2 only");
            return Err(RpcError::invalid_params("speed", why));
        }
        Ok(())
    }

    fn speak(&self, say: &Say, out: Out<'_>) -> Result<(), Failure> {
        let Account { remote, tts_model, .. } = &*self.0;
        let usual = self.voices().swap_remove(0);
        let voice = say.voice.as_ref().unwrap_or(&usual);
        let path = format!("/v1/text-to-speech/{voice}/stream?output_format=pcm_{SPEECH_RATE}");
        for text in pieces(&say.text, MOST) {
            let mut body = json!({
                "text": text,
                "model_id": say.model.as_ref().unwrap_or(tts_model),
                "voice_settings": { "speed": say.speed },
            });
            if let Some(language) = &say.language {
                body["language_code"] = json!(language);
            }
            let request = remote.post(&path, &body)?;
            if !remote.speak(request, &say.cancel, &mut *out)? {
                break;
            }
        }
        Ok(())
    }
}
