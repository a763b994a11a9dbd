//! `events.*`: the journal of a connection.

use std::{collections::BTreeMap, sync::Arc};

use carport_core::{Access, Caller, Method, Result, Time, bounds};
use carport_engine_journal::{
    Event,
    chain::Verdict,
    log::{Query, Retention},
    metrics::AgentCost,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Engine;

/// Says how many events are in the log.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CountEvents {}

impl Method for CountEvents {
    const NAME: &'static str = "events.count";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = usize;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<usize> {
        Ok(engine.hub.runtime(caller.session()).await?.journal.count())
    }
}

/// Finds events that meet every given condition, newest first.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct QueryEvents {
    /// Any of these kinds; any kind if absent or empty.
    pub kinds: Option<Vec<String>>,
    /// About this action.
    pub action_id: Option<String>,
    /// About this proposal.
    pub proposal_id: Option<String>,
    /// At this time or later.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// Members of `data` with their text.
    pub data_matches: Option<BTreeMap<String, String>>,
    /// So many at the most, the newest; as many as there may be if absent or 0.
    #[schemars(range(max = 10_000))]
    pub limit: Option<usize>,
}

/// Events.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// How many are here.
    pub count: usize,
    /// Newest first.
    pub events: Vec<Arc<Event>>,
}

impl Method for QueryEvents {
    const NAME: &'static str = "events.query";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = EventPage;

    fn validate(&self) -> Result<()> {
        bounds::within("limit", self.limit.unwrap_or(0), 0..=10_000)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<EventPage> {
        let query = Query {
            kinds: self.kinds.unwrap_or_default(),
            action_id: self.action_id,
            proposal_id: self.proposal_id,
            since: self.since,
            until: self.until,
            data_matches: self.data_matches.unwrap_or_default(),
            limit: self.limit.unwrap_or(0),
        };
        let events = engine.hub.runtime(caller.session()).await?.journal.query(query).await?;
        Ok(EventPage { count: events.len(), events })
    }
}

/// Chains every event from here on by its hash. Twice is as good as once.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct EnableChain {}

/// The chain is on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainEnabled {
    /// Always `true`.
    pub ok: bool,
}

impl Method for EnableChain {
    const NAME: &'static str = "events.chain.enable";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = ChainEnabled;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<ChainEnabled> {
        engine.hub.runtime(caller.session()).await?.journal.enable_chain();
        Ok(ChainEnabled { ok: true })
    }
}

/// Verifies the chain in the journal's file.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct VerifyChain {}

impl Method for VerifyChain {
    const NAME: &'static str = "events.chain.verify";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Verdict;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Verdict> {
        engine.hub.runtime(caller.session()).await?.journal.verify().await
    }
}

/// Sets what the log lets go, or says what it lets go.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SetRetention {
    /// What is let go from now on; absent, nothing changes.
    pub policy: Option<Retention>,
}

/// What the log lets go.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionSet {
    /// It is in force.
    pub policy: Retention,
    /// How many events went; absent if nothing was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<usize>,
}

impl Method for SetRetention {
    const NAME: &'static str = "events.retention";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = RetentionSet;

    fn validate(&self) -> Result<()> {
        let Some(policy) = self.policy else { return Ok(()) };
        bounds::within("policy.max_events", policy.max_events.unwrap_or(1), 1..=10_000)?;
        bounds::within("policy.max_age_secs", policy.max_age_secs.unwrap_or(1), 1..=u64::MAX)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<RetentionSet> {
        let journal = engine.hub.runtime(caller.session()).await?.journal.clone();
        let removed = match self.policy {
            Some(policy) => Some(journal.set_retention(policy).await),
            None => None,
        };
        Ok(RetentionSet { policy: journal.retention(), removed })
    }
}

/// Says what each agent's inferences took.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CostByAgent {}

impl Method for CostByAgent {
    const NAME: &'static str = "events.cost_by_agent";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Vec<AgentCost>;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Vec<AgentCost>> {
        engine.hub.runtime(caller.session()).await?.journal.cost_by_agent().await
    }
}
