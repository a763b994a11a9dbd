//! The host's own methods, written like any plugin's.

pub(crate) mod added;
pub(crate) mod approvals;
pub(crate) mod auth;
pub(crate) mod capabilities;
pub(crate) mod discover;
pub(crate) mod events;
pub(crate) mod handshake;
pub(crate) mod metrics;
pub(crate) mod openrpc;
pub(crate) mod ping;

use std::sync::{Arc, OnceLock};

use crate::{
    contract::{
        events::HostEvent,
        plugin::Plugin,
        presence::{AGENT_ROWS, AgentRows},
        start::StartContext,
    },
    dispatch::{
        added::call::{CallCancelled, CallMethod},
        shared::{SHARED, Shared},
        tokens::{AGENT_AUTHORITY, AgentAuthority},
    },
    wire::error::Result,
};

crate::plugin!(HostMethods {
    methods: [
        added::RegisterMethods,
        added::UnregisterMethods,
        approvals::Approvals,
        approvals::RequestApproval,
        approvals::ResolveApproval,
        auth::Authenticate,
        capabilities::ListCapabilities,
        discover::Discover,
        discover::ServerSchema,
        events::Events,
        events::Notify,
        events::Subscribe,
        events::Unsubscribe,
        handshake::Handshake,
        metrics::ReadMetrics,
        ping::Ping,
    ],
    notifications: [HostEvent, CallCancelled],
    client_requests: [CallMethod],
});

/// The plugin behind the host's own methods.
pub struct HostMethods {
    shared: Arc<Shared>,
    authority: Option<Arc<dyn AgentAuthority>>,
    agent_rows: Option<Arc<dyn AgentRows>>,
    document: OnceLock<discover::LinkedDocument>,
}

impl Plugin for HostMethods {
    const ID: &'static str = "host";
    const NAMESPACES: &'static [&'static str] =
        &["host", "session", "server", "rpc", "capabilities"];
    const OPTIONAL: &'static [&'static str] = &[AGENT_AUTHORITY.name(), AGENT_ROWS.name()];
    type Config = ();

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let (authority, agent_rows) = (cx.find(&AGENT_AUTHORITY), cx.find(&AGENT_ROWS));
        let document = OnceLock::new();
        Ok(Self { shared: cx.require(&SHARED)?, authority, agent_rows, document })
    }
}
