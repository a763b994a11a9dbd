//! What other plugins may ask of the A2UI plugin: to apply, ingest and show surfaces, and to carry actions.

mod types;

use std::fmt;

use async_trait::async_trait;
use carport_core::{Result, ServiceKey};
use serde_json::{Map, Value};

pub use types::{
    Actor, ApplyResult, Creator, CreatorKind, IngestError, Ingested, Owner, RouteAuth, Snapshot,
};

/// The key of the service.
pub const SURFACES: ServiceKey<dyn Surfaces> = ServiceKey::named("surfaces");

/// What a peer sent, with where it may be answered.
#[derive(Default)]
pub struct FromPeer {
    /// Any A2A object with A2UI data in it.
    pub payload: Value,
    /// Where the peer is: an http or https URL.
    pub endpoint: Option<String>,
    /// Who it is if it is nowhere: whoever called this daemon, by a name that the plugin that was called gave it.
    /// What it drew is its own as long as it goes by that name; without one, as long as one payload.
    pub caller: Option<String>,
    /// What the peer's context is, if the payload does not say.
    pub context_id: Option<String>,
    /// What the peer's task is, if the payload does not say.
    pub task_id: Option<String>,
    /// How its endpoint is authenticated to. It never leaves the plugin but in a [`Delivery`].
    pub route_auth: RouteAuth,
    /// Whether whoever asked consented to an endpoint that nobody allowed by name.
    pub allow_untrusted_endpoint: bool,
}

/// An action on its way to the peer that drew the surface.
pub struct Delivery {
    /// Where to: the endpoint with its query.
    pub endpoint: String,
    /// Sent to the origin of `endpoint` only.
    pub auth: RouteAuth,
    /// The task and the context that the message goes on with.
    pub task_id: Option<String>,
    /// See `task_id`.
    pub context_id: Option<String>,
    /// Data parts of one user message: each is the `data` of a part.
    pub parts: Vec<Value>,
    /// The media type of the first part, for its metadata.
    pub media_type: &'static str,
    /// The message's metadata: `a2uiClientCapabilities` and perhaps `a2uiClientDataModel`.
    pub metadata: Map<String, Value>,
}

// What an endpoint's query, a payload or a person's data say is not for logs.
impl fmt::Debug for FromPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FromPeer");
        shown.field("context_id", &self.context_id).field("task_id", &self.task_id);
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Delivery");
        shown.field("context_id", &self.context_id).field("task_id", &self.task_id);
        shown.field("parts", &self.parts.len()).finish_non_exhaustive()
    }
}

/// What came of a delivery.
#[derive(Debug, Default)]
pub struct Delivered {
    /// The version of A2A that was spoken.
    pub version: Option<String>,
    /// The task that answers.
    pub task_id: Option<String>,
    /// The answer. Envelopes in it are ingested as the owner's.
    pub answer: Value,
}

/// Carries actions to peers; the A2A plugin offers one.
#[async_trait]
pub trait Router: Send + Sync {
    /// Whether an endpoint may be kept, by the rules of whoever would call it.
    ///
    /// # Errors
    /// Refused by policy, with the reason and the remedy.
    fn screen(&self, endpoint: &str, allow_untrusted: bool) -> Result<()>;

    /// Sends one message and waits for its answer. The caller has a time limit.
    ///
    /// # Errors
    /// The peer's, or of the way to it. The message holds no credential.
    async fn deliver(&self, delivery: Delivery) -> Result<Delivered>;
}

/// The surfaces, as other plugins see them.
#[async_trait]
pub trait Surfaces: Send + Sync {
    /// What `a2ui.capabilities` answers.
    fn capabilities(&self) -> Value;

    /// The ids of the catalogs that are drawn here, the preferred one first.
    fn catalog_ids(&self) -> Vec<String>;

    /// Applies one envelope, whole or not at all.
    ///
    /// # Errors
    /// As `a2ui.apply`.
    fn apply(&self, who: &Actor, envelope: Value) -> Result<ApplyResult>;

    /// A surface, if there is one that `who` may see.
    fn get(&self, who: &Actor, surface_id: &str) -> Option<Snapshot>;

    /// Applies the envelopes in what a peer sent, one by one. It may change only surfaces of its own
    /// endpoint and context.
    ///
    /// # Errors
    /// Only of the payload as a whole: too large, or too many envelopes. What is wrong with single
    /// envelopes is in [`Ingested::errors`].
    fn ingest(&self, from: FromPeer) -> Result<Ingested>;

    /// What goes into the metadata of a message to a peer: `a2uiClientCapabilities`, and
    /// `a2uiClientDataModel` for surfaces of this endpoint and context that ask for their data.
    fn message_metadata(&self, endpoint: &str, context_id: Option<&str>) -> Map<String, Value>;

    /// Offers a way to peers. The first one stays.
    fn route_by(&self, router: std::sync::Arc<dyn Router>);
}
