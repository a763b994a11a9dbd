//! Surfaces as a test sees them: what was handed over, which are there, and the way of actions.

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2ui_api::{
    Actor, ApplyResult, FromPeer, Ingested, Router, SURFACES, Snapshot, Surfaces,
};
use carport_core::{Guarded, Result, RpcError, testing::TestHostBuilder};
use serde_json::{Map, Value, json};

/// Takes down what it is given, and knows which surfaces were created by whom.
#[derive(Default)]
pub(crate) struct Sheet {
    pub(crate) given: Guarded<Vec<FromPeer>>,
    /// The surfaces, by whom they are, and the connection that drew them, if it was one.
    there: Guarded<Vec<(Actor, String, Option<&'static str>)>>,
    router: Guarded<Option<Arc<dyn Router>>>,
}

fn created(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| created(it, ids)),
        Value::Object(members) => {
            ids.extend(value["createSurface"]["surfaceId"].as_str().map(str::to_owned));
            members.values().for_each(|it| created(it, ids));
        }
        _ => {}
    }
}

impl Sheet {
    pub(crate) fn router(&self) -> Arc<dyn Router> {
        self.router.lock().clone().expect("the plugin offers a way")
    }

    /// Removes a surface.
    pub(crate) fn wipe(&self, id: &str) {
        self.there.lock().retain(|(_, it, _)| it != id);
    }

    /// Has a connection draw a surface in the name of a peer.
    pub(crate) fn forge(&self, endpoint: String, context: &str, id: &str) {
        let who = Actor::Peer { endpoint: Some(endpoint), context_id: Some(context.to_owned()) };
        self.there.lock().push((who, id.to_owned(), Some("conn-1")));
    }
}

#[async_trait]
impl Surfaces for Sheet {
    fn capabilities(&self) -> Value {
        Value::Null
    }

    fn catalog_ids(&self) -> Vec<String> {
        vec!["urn:catalog".into()]
    }

    fn apply(&self, _: &Actor, _: Value) -> Result<ApplyResult> {
        Err(RpcError::internal("nothing is applied"))
    }

    fn get(&self, who: &Actor, surface_id: &str) -> Option<Snapshot> {
        let there = self.there.lock();
        let found = there.iter().find(|(by, id, _)| by == who && id == surface_id)?;
        let by = match found.2 {
            None => json!({ "kind": "peer" }),
            Some(client) => json!({ "kind": "peer", "clientId": client }),
        };
        let shown = json!({ "surfaceId": surface_id, "createdBy": by });
        Some(Snapshot(serde_json::value::to_raw_value(&shown).unwrap().into()))
    }

    fn ingest(&self, from: FromPeer) -> Result<Ingested> {
        let mut ids = Vec::new();
        created(&from.payload, &mut ids);
        let who =
            Actor::Peer { endpoint: from.endpoint.clone(), context_id: from.context_id.clone() };
        let mut done = Ingested::default();
        for surface_id in ids {
            self.there.lock().push((who.clone(), surface_id.clone(), None));
            done.applied.push(ApplyResult {
                surface_id,
                deleted: false,
                surface: None,
                revision: 1,
            });
        }
        self.given.lock().push(from);
        match done.applied.iter().any(|it| it.surface_id == "too-many") {
            true => Err(RpcError::limit("maxEnvelopesPerPayload", 1)),
            false => Ok(done),
        }
    }

    fn message_metadata(&self, endpoint: &str, context_id: Option<&str>) -> Map<String, Value> {
        let told = json!({ "endpoint": endpoint, "context": context_id });
        Map::from_iter([("a2uiClientCapabilities".to_owned(), told)])
    }

    fn route_by(&self, router: Arc<dyn Router>) {
        self.router.lock().get_or_insert(router);
    }
}

/// A host with these surfaces, which may call this machine.
pub(crate) fn with_sheet(builder: TestHostBuilder) -> (TestHostBuilder, Arc<Sheet>) {
    let sheet = Arc::new(Sheet::default());
    let surfaces = sheet.clone();
    let builder = builder.config(|config| {
        config.provide(&SURFACES, surfaces as Arc<dyn Surfaces>);
    });
    (builder, sheet)
}
