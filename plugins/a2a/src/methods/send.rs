//! `a2a.send`: a message to an agent of others.

use carport_a2a_types::{Message, SendMessage, SendResult, Version, read::read};
use carport_core::{Access, Caller, Method, Result, RpcError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::peers::consent;
use crate::{
    A2a,
    asking::{Question, RouteAuth, ask},
};

/// Sends a message to an agent of others, found by its card or by the URL that it is posted to. v1.0 is spoken, and
/// v0.3 with an agent that knows nothing else.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendToPeer {
    /// The agent: an origin, whose card is asked for, or the whole URL that is posted to.
    pub endpoint: String,
    /// The message, in the shape of either version. A missing `messageId` is made.
    pub message: Map<String, Value>,
    /// Whether the answer waits until the task has ended or asks for something.
    #[serde(default)]
    pub blocking: bool,
    /// Whether surfaces in the answer are drawn here. This build draws none.
    #[serde(default = "yes", alias = "ingest_a2ui")]
    pub ingest_a2ui: bool,
    /// How the endpoint is authenticated to.
    #[serde(default, alias = "route_auth")]
    pub route_auth: Option<RouteAuth>,
    /// Whether a host that nobody allowed by name, and that is no peer, is meant.
    #[serde(default, alias = "allow_untrusted_endpoint")]
    pub allow_untrusted_endpoint: bool,
}

const fn yes() -> bool {
    true
}

/// What a peer answered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SentToPeer {
    /// A task or a message, in the shape of v1.0.
    pub result: SendResult,
    /// What was drawn of it.
    pub a2ui: Ingested,
    /// The version that was spoken.
    pub version: &'static str,
}

/// Surfaces that an answer changed.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Ingested {
    /// What was applied.
    pub applied: Vec<Value>,
    /// What was not.
    pub errors: Vec<Value>,
}

/// The message in whichever shape it came; the version that fits better tells what is wrong.
fn message(mut members: Map<String, Value>) -> Result<Message> {
    if !members.contains_key("messageId") && !members.contains_key("message_id") {
        members.insert("messageId".into(), Uuid::now_v7().to_string().into());
    }
    let older = members.contains_key("kind")
        || members.get("role").is_some_and(|it| it == "user" || it == "agent");
    let version = if older { Version::V03 } else { Version::V1 };
    read(members.into(), version).map_err(|error| {
        let first = error.violations().first();
        let field = first.map_or("message".into(), |it| format!("message.{}", it.field));
        RpcError::invalid_params(&field, first.map_or("is wrong", |it| &it.description))
    })
}

impl Method for SendToPeer {
    const NAME: &'static str = "a2a.send";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2a;
    type Reply = SentToPeer;

    async fn run(self, a2a: &A2a, _: &Caller) -> Result<SentToPeer> {
        let message = message(self.message)?;
        let auth = self.route_auth.unwrap_or_default().header()?;
        let screen = a2a.outgoing.screen();
        let endpoint = match screen.register(&self.endpoint, consent(self.allow_untrusted_endpoint))
        {
            Ok(endpoint) => endpoint,
            // A peer that is known needs no more consent, but everything else.
            Err(refusal) => match screen.register(&self.endpoint, consent(true)) {
                Ok(endpoint) if a2a.peers.know(&endpoint).await => endpoint,
                _ => return Err(refusal.into()),
            },
        };
        let params = SendMessage { message, configuration: None, metadata: None };
        let question = Question { params, auth, blocking: self.blocking };
        let (result, version) = ask(&a2a.outgoing, &endpoint, question).await?;
        Ok(SentToPeer { result, a2ui: Ingested::default(), version: version.text() })
    }
}
