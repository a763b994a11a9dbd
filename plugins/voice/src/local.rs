//! The providers `local`: the models of this machine behind the traits of providers.

use std::{ops::ControlFlow, path::Path, sync::Arc};

use carport_core::{Result as Answer, RpcError};
use carport_voice_api::{
    About, Activity, Cancel, Caps, Decoded, Decoder, Ear, Failure, FailureKind, Listen, ModelFacts,
    Out, Pass, Prepared, PreparedStatus, Provider, Recogniser, Say, Sound, SpeakerPrints,
    SpeechToText, TextToSpeech, Unready, Voiceprint,
};
use carport_voice_local::{
    Help, Hibari, Local, Locator, Manifest, ModelError, Moonshine, Once, Places, Recognizer,
    RunError, SPEECH_RATE, Style, VoiceEncoder, voiced_ms,
};
use carport_voice_phonemes::Phonemizer;

use crate::{Config, providers::DEFAULT};

/// The language of the models here.
const LANGUAGE: &str = "en";

/// Where a daemon looks for models.
pub(crate) fn places(config: &Config, state_root: Option<&Path>) -> Places {
    Places {
        option: Vec::new(),
        configured: config.models.clone(),
        state_root: state_root.map(Path::to_owned),
        executable: std::env::current_exe().ok(),
        repository: Some(Places::repository()),
    }
}

/// What listens, what speaks and what tells speakers apart, with models from these places. They share
/// what they load.
pub fn local_providers(places: Places) -> [Provider; 3] {
    let local = Arc::new(Local::new(Locator::new(places)));
    [
        Provider::Stt(Arc::new(Ears(local.clone()))),
        Provider::Tts(Arc::new(Mouth { local: local.clone(), phonemizer: Once::default() })),
        Provider::Speakers(Arc::new(Prints(local))),
    ]
}

fn about(description: &str, streaming: bool) -> About {
    About { id: DEFAULT.into(), description: description.into(), streaming }
}

/// Whether the files of a model are there; nothing is read but its manifest.
fn ready(local: &Local, model: &str) -> Result<(), Unready> {
    let found = local.locator().locate(model).map(drop);
    found.map_err(|error| Unready { missing: error.model().into(), remedy: error.to_string() })
}

/// What loading a model came to.
fn prepared(local: &Local, model: &str, loaded: Result<(), Failure>) -> Result<Prepared, Failure> {
    let place = match local.locator().locate(model) {
        Err(ModelError::Missing { places, .. }) => {
            let missing = ready(local, model);
            let path = places.first().map(|it| it.display().to_string());
            return Ok(Prepared { path, ..Prepared::of(&missing) });
        }
        place => place.map_err(unloaded)?,
    };
    loaded?;
    let Manifest { id, license, source, files } =
        local.locator().manifest(model).map_err(unloaded)?;
    let bytes = files.values().map(|it| it.size).sum();
    Ok(Prepared {
        ready: true,
        status: PreparedStatus::Ready,
        path: Some(place.display().to_string()),
        detail: format!("`{model}` is whole and loaded"),
        model: Some(ModelFacts { id, license, source, bytes }),
    })
}

fn unloaded(error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Load, error.to_string())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Failed, error.to_string())
}

/// Refuses a language that the models do not know; a region of English is none of its own.
fn check_language(field: &str, language: Option<&str>) -> Answer<()> {
    let primary = language.and_then(|it| it.split(['-', '_']).next());
    match primary {
        Some(other) if !other.eq_ignore_ascii_case(LANGUAGE) => {
            let why = "the models of this machine know English (`en`) only; another provider may \
                       know more, see `voice.providers.list`";
            Err(RpcError::invalid_params(field, why).with("known", [LANGUAGE]))
        }
        _ => Ok(()),
    }
}

fn check_name(field: &str, name: Option<&str>, known: &str) -> Answer<()> {
    match name {
        Some(other) if other != known => {
            let why = format!("provider `{DEFAULT}` has only `{known}`");
            Err(RpcError::invalid_params(field, why).with("known", [known]))
        }
        _ => Ok(()),
    }
}

/// Recognition by Moonshine.
struct Ears(Arc<Local>);

impl SpeechToText for Ears {
    fn about(&self) -> About {
        about("English recognition on this machine (Moonshine tiny)", true)
    }

    fn ready(&self) -> Result<(), Unready> {
        ready(&self.0, Moonshine::MODEL)
    }

    fn check(&self, listen: &Listen) -> Answer<(String, Caps)> {
        check_language("options.language", listen.language.as_deref())?;
        check_name("options.model", listen.model.as_deref(), Moonshine::MODEL)?;
        let languages = Some(vec![LANGUAGE.into()]);
        let caps = Caps { partials: true, words: false, diarizer: false, languages };
        Ok((Moonshine::MODEL.into(), caps))
    }

    fn open(&self, _: &Listen, _: Ear) -> Result<Recogniser, Failure> {
        let moonshine = self.0.recognizer().map_err(unloaded)?;
        Ok(Recogniser::Segments {
            decoder: Box::new(Hearing::new(moonshine)),
            activity: Box::new(Scores::default()),
        })
    }

    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        let loaded = self.0.recognizer().map(drop).map_err(unloaded);
        prepared(&self.0, Moonshine::MODEL, loaded)
    }
}

/// Samples by which a segment that grew is known again.
const MARK: usize = 512;

/// Decodes one segment after the other. What it made of a segment so far helps with more of it.
struct Hearing {
    moonshine: Arc<Moonshine>,
    /// The first samples of the segment, and its tokens.
    former: (Vec<f32>, Vec<u32>),
}

impl Hearing {
    fn new(moonshine: Arc<Moonshine>) -> Self {
        Self { moonshine, former: Default::default() }
    }
}

impl Decoder for Hearing {
    fn decode(&mut self, samples: &[f32], _: Pass, stop: &Cancel) -> Result<Decoded, Failure> {
        let mark = &samples[..samples.len().min(MARK)];
        // Digital silence begins any segment.
        if self.former.0 != mark || mark.iter().all(|it| *it == 0.0) {
            self.former = (mark.to_owned(), Vec::new());
        }
        let help = Help { draft: &self.former.1, stop: Some(stop.flag()) };
        let heard = match self.moonshine.decode_with(samples, help) {
            Err(RunError::Cancelled) => return Ok(Decoded::default()),
            heard => heard.map_err(failed)?,
        };
        self.former.1 = heard.tokens;
        let confidence = (!heard.text.is_empty()).then_some(f64::from(heard.confidence));
        let language = Some(LANGUAGE.into());
        Ok(Decoded { text: heard.text, confidence, language, words: Vec::new() })
    }
}

/// What tells speech from the rest without a network.
pub(crate) struct Scores(carport_voice_local::Activity);

impl Default for Scores {
    fn default() -> Self {
        Self(carport_voice_local::Activity::new())
    }
}

impl Activity for Scores {
    fn speech(&mut self, frame: &[f32]) -> f32 {
        let mut score = 0.0;
        self.0.push(frame, |it| score = it);
        score
    }
}

/// So much speech lasts while the next sentence is made, in seconds.
const EARLY_SECONDS: usize = 2;

/// Speech by hibari.
struct Mouth {
    local: Arc<Local>,
    phonemizer: Once<Phonemizer>,
}

impl Mouth {
    fn load(&self) -> Result<(Arc<Phonemizer>, Arc<Hibari>), Failure> {
        let hibari = self.local.speech().map_err(unloaded)?;
        let phonemizer = self.phonemizer.get(|| {
            let directory = self.local.locator().find(Hibari::MODEL).map_err(unloaded)?;
            Phonemizer::open(&directory).map_err(unloaded)
        })?;
        Ok((phonemizer, hibari))
    }
}

impl TextToSpeech for Mouth {
    fn about(&self) -> About {
        about("English speech on this machine (hibari)", true)
    }

    fn ready(&self) -> Result<(), Unready> {
        ready(&self.local, Hibari::MODEL)
    }

    fn voices(&self) -> Vec<String> {
        vec![Hibari::MODEL.into()]
    }

    fn sample_rate(&self) -> u32 {
        SPEECH_RATE
    }

    fn check(&self, say: &Say) -> Answer<()> {
        check_language("language", say.language.as_deref())?;
        check_name("model", say.model.as_deref(), Hibari::MODEL)?;
        check_name("voice", say.voice.as_deref(), Hibari::MODEL)
    }

    fn speak(&self, say: &Say, out: Out<'_>) -> Result<(), Failure> {
        let (phonemizer, hibari) = self.load()?;
        let mut style = Style { speed: say.speed as f32, early: true, ..Style::default() };
        let mut samples_said = 0;
        for sentence in phonemizer.sentences(&say.text) {
            let mut wanted = ControlFlow::Continue(());
            let made = hibari.speak(&sentence.ids, style, say.cancel.flag(), &mut |samples| {
                samples_said += samples.len();
                wanted = out(Sound::Samples(samples));
                wanted
            });
            match made {
                Err(RunError::Cancelled) => break,
                made => made.map_err(failed)?,
            }
            // The others are made while this sounds.
            style.early = samples_said < EARLY_SECONDS * SPEECH_RATE as usize;
            if wanted.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        prepared(&self.local, Hibari::MODEL, self.load().map(drop))
    }
}

/// Voice prints by GE2E.
struct Prints(Arc<Local>);

impl SpeakerPrints for Prints {
    fn about(&self) -> About {
        about("Voice prints on this machine (GE2E)", false)
    }

    fn ready(&self) -> Result<(), Unready> {
        ready(&self.0, VoiceEncoder::MODEL)
    }

    fn threshold(&self) -> f32 {
        VoiceEncoder::THRESHOLD
    }

    fn print(&self, samples: &[f32]) -> Result<Voiceprint, Failure> {
        let voiced_ms = voiced_ms(samples);
        if voiced_ms == 0 {
            return Ok(Voiceprint { vector: Vec::new(), voiced_ms });
        }
        let encoder = self.0.encoder().map_err(unloaded)?;
        let vector = encoder.print(samples).map_err(failed)?.into();
        Ok(Voiceprint { vector, voiced_ms })
    }

    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        let loaded = self.0.encoder().map(drop).map_err(unloaded);
        prepared(&self.0, VoiceEncoder::MODEL, loaded)
    }
}
