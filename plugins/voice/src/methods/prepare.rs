//! `voice.providers.list` and `voice.prepare*`: what is there, and whether it would work.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_voice_api::{Prepared, PreparedStatus, Provider, ProviderRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Voice,
    oneshot::{apart, failed},
    providers::Which,
    turns,
};

/// Lists what listens and what speaks.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListProviders {}

impl Method for ListProviders {
    const NAME: &'static str = "voice.providers.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Vec<ProviderRow>;

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Vec<ProviderRow>> {
        Ok(voice.hub.providers.rows())
    }
}

/// What is to be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Recognition.
    Stt,
    /// Speech.
    Tts,
    /// Telling speakers apart.
    Diarizer,
    /// The models of turns.
    Turn,
}

/// Verifies the files of a provider and loads them once; fetches them only if the operator allows that.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Prepare {
    /// What is to be prepared.
    pub what: What,
    /// The provider's id; `local` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
}

impl Prepare {
    async fn prepare(self, voice: &Voice) -> Result<Prepared> {
        let kind = match self.what {
            What::Stt => Which::Stt,
            What::Tts => Which::Tts,
            What::Diarizer => Which::Speakers,
            What::Turn => return turn(voice),
        };
        let provider = voice.hub.providers.any(kind, "provider", self.provider.as_deref())?;
        let may_fetch = voice.hub.config.allow_download;
        let prepare = move || match provider {
            Provider::Stt(it) => it.prepare(may_fetch),
            Provider::Tts(it) => it.prepare(may_fetch),
            Provider::Speakers(it) => it.prepare(may_fetch),
        };
        apart(&voice.hub, false, move |_| prepare().map_err(failed)).await
    }
}

fn turn(voice: &Voice) -> Result<Prepared> {
    let is_ready = turns::need(&voice.hub)?.is_ready(false);
    let (status, detail) = match is_ready {
        true => (PreparedStatus::Ready, "a model answers turns"),
        false => (PreparedStatus::Missing, "no model is ready; see `models.list_unified`"),
    };
    Ok(Prepared { ready: is_ready, status, path: None, detail: detail.into(), model: None })
}

impl Method for Prepare {
    const NAME: &'static str = "voice.prepare";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Prepared;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("provider", self.provider.as_deref(), 1..=64)
    }

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Prepared> {
        self.prepare(voice).await
    }
}

/// As `voice.prepare` with `stt`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PrepareParakeet {}

impl Method for PrepareParakeet {
    const NAME: &'static str = "voice.prepare_parakeet";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Prepared;

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Prepared> {
        Prepare { what: What::Stt, provider: None }.prepare(voice).await
    }
}

/// As `voice.prepare` with `diarizer`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PrepareDiarizer {}

impl Method for PrepareDiarizer {
    const NAME: &'static str = "voice.prepare_diarizer";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Prepared;

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Prepared> {
        Prepare { what: What::Diarizer, provider: None }.prepare(voice).await
    }
}
