//! `a2a.send`: a message to an agent of others.

use carport_a2a_outbound::Consent;
use carport_a2a_types::{Message, SendResult, Version, read::read};
use carport_a2ui_api::{Ingested, RouteAuth};
use carport_core::{Access, Caller, Method, Result, RpcError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    A2a,
    asking::{Asking, hear},
    credential::{self, Credential},
    drawing::{ASKED_FOR, Drawn},
    routes::screen,
};

/// Sends a message to an agent of others, found by its card or by the URL that it is posted to. v1.0 is spoken, and
/// v0.3 with an agent that knows nothing else.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendToPeer {
    /// The agent: an origin, whose card is asked for, or the whole URL that is posted to.
    pub endpoint: String,
    /// The message, in the shape of either version. A missing `messageId` is made.
    pub message: Map<String, Value>,
    /// Whether the answer waits until the task has ended or asks for something.
    #[serde(default)]
    pub blocking: bool,
    /// Whether surfaces in the answer are drawn here, where the plugin a2ui is there, and their actions go back.
    #[serde(default = "yes", alias = "ingest_a2ui")]
    pub ingest_a2ui: bool,
    /// How the endpoint is authenticated to. It is kept for actions on the surfaces of the answer, as long as
    /// one of them is there, and goes to the endpoint's origin only.
    #[serde(default, alias = "route_auth", deserialize_with = "credential::read")]
    #[schemars(with = "Option<RouteAuth>")]
    pub route_auth: RouteAuth,
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

    async fn run(self, a2a: &A2a, caller: &Caller) -> Result<SentToPeer> {
        let mut message = message(self.message)?;
        let consent = Consent::given(self.allow_untrusted_endpoint);
        let endpoint = screen(&a2a.outgoing, &a2a.peers, &self.endpoint, consent)?;
        let credential = Credential::of(&self.route_auth, &endpoint)?;
        let asking = Asking::new(&a2a.outgoing, credential, self.blocking);
        let drawing = a2a.drawing.as_ref().filter(|_| self.ingest_a2ui);
        let peer = asking.find(&endpoint).await?;
        let peer = peer.with_extensions(drawing.map(|_| ASKED_FOR));
        if let Some(drawing) = drawing {
            drawing.introduce(&mut message, peer.posted());
        }
        let who = carport_a2a_tasks::Caller::of(caller.identity());
        let mut drawn = Drawn::default();
        let (result, version) = hear(&peer, &message, |news| {
            if let Some(drawing) = drawing {
                let asked_in = message.context_id.as_deref();
                let key = peer.carrier().credential.as_ref();
                drawn.draw(|| drawing.answered(who.name(), peer.posted(), asked_in, &news, key));
            }
        })
        .await?;
        let a2ui = drawn.into_ingested();
        Ok(SentToPeer { result, a2ui, version: version.text() })
    }
}
