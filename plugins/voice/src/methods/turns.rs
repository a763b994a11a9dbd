//! `voice.dispatch_turn`, `voice.cancel_turn` and `voice.prewarm_turn`.

use std::time::Duration;

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_inference_api::Request;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Voice, ids,
    turns::{self, NewTurn, OVERLAY},
};

/// Answers what a person said: quickly, and thoroughly. A turn that runs is cancelled first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct DispatchTurn {
    /// What the person said.
    #[schemars(length(min = 1, max = 8192))]
    pub utterance: String,
    /// The stream that heard it: events carry its id, and its overlay is used.
    #[schemars(length(min = 1, max = 64))]
    pub session_id: Option<String>,
    /// What the model is told; empty for nothing, that of the stream or the built-in text if absent.
    #[schemars(length(max = 8192))]
    pub config_overlay: Option<String>,
    /// How long the thorough answer may take; 30000 if absent.
    #[schemars(range(min = 1000, max = 120_000))]
    pub sidecar_timeout_ms: Option<u64>,
}

/// A turn runs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnStarted {
    /// Grows from 1, over all connections.
    pub turn_id: u64,
}

impl Method for DispatchTurn {
    const NAME: &'static str = "voice.dispatch_turn";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Voice;
    type Reply = TurnStarted;

    fn available(voice: &Voice) -> Result<()> {
        turns::need(&voice.hub).map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::bytes("utterance", &self.utterance, 1..=8192)?;
        self.session_id.as_deref().map_or(Ok(()), |id| ids::check("session_id", id))?;
        bounds::maybe_bytes("config_overlay", self.config_overlay.as_deref(), 0..=8192)?;
        let limit = self.sidecar_timeout_ms.unwrap_or(30_000);
        bounds::within("sidecar_timeout_ms", limit, 1000..=120_000)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<TurnStarted> {
        let stream = match &self.session_id {
            Some(id) => Some(voice.hub.stream(caller.session(), id)?),
            None => None,
        };
        let own = stream.and_then(|it| it.settings.overlay.clone());
        let new = NewTurn {
            utterance: self.utterance,
            session_id: self.session_id.unwrap_or_default(),
            overlay: self.config_overlay.or(own).unwrap_or_else(|| OVERLAY.to_owned()),
            sidecar_limit: Duration::from_millis(self.sidecar_timeout_ms.unwrap_or(30_000)),
        };
        let (turn_id, gate) = turns::dispatch(&voice.hub, caller.session(), new).await?;
        caller.after_reply(move || {
            gate.send_replace(true);
        });
        Ok(TurnStarted { turn_id })
    }
}

/// Ends the turn of this connection, if one runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct CancelTurn {}

/// No turn runs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnCancelled {
    /// Always true.
    pub cancelled: bool,
}

impl Method for CancelTurn {
    const NAME: &'static str = "voice.cancel_turn";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Voice;
    type Reply = TurnCancelled;

    async fn run(self, _: &Voice, caller: &Caller) -> Result<TurnCancelled> {
        turns::cancel(caller.session()).await;
        Ok(TurnCancelled { cancelled: true })
    }
}

/// Has the fast model make one token, so that the next turn finds it loaded.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PrewarmTurn {}

/// Whether the fast model is loaded.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prewarmed {
    /// Whether it made a token.
    pub prewarmed: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Method for PrewarmTurn {
    const NAME: &'static str = "voice.prewarm_turn";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = Prewarmed;

    async fn run(self, voice: &Voice, _: &Caller) -> Result<Prewarmed> {
        let not = |reason: String| Prewarmed { prewarmed: false, reason: Some(reason) };
        let inference = match turns::need(&voice.hub) {
            Ok(inference) => inference,
            Err(error) => return Ok(not(error.message)),
        };
        if !inference.is_ready(true) {
            return Ok(not("no model that is ready counts as fast".into()));
        }
        let request = Request {
            prompt: "Hi".into(),
            prefer_fast: true,
            max_tokens: Some(1),
            ..Request::default()
        };
        Ok(match inference.complete(request).await {
            Ok(_) => Prewarmed { prewarmed: true, reason: None },
            Err(error) => not(error.message),
        })
    }
}
