//! `a2a.start`, `a2a.stop`, `a2a.status`: the HTTP listener.

use std::{net::SocketAddr, sync::Arc};

use carport_core::{Access, Caller, Method, Result, RpcError, bounds, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    A2a, AuthMode, Listen,
    executor::Sharing,
    http::{By, Place, parse_bind},
};

/// Starts the HTTP listener, by which agents of others reach this daemon. There is one for a daemon. An agent
/// may neither start nor stop it where `a2a.listen` is configured, nor stop one that the host role started.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// `host:port`; port 0 is any. An address that others can reach needs `a2a.tls`, `auth` "bearer" and the
    /// host role, and a wildcard `public_url`, too.
    pub bind: String,
    /// Where clients reach it; by itself the address that it listens on.
    #[serde(default)]
    pub public_url: Option<String>,
    /// The name on its card.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub agent_name: Option<String>,
    /// The description on its card.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub agent_description: Option<String>,
    /// The organization on its card; shown together with its site only.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub organization: Option<String>,
    /// The site of the organization.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub organization_url: Option<String>,
    /// Whether peers work with the runtime of this connection: its tools, which its client then runs for them, its
    /// policies without those of policy sessions, its state and its tier; what was approved anywhere counts for
    /// them as well. Its client is asked for replies to their words. They are not the connection: it hears of what
    /// they propose if it supervises, is asked neither for approvals in its own name nor for corrections, and its
    /// current run records nothing of theirs; `caller_id` in `tools.execute` tells their calls from its own. Eight
    /// messages are worked on at once. The listener ends with the connection.
    ///
    /// The connection must be one that may call `proposal.submit`, and that method must wait for nobody's approval.
    /// With the host role it needs `auth` "bearer": any process of this machine would have its tools else.
    #[serde(default)]
    pub share_session_runtime: bool,
    /// What a request has to show.
    #[serde(default)]
    pub auth: AuthMode,
}

impl From<Listen> for Start {
    fn from(listen: Listen) -> Self {
        let Listen { bind, public_url, auth } = listen;
        Self { bind, public_url, auth, ..Self::default() }
    }
}

impl Start {
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        parse_bind(&self.bind)
    }

    /// # Errors
    /// Policy: the host role would share with whoever reaches the listener.
    fn check_host(&self, caller: &Caller) -> Result<()> {
        if !caller.is_host() || self.auth == AuthMode::Bearer {
            return Ok(());
        }
        let remedy = "have it ask for a token with `auth` \"bearer\", or share a connection without the host role";
        let why = format!(
            "any process of this machine could work with the tools of a connection that has the host role: {remedy}"
        );
        let error = RpcError::new(codes::POLICY, why).with("reason", "host_shares");
        Err(error.with("missing", ["auth"]).with("remedy", remedy))
    }

    pub(crate) fn place(&self) -> Result<Place> {
        if let Some(url) = &self.public_url {
            Place::check_public_url(url)?;
        }
        Ok(Place {
            public_url: self.public_url.clone().unwrap_or_default(),
            auth: self.auth,
            agent_name: self.agent_name.clone(),
            agent_description: self.agent_description.clone(),
            organization: self.organization.clone(),
            organization_url: self.organization_url.clone(),
            hosts: Vec::new(),
            shared: None,
        })
    }
}

/// Where it listens.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListenerStarted {
    /// `host:port`.
    pub bound: String,
}

impl Method for Start {
    const NAME: &'static str = "a2a.start";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = ListenerStarted;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("agent_name", self.agent_name.as_deref(), 0..=256)?;
        bounds::maybe_bytes("agent_description", self.agent_description.as_deref(), 0..=4096)?;
        bounds::maybe_bytes("organization", self.organization.as_deref(), 0..=256)?;
        bounds::maybe_bytes("organization_url", self.organization_url.as_deref(), 0..=2048)?;
        self.address().and(self.place()).map(drop)
    }

    async fn run(self, a2a: &A2a, caller: &Caller) -> Result<ListenerStarted> {
        let mut place = self.place()?;
        if self.share_session_runtime {
            self.check_host(caller)?;
            let sharing = a2a.sharing.as_ref().ok_or_else(Sharing::refused)?;
            place.shared = Some(Arc::new(sharing.of(caller.session()).await?));
        }
        let (address, by) = (self.address()?, By::of(caller));
        let bound = a2a.listeners.start(address, place, a2a.keys.clone(), by).await?;
        Ok(ListenerStarted { bound: bound.to_string() })
    }
}

/// Stops the HTTP listener. Its calls have 5 s to end; tasks go on, but a message whose turn has not begun fails
/// if it was to work with the runtime of a connection that the listener shared.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stop {}

/// It is stopped.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListenerStopped {
    /// Always true.
    pub stopped: bool,
}

impl Method for Stop {
    const NAME: &'static str = "a2a.stop";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = ListenerStopped;

    async fn run(self, a2a: &A2a, caller: &Caller) -> Result<ListenerStopped> {
        a2a.listeners.stop(By::of(caller)).await?;
        Ok(ListenerStopped { stopped: true })
    }
}

/// Tells whether the HTTP listener runs, and where.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Status {}

/// The listener, as far as there is one.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListenerStatus {
    /// Whether it runs. Without it all else is absent.
    pub running: bool,
    /// `host:port`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
    /// Since it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_secs: Option<f64>,
    /// Where clients reach it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Whether peers work with a connection's tools and state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_session_runtime: Option<bool>,
    /// Tasks that are kept of the caller; for the host, those of everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<usize>,
}

impl Method for Status {
    const NAME: &'static str = "a2a.status";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = ListenerStatus;

    async fn run(self, a2a: &A2a, caller: &Caller) -> Result<ListenerStatus> {
        let Some(facts) = a2a.listeners.facts() else { return Ok(ListenerStatus::default()) };
        Ok(ListenerStatus {
            running: true,
            bound: Some(facts.bound.to_string()),
            uptime_secs: Some(facts.uptime_secs),
            public_url: Some(facts.public_url),
            share_session_runtime: Some(facts.shares_session),
            tasks: Some(a2a.calls.task_count(&carport_a2a_tasks::Caller::of(caller.identity()))),
        })
    }
}
