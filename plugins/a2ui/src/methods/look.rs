//! Methods that look at surfaces: what is possible, which there are, one of them, and how to make it anew.

use carport_a2ui_api::{Snapshot, Surfaces};
use carport_a2ui_surfaces::Surface;
use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{A2ui, service::actor};

/// Tells versions, catalogs, components, functions and limits.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetCapabilities {}

/// Versions, catalogs, components, functions and limits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SurfaceCapabilities(pub Value);

impl Method for GetCapabilities {
    const NAME: &'static str = "a2ui.capabilities";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = SurfaceCapabilities;

    async fn run(self, a2ui: &A2ui, _: &Caller) -> Result<SurfaceCapabilities> {
        Ok(SurfaceCapabilities(a2ui.service.capabilities()))
    }
}

/// Lists the surfaces that the caller may see, by creation.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListSurfaces {}

impl Method for ListSurfaces {
    const NAME: &'static str = "a2ui.surfaces";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Vec<Snapshot>;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Vec<Snapshot>> {
        let state = a2ui.service.state.lock();
        Ok(state.store.list(&actor(caller)).into_iter().map(Surface::snapshot).collect())
    }
}

/// Shows a surface, or null if there is none that the caller may see.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GetSurface {
    /// The surface; `surface_id` is the same.
    #[serde(rename = "surfaceId", alias = "surface_id")]
    pub surface_id: String,
}

impl Method for GetSurface {
    const NAME: &'static str = "a2ui.get";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Option<Snapshot>;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Option<Snapshot>> {
        Ok(a2ui.service.get(&actor(caller), &self.surface_id))
    }
}

/// Shows a surface as a renderer needs it that starts anew, or null; the surface counts as used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// The surface; `surface_id` is the same.
    #[serde(rename = "surfaceId", alias = "surface_id")]
    pub surface_id: String,
    /// As a surface, or as the envelopes that make it.
    #[serde(default)]
    pub form: Option<ReplayForm>,
}

/// How a surface is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayForm {
    /// As `a2ui.get` does.
    #[default]
    Surface,
    /// As envelopes.
    Envelopes,
}

/// A surface, or what makes it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Replayed {
    /// The envelopes.
    #[serde(rename_all = "camelCase")]
    Envelopes {
        /// The surface.
        surface_id: String,
        /// Its revision.
        revision: u64,
        /// In order.
        envelopes: Vec<Value>,
    },
    /// The surface.
    Surface(Snapshot),
}

impl Method for Replay {
    const NAME: &'static str = "a2ui/replay";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Option<Replayed>;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Option<Replayed>> {
        let service = &a2ui.service;
        let (mut state, who) = (service.state.lock(), actor(caller));
        if state.store.get(&who, &self.surface_id).is_none() {
            return Ok(None);
        }
        state.store.touch(&self.surface_id, service.clock.now());
        let surface = state.store.get(&who, &self.surface_id);
        Ok(surface.map(|surface| match self.form.unwrap_or_default() {
            ReplayForm::Surface => Replayed::Surface(surface.snapshot()),
            ReplayForm::Envelopes => Replayed::Envelopes {
                surface_id: self.surface_id,
                revision: surface.revision,
                envelopes: surface.envelopes(&service.config.limits),
            },
        }))
    }
}

/// Removes surfaces that nobody touched for longer than they may be kept.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reap {}

/// What was removed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reaped {
    /// The ids of those that the caller could see.
    pub removed: Vec<String>,
}

impl Method for Reap {
    const NAME: &'static str = "a2ui.reap";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Reaped;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Reaped> {
        let gone = a2ui.service.reap();
        let seen = gone.into_iter().filter(|(_, creator)| {
            caller.agent().is_none_or(|agent| creator.as_deref() == Some(agent))
        });
        Ok(Reaped { removed: seen.map(|(id, _)| id).collect() })
    }
}
