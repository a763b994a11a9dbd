//! `replan.set_config`: whether the client is asked for corrections.

use std::time::Duration;

use carport_core::{Access, Caller, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Engine;

/// Sets how often, and how, this connection is asked for a corrected proposal after a failure.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SetReplanConfig {
    /// Corrections of one proposal; 0, which is the default, asks for none.
    #[schemars(range(max = 10))]
    pub max_replans: Option<u32>,
    /// Milliseconds before each is asked for; 0 if absent.
    #[schemars(range(max = 60_000))]
    pub delay_ms: Option<u64>,
    /// Whether a correction is verified first; it is if absent.
    pub verify_before_execute: Option<bool>,
    /// Whether a rejected action is reason enough; it is not if absent.
    pub replan_on_rejected: Option<bool>,
}

impl SetReplanConfig {
    pub(crate) fn max_replans(&self) -> u32 {
        self.max_replans.unwrap_or(0)
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.unwrap_or(0))
    }

    pub(crate) fn verify_before_execute(&self) -> bool {
        self.verify_before_execute.unwrap_or(true)
    }

    pub(crate) fn replan_on_rejected(&self) -> bool {
        self.replan_on_rejected.unwrap_or(false)
    }
}

impl Method for SetReplanConfig {
    const NAME: &'static str = "replan.set_config";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = ();

    fn validate(&self) -> Result<()> {
        bounds::within("max_replans", self.max_replans(), 0..=10)?;
        bounds::within("delay_ms", self.delay_ms.unwrap_or(0), 0..=60_000)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<()> {
        *engine.hub.runtime(caller.session()).await?.replan.lock() = self;
        Ok(())
    }
}
