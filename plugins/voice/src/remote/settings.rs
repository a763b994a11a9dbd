//! What an operator says of a provider.

use std::path::PathBuf;

use carport_core::Result;
use carport_voice_api::ProviderKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{secret::SecretRef, wrong};

/// Seconds that a provider may say nothing.
const TIMEOUT_SECS: u64 = 30;
/// The longest that may be set.
const MOST_SECS: u64 = 600;

/// A section `[voice.providers.NAME]`. The name is the provider's id, `[a-z0-9_-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// How it is spoken to.
    pub kind: ProviderType,
    /// Where it is, `http` or `https`, with or without `/v1` at the end; the service's own address if
    /// absent. A key is sent over plain `http` to this machine only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where its key is: `env:NAME` for a variable of the daemon, `file:PATH` for an absolute path. It is
    /// read anew for each use. No key is sent if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The model that recognises where a call names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stt_model: Option<String>,
    /// The model that speaks where a call names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tts_model: Option<String>,
    /// The voices that calls may name, the usual one first; any, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voices: Vec<String>,
    /// Seconds that it may say nothing while an answer is due, 1 to 600; 30 if absent.
    #[serde(default = "timeout_secs")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_secs: u64,
    /// The program of `espeak`, by name or absolute path; `espeak-ng` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// The file of `whisper`'s model, in GGML's format as whisper.cpp makes it; an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
}

const fn timeout_secs() -> u64 {
    TIMEOUT_SECS
}

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderType {
    /// `/v1/audio/transcriptions` and `/v1/audio/speech`, as OpenAI has them.
    OpenaiHttp,
    /// ElevenLabs: realtime recognition and streaming speech.
    Elevenlabs,
    /// The program `espeak-ng`.
    Espeak,
    /// whisper.cpp in the daemon, with a model file of the operator's.
    Whisper,
}

impl ProviderType {
    /// As it is written, which is also the name of its feature.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::OpenaiHttp => "openai-http",
            Self::Elevenlabs => "elevenlabs",
            Self::Espeak => "espeak",
            Self::Whisper => "whisper",
        }
    }

    pub(crate) const ALL: [Self; 4] =
        [Self::OpenaiHttp, Self::Elevenlabs, Self::Espeak, Self::Whisper];

    /// Whether this build has it.
    pub(crate) const fn is_built(self) -> bool {
        match self {
            Self::OpenaiHttp => cfg!(feature = "openai-http"),
            Self::Elevenlabs => cfg!(feature = "elevenlabs"),
            Self::Espeak => cfg!(feature = "espeak"),
            Self::Whisper => cfg!(feature = "whisper"),
        }
    }

    pub(crate) const fn is_for(self, kind: ProviderKind) -> bool {
        !matches!(
            (self, kind),
            (Self::Espeak, ProviderKind::Stt) | (Self::Whisper, ProviderKind::Tts)
        )
    }

    /// How a build gets it.
    pub(crate) fn remedy(self) -> String {
        let word = self.word();
        format!(
            "`{word}` is not in this build: build with the feature `voice-{word}` and configure it under \
             `[voice.providers.NAME]`"
        )
    }
}

impl ProviderSettings {
    /// Bounds that the types do not hold.
    pub(crate) fn check(&self, name: &str) -> Result<()> {
        let is_word =
            |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"_-".contains(&it);
        if !(1..=64).contains(&name.len()) || !name.bytes().all(is_word) {
            return Err(wrong(name, "kind", "stands under a name that is not `[a-z0-9_-]{1,64}`"));
        }
        if !(1..=MOST_SECS).contains(&self.timeout_secs) {
            return Err(wrong(name, "timeout_secs", "must be 1 to 600"));
        }
        // The value is not shown: somebody may have written the key itself.
        if self.key.as_deref().is_some_and(|it| SecretRef::parse(it).is_none()) {
            let why =
                "must be `env:NAME` or `file:/absolute/path`: say where the key is, not what it is";
            return Err(wrong(name, "key", why));
        }
        let is_program = self.kind == ProviderType::Espeak;
        let is_file = self.kind == ProviderType::Whisper;
        let is_here = is_program || is_file;
        if is_file && !self.model.as_ref().is_some_and(|it| it.is_absolute()) {
            let why =
                "must be the absolute path of a GGML model, such as `/models/ggml-base.en.bin`";
            return Err(wrong(name, "model", why));
        }
        let out_of_place = [
            ("base_url", is_here && self.base_url.is_some()),
            ("key", is_here && self.key.is_some()),
            ("stt_model", is_here && self.stt_model.is_some()),
            ("tts_model", is_here && self.tts_model.is_some()),
            ("voices", is_file && !self.voices.is_empty()),
            ("program", !is_program && self.program.is_some()),
            ("model", !is_file && self.model.is_some()),
        ];
        match out_of_place.into_iter().find(|(_, is_set)| *is_set) {
            Some((key, _)) => {
                let why =
                    format!("says nothing to a provider of kind `{}`: remove it", self.kind.word());
                Err(wrong(name, key, why))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, text: &str) -> Result<(), String> {
        let settings: ProviderSettings = serde_json::from_str(text).map_err(|it| it.to_string())?;
        settings.check(name).map_err(|it| it.to_string())
    }

    #[test]
    fn what_does_not_fit_is_named_and_a_key_is_never_shown() {
        assert_eq!(checked("x", r#"{"kind": "openai-http", "key": "env:K"}"#), Ok(()));
        assert_eq!(checked("local", r#"{"kind": "espeak", "program": "/bin/x"}"#), Ok(()));
        assert_eq!(checked("w", r#"{"kind": "whisper", "model": "/m.bin"}"#), Ok(()));
        for (name, text, named) in [
            ("x", r#"{"kind": "other"}"#, "openai-http"),
            ("x", r#"{"kind": "espeak", "speed": 1}"#, "speed"),
            ("X y", r#"{"kind": "espeak"}"#, "[a-z0-9_-]"),
            ("x", r#"{"kind": "espeak", "timeout_secs": 0}"#, "timeout_secs"),
            ("x", r#"{"kind": "espeak", "key": "env:K"}"#, "key"),
            ("x", r#"{"kind": "elevenlabs", "program": "/bin/x"}"#, "program"),
            ("x", r#"{"kind": "espeak", "model": "/m.bin"}"#, "model"),
            ("x", r#"{"kind": "whisper"}"#, "/models/ggml-base.en.bin"),
            ("x", r#"{"kind": "whisper", "model": "m.bin"}"#, "absolute"),
            ("x", r#"{"kind": "whisper", "model": "/m.bin", "stt_model": "m"}"#, "stt_model"),
            ("x", r#"{"kind": "elevenlabs", "key": "file:relative-sk-1234"}"#, "env:NAME"),
            ("x", r#"{"kind": "elevenlabs", "key": "sk-1234"}"#, "env:NAME"),
        ] {
            let why = checked(name, text).unwrap_err();
            assert!(why.contains(named) && !why.contains("sk-1234"), "{text}: {why}");
        }
    }
}
