//! Recognition by whisper.cpp in this process, with a model file that the operator names.
//!
//! `[voice.providers.NAME]` with `kind = "whisper"` and `model = "/models/ggml-base.en.bin"`: a file in GGML's format, as
//! whisper.cpp converts them from OpenAI's. Its name without the ending is the model's. Building it needs cmake and a C++
//! compiler; the library is built for the processor that it is built on unless `GGML_NATIVE=OFF` is set.

mod ggml;
mod hearing;

use std::{path::PathBuf, sync::Arc, time::Duration};

use carport_core::{Result as Answer, RpcError};
use carport_voice_api::{
    About, Caps, Ear, Failure, FailureKind, Listen, Prepared, PreparedStatus, Provider, Recogniser,
    SpeechToText, Unready,
};
use carport_voice_local::Once;
use whisper_rs::{
    WhisperContext, WhisperContextParameters, get_lang_id, get_lang_max_id, get_lang_str,
};

use self::{ggml::Broken, hearing::Hearing};
use super::{ProviderSettings, wrong};
use crate::local::Scores;

/// The language of models that know only one.
const ENGLISH: &str = "en";
/// The longest tag of a language that is looked up, in bytes.
const MOST_TAG: usize = 3;

/// A model file as a provider of recognition.
pub(crate) fn providers(name: &str, settings: &ProviderSettings) -> Answer<Vec<Provider>> {
    let Some(file) = settings.model.clone() else {
        let why = "must be the absolute path of a GGML model, such as `/models/ggml-base.en.bin`";
        return Err(wrong(name, "model", why));
    };
    // The library would write to stderr; what matters of it is told in the errors here.
    whisper_rs::install_logging_hooks();
    Ok(vec![Provider::Stt(Arc::new(Whisper {
        name: name.to_owned(),
        model: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        file,
        timeout: Duration::from_secs(settings.timeout_secs),
        loaded: Once::default(),
    }))])
}

struct Whisper {
    name: String,
    file: PathBuf,
    /// What calls name it with.
    model: String,
    /// How long a segment may take.
    timeout: Duration,
    loaded: Once<WhisperContext>,
}

impl Whisper {
    fn unready(&self, why: &Broken) -> Unready {
        let missing = self.file.display().to_string();
        let remedy = format!(
            "`{missing}` {why}: put a model of whisper.cpp there, such as `ggml-base.en.bin`, or set \
             `voice.providers.{}.model`",
            self.name
        );
        Unready { missing, remedy }
    }

    fn load(&self) -> Result<Arc<WhisperContext>, Failure> {
        let failed = |why: String| Failure::new(FailureKind::Load, why);
        self.loaded.get(|| {
            ggml::check(&self.file).map_err(|why| failed(self.unready(&why).remedy))?;
            let parameters = WhisperContextParameters::default();
            WhisperContext::new_with_params(&self.file, parameters).map_err(|_| {
                failed(format!(
                    "`{}` could not be loaded: its weights do not fit, or memory is short",
                    self.file.display()
                ))
            })
        })
    }

    /// The languages that it knows; none where its file cannot be read.
    fn languages(&self) -> Option<Vec<String>> {
        match ggml::header(&self.file).ok()?.is_multilingual() {
            true => Some(languages().map(str::to_owned).collect()),
            false => Some(vec![ENGLISH.into()]),
        }
    }
}

/// All of them.
fn languages() -> impl Iterator<Item = &'static str> {
    (0..=get_lang_max_id()).filter_map(get_lang_str)
}

/// The language of a tag as the library has it; a region says nothing to it.
fn language(tag: &str) -> Option<&'static str> {
    let primary = tag.split(['-', '_']).next()?.to_ascii_lowercase();
    let is_tag = primary.len() <= MOST_TAG && primary.bytes().all(|it| it.is_ascii_lowercase());
    is_tag.then(|| get_lang_id(&primary)).flatten().and_then(get_lang_str)
}

impl SpeechToText for Whisper {
    fn about(&self) -> About {
        let description = format!("Recognition on this machine by whisper.cpp ({})", self.model);
        About { id: self.name.clone(), description, streaming: false }
    }

    fn ready(&self) -> Result<(), Unready> {
        ggml::header(&self.file).map(drop).map_err(|why| self.unready(&why))
    }

    fn check(&self, listen: &Listen) -> Answer<(String, Caps)> {
        let languages = self.languages();
        if let Some(model) = listen.model.as_deref().filter(|it| *it != self.model) {
            let why = format!("provider `{}` has only `{}`, not `{model}`", self.name, self.model);
            return Err(
                RpcError::invalid_params("options.model", why).with("known", [self.model.as_str()])
            );
        }
        let tag = listen.language.as_deref();
        let is_known = |tag: &str| match (language(tag), &languages) {
            (Some(found), Some(known)) => known.iter().any(|it| it == found),
            (found, _) => found.is_some(),
        };
        if let Some(tag) = tag.filter(|it| !is_known(it)) {
            let why = format!("the model `{}` does not know the language `{tag}`", self.model);
            return Err(RpcError::invalid_params("options.language", why).with("known", languages));
        }
        let caps = Caps { partials: false, words: true, diarizer: false, languages };
        Ok((self.model.clone(), caps))
    }

    fn open(&self, listen: &Listen, _: Ear) -> Result<Recogniser, Failure> {
        let hearing = Hearing::new(self.load()?, listen, self.timeout)?;
        Ok(Recogniser::Segments {
            decoder: Box::new(hearing),
            activity: Box::new(Scores::default()),
        })
    }

    fn prepare(&self, _may_fetch: bool) -> Result<Prepared, Failure> {
        let path = Some(self.file.display().to_string());
        let ready = self.ready();
        if ready.is_err() {
            return Ok(Prepared { path, ..Prepared::of(&ready) });
        }
        self.load()?;
        let (status, detail) = (PreparedStatus::Ready, format!("`{}` is loaded", self.model));
        Ok(Prepared { ready: true, status, path, detail })
    }
}
