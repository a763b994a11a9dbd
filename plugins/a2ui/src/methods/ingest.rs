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

/// Applies every envelope in an A2A object, one by one. Without `payload` the parameters are the payload,
/// an object or a list.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Ingest {
    params: Value,
}

/// Applies every envelope in an A2A object, one by one. Without `payload` the parameters are the payload,
/// an object or a list.
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
    /// How `endpoint` is authenticated to. It needs an `endpoint` of the caller's own: beside `payload`, or the
    /// `owner`'s there.
    route_auth: Option<RouteAuth>,
    /// Whether the caller's `endpoint` may be kept although nobody allowed it by name.
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
    const TAKES_ARRAY: bool = true;
    const TAKES_OBJECT: bool = true;
    type Plugin = A2ui;
    type Reply = Ingested;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Ingested> {
        let service = &a2ui.service;
        let (mut said, list) = match self.params {
            Value::Object(said) => (said, None),
            list => (Map::new(), Some(list)),
        };
        let owner: Option<Owner> = take(&mut said, "owner")?;
        hold_ids(owner.as_ref(), service.config.limits.max_id_bytes)?;
        let auth = credential(&mut said)?;
        let consent = take(&mut said, "allowUntrustedEndpoint")?.unwrap_or(false);
        let named: Option<String> = take(&mut said, "endpoint")?;
        let of_owner = match &owner {
            Some(Owner::A2a { endpoint, .. }) => endpoint.clone(),
            _ => None,
        };
        let named = named.or(of_owner);
        let wrapped = said.remove("payload").filter(|it| !it.is_null());
        let is_callers = wrapped.is_some();
        let payload = wrapped.or(list).unwrap_or_else(|| said.into());
        let endpoint = match named {
            Some(text) if is_callers => Some(service.endpoint(&text, consent)?),
            named => {
                if !matches!(auth, RouteAuth::None) {
                    let why = "goes only to an `endpoint` that the caller names beside `payload`";
                    return Err(RpcError::invalid_params("routeAuth", why));
                }
                // What a payload says of itself is not worth a refusal, and nobody consented to it.
                let text = named.or_else(|| payload["endpoint"].as_str().map(str::to_owned));
                text.and_then(|text| service.endpoint(&text, false).ok())
            }
        };
        let who = actor(caller);
        let whose = Whose {
            who: &who,
            owner,
            task_id: None,
            context_id: None,
            in_this_context: false,
            endpoint,
            auth,
        };
        or_first_error(service.ingest_as(&payload, &whose)?)
    }
}

/// Holds the ids of an owner to the length of one: every event on its surfaces repeats them.
fn hold_ids(owner: Option<&Owner>, limit: usize) -> Result<()> {
    let ids = match owner {
        Some(Owner::A2a { task_id, context_id, .. }) => [task_id.as_deref(), context_id.as_deref()],
        Some(Owner::Agent { agent_id }) => [Some(&**agent_id), None],
        None => [None, None],
    };
    match ids.into_iter().flatten().map(str::len).find(|got| *got > limit) {
        Some(got) => {
            let error = RpcError::limit("bytes of an id of `owner`", limit as u64);
            Err(error.with("field", "maxIdBytes").with("got", got))
        }
        None => Ok(()),
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
