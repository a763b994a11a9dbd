//! The engine: proposals are checked, admitted and executed through the client's own tools.

mod config;
mod hub;
mod learning;
mod methods;
mod permission;
mod policy;
mod proposal;
mod runtime;
mod service;
mod state;
mod supervision;
mod tools;

use std::sync::Arc;

use carport_core::{Plugin, Result, Session, StartContext};
use carport_engine_api::ENGINE;
use carport_memory_api::MEMORY;
use carport_runs_api::RUNS;

pub use config::Config;
pub use methods::*;
pub use policy::PolicyRow;
pub use proposal::{
    replan::{AskReplan, FailedAction, Replanned},
    scope::{ProposalScope, ScopeShown},
};
pub use supervision::{IntentAction, SupervisionFilter, SupervisionIntent};
pub use tools::{
    call::{ExecuteTool, ToolCancel},
    detached::ToolStreamEvent,
    handles::{HandleStatus, ToolPollResult, ToolStreamChunk},
};

use crate::{hub::Hub, runtime::Runtime};

carport_core::plugin!(Engine {
    methods: [
        InitSession,
        OpenPolicySession,
        ClosePolicySession,
        Submit,
        Verify,
        MonteCarlo,
        RegisterTools,
        ListTools,
        UnregisterTool,
        RegisterBasics,
        PollTool,
        CancelTool,
        SubscribeStreams,
        PushChunk,
        RegisterPolicy,
        UnregisterPolicy,
        ListPolicies,
        GetTier,
        SetTier,
        Classify,
        Evaluate,
        PendingPermissions,
        Approve,
        Reject,
        GetState,
        SetState,
        StateExists,
        StateKeys,
        StateSnapshot,
        CountEvents,
        QueryEvents,
        EnableChain,
        VerifyChain,
        SetRetention,
        CostByAgent,
        MetricsSummary,
        MetricsAlerts,
        SetReplanConfig,
        SubscribeSupervision,
        UnsubscribeSupervision,
        PendingIntents,
        DecideIntent,
    ],
    notifications: [ToolCancel, ToolStreamEvent, SupervisionIntent],
    client_requests: [ExecuteTool, AskReplan],
});

/// The plugin.
pub struct Engine {
    pub(crate) hub: Arc<Hub>,
}

impl Plugin for Engine {
    const ID: &'static str = "engine";
    const NAMESPACES: &'static [&'static str] = &[
        "proposal",
        "verify",
        "tools",
        "policy",
        "permission",
        "state",
        "events",
        "metrics",
        "replan",
        "supervision",
        "session.init",
        "session.policy.open",
        "session.policy.close",
        "agents.register_basics",
    ];
    const OPTIONAL: &'static [&'static str] = &[RUNS.name(), MEMORY.name()];
    const PROVIDES: &'static [&'static str] = &[ENGINE.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let hub = Hub::start(cx).await?;
        cx.provide(&ENGINE, service::Service::of(hub.clone()));
        Ok(Self { hub })
    }

    async fn session_opened(&self, session: &Arc<Session>) {
        self.hub.session_opened(session);
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        self.hub.session_closed(session).await;
    }

    async fn shutdown(&self) {
        self.hub.shutdown().await;
    }
}
