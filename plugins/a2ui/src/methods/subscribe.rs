//! `a2ui/subscribe` and `a2ui/unsubscribe`: a snapshot, and every event after it.

use carport_a2ui_api::Snapshot;
use carport_a2ui_surfaces::Surface;
use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{A2ui, service::actor};

/// Tells this connection of every later event, with the surfaces as they are now if asked for. A second
/// call replaces the first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Subscribe {
    /// Whether the surfaces come with the answer.
    #[serde(default)]
    pub snapshot: Option<bool>,
    /// Whether events leave the surface out.
    #[serde(default)]
    pub lean: Option<bool>,
}

/// The subscription holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Subscribed {
    /// Always true.
    pub subscribed: bool,
    /// The number of the last event before it.
    pub seq: u64,
    /// The surfaces at that moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surfaces: Option<Vec<Snapshot>>,
}

impl Method for Subscribe {
    const NAME: &'static str = "a2ui/subscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Subscribed;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Subscribed> {
        let service = &a2ui.service;
        let state = service.state.lock();
        service.listeners.subscribe(caller, self.lean.unwrap_or(false))?;
        let list = || state.store.list(&actor(caller)).into_iter().map(Surface::snapshot).collect();
        let surfaces = self.snapshot.unwrap_or(false).then(list);
        Ok(Subscribed { subscribed: true, seq: state.store.seq(), surfaces })
    }
}

/// Ends the subscription, if there is one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribe {}

/// There is no subscription any more.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unfollowed {
    /// Always false.
    pub subscribed: bool,
}

impl Method for Unsubscribe {
    const NAME: &'static str = "a2ui/unsubscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Unfollowed;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Unfollowed> {
        a2ui.service.listeners.unsubscribe(caller.session());
        Ok(Unfollowed { subscribed: false })
    }
}
