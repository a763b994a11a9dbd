//! `policy.*` and `session.policy.*`.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_engine_model::PolicyDefinition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Engine, PolicyRow};

/// Where a policy counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyScope {
    /// On the whole connection.
    Global,
    /// In one policy session.
    #[serde(untagged)]
    Session {
        /// The policy session.
        session_id: String,
    },
}

impl PolicyScope {
    fn of(session_id: Option<String>) -> Self {
        session_id.map_or(Self::Global, |session_id| Self::Session { session_id })
    }
}

/// Registers a policy for this connection or for one of its policy sessions. A name may stand for
/// several.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegisterPolicy(pub PolicyDefinition);

described!(RegisterPolicy: PolicyDefinition =
    "Registers a policy for this connection or for one of its policy sessions. A name may stand for \
     several.");

/// A policy is in force.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRegistered {
    /// Its name.
    pub registered: String,
    /// Its name.
    pub name: String,
    /// Where it counts.
    pub scope: PolicyScope,
}

impl Method for RegisterPolicy {
    const NAME: &'static str = "policy.register";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PolicyRegistered;

    fn validate(&self) -> Result<()> {
        // Bounds hold for what the rule does not look at, too.
        let texts =
            [("target", &self.0.target), ("key", &self.0.key), ("pattern", &self.0.pattern)];
        for (field, text) in texts {
            bounds::maybe_bytes(field, text.as_deref(), 0..=4096)?;
        }
        self.0.clone().compile("").map(drop)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PolicyRegistered> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let (name, session) = (self.0.name.clone(), self.0.session_id.clone());
        let policy = self.0.compile("")?;
        runtime.policies.lock().add(vec![(session.clone(), policy)])?;
        Ok(PolicyRegistered { registered: name.clone(), name, scope: PolicyScope::of(session) })
    }
}

/// Removes every policy of a name; none is no error.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct UnregisterPolicy {
    /// The name.
    pub name: String,
    /// The policy session; the whole connection if absent.
    pub session_id: Option<String>,
}

/// What was removed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyUnregistered {
    /// The name.
    pub unregistered: String,
    /// How many policies had it.
    pub removed: usize,
    /// Where they counted.
    pub scope: PolicyScope,
}

impl Method for UnregisterPolicy {
    const NAME: &'static str = "policy.unregister";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PolicyUnregistered;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PolicyUnregistered> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let removed = runtime.policies.lock().remove(self.session_id.as_deref(), &self.name)?;
        let scope = PolicyScope::of(self.session_id);
        Ok(PolicyUnregistered { unregistered: self.name, removed, scope })
    }
}

/// Lists policies in order of registration, then the operator's rules.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListPolicies {
    /// The policy session; the whole connection if absent.
    pub session_id: Option<String>,
}

/// Policies.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyList {
    /// In order of registration; names of the operator's rules begin with `operator:`.
    pub policies: Vec<PolicyRow>,
    /// Where they count.
    pub scope: PolicyScope,
}

impl Method for ListPolicies {
    const NAME: &'static str = "policy.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PolicyList;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PolicyList> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let mut policies = runtime.policies.lock().rows(self.session_id.as_deref())?;
        let rules = engine.hub.rules.list();
        policies.extend(rules.map(|(name, description)| PolicyRow { name, description }));
        Ok(PolicyList { policies, scope: PolicyScope::of(self.session_id) })
    }
}

/// Opens a policy session: policies that count only for proposals that name it.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct OpenPolicySession {}

/// The policy session.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySessionOpened {
    /// Names it on this connection.
    pub session_id: String,
}

impl Method for OpenPolicySession {
    const NAME: &'static str = "session.policy.open";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PolicySessionOpened;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PolicySessionOpened> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let session_id = format!("ps-{}", Uuid::now_v7());
        runtime.policies.lock().open(session_id.clone())?;
        Ok(PolicySessionOpened { session_id })
    }
}

/// Closes a policy session and drops its policies.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClosePolicySession {
    /// The policy session.
    pub session_id: String,
}

/// Whether it was open.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicySessionClosed {
    /// Whether it was open.
    pub closed: bool,
}

impl Method for ClosePolicySession {
    const NAME: &'static str = "session.policy.close";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PolicySessionClosed;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PolicySessionClosed> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let closed = runtime.policies.lock().close(&self.session_id);
        Ok(PolicySessionClosed { closed })
    }
}
