//! `proposal.submit`: executes a proposal through the client's own tools.

use std::time::Duration;

use carport_core::{Access, Caller, Method, Result};
use carport_engine_model::{ActionProposal, ProposalResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Engine, ProposalScope,
    hub::{Hub, Who},
    proposal::{self, Submission, deadline},
};

/// Checks a proposal, takes it through the gates and executes it. What the engine decides about
/// actions is in the result; an error means that nothing ran, unless the deadline passed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Submit {
    /// What is to be done.
    pub proposal: ActionProposal,
    /// A policy session of this connection, whose policies count too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// On whose behalf, within this connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ProposalScope>,
}

impl Method for Submit {
    const NAME: &'static str = "proposal.submit";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = ProposalResult;

    fn deadline(&self, engine: &Engine, caller: &Caller, set: Duration) -> Duration {
        let replan = Hub::runtime_so_far(caller.session()).map(|it| it.replan.lock().clone());
        let (replans, delay) =
            replan.map_or((0, Duration::ZERO), |it| (it.max_replans(), it.delay()));
        let actions = &self.proposal.actions;
        set.max(deadline::needed(actions, engine.hub.tool_timeout, replans, delay))
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<ProposalResult> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let (identity, session) = (caller.identity().clone(), Some(caller.session().clone()));
        let who = Who { identity, session, lent: false };
        let Self { proposal, session_id: policy_session, scope } = self;
        let given_up = "the deadline passed";
        let submission = Submission { proposal, scope, policy_session, who, given_up };
        proposal::submit(&engine.hub, &runtime, submission).await
    }
}
