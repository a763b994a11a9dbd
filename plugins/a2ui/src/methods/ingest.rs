//! `a2ui.ingest`: whatever a peer sent.

use carport_a2ui_api::{Ingested, Owner, RouteAuth};
use carport_core::{Access, Caller, Method, Result, RpcError};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::take;
use crate::{
    A2ui,
    ingesting::{Whose, or_first_error},
    service::actor,
};

/// Applies every envelope in an A2A object, one by one. Without `payload` the parameters are the payload.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Ingest {
    params: Map<String, Value>,
}

/// Applies every envelope in an A2A object, one by one. Without `payload` the parameters are the payload.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema of what is read by hand")]
struct Params {
    /// An envelope, a list of them, or an A2A object with A2UI data parts.
    payload: Option<Value>,
    /// Whose new surfaces are; without it, as the payload says.
    owner: Option<Owner>,
    /// Where actions on new surfaces go: an https URL.
    endpoint: Option<String>,
    /// How `endpoint` is authenticated to.
    route_auth: Option<RouteAuth>,
    /// Whether an endpoint that nobody allowed by name may be kept.
    allow_untrusted_endpoint: Option<bool>,
}

impl JsonSchema for Ingest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ingest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Params::json_schema(generator)
    }
}

impl Method for Ingest {
    const NAME: &'static str = "a2ui.ingest";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Ingested;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Ingested> {
        let Self { mut params } = self;
        let owner: Option<Owner> = take(&mut params, "owner")?;
        let auth = credential(&mut params)?;
        let consent = take(&mut params, "allowUntrustedEndpoint")?.unwrap_or(false);
        let named: Option<String> = take(&mut params, "endpoint")?;
        let payload = params.remove("payload").filter(|it| !it.is_null());
        let is_callers = payload.is_some();
        let payload = payload.unwrap_or_else(|| params.into());
        let of_owner = match &owner {
            Some(Owner::A2a { endpoint, .. }) => endpoint.clone(),
            _ => None,
        };
        let service = &a2ui.service;
        let endpoint = match named.filter(|_| is_callers).or(of_owner) {
            Some(text) => Some(service.endpoint(&text, consent)?),
            // What the payload says of itself is not worth a refusal.
            None => {
                let text = payload["endpoint"].as_str();
                text.and_then(|text| service.endpoint(text, consent).ok())
            }
        };
        let who = actor(caller);
        let whose = Whose { who: &who, owner, task_id: None, context_id: None, endpoint, auth };
        or_first_error(service.ingest_as(&payload, &whose)?)
    }
}

/// The credential. What is wrong with it is told without it.
fn credential(params: &mut Map<String, Value>) -> Result<RouteAuth> {
    match params.remove("routeAuth") {
        None | Some(Value::Null) => Ok(RouteAuth::None),
        Some(sent) => RouteAuth::deserialize(&sent).map_err(|_| {
            let why = "must be {type: none}, {type: bearer, token} or {type: header, name, value}: a name that \
                       is an HTTP token and not the transport's, and a value of 1..=8192 bytes without CR, LF, NUL";
            RpcError::invalid_params("routeAuth", why)
        }),
    }
}
