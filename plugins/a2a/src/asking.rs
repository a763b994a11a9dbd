//! Asking a peer: its card, the version that it speaks, and its answer.

use std::time::Duration;

use carport_a2a_outbound::{Target, choose_interface};
use carport_a2a_types::{
    A2aError, Kind, Message, SendResult, Version, card::AgentCard, read::read, v03,
};
use carport_core::RpcError;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    credential::Credential,
    drawing::ASKED_FOR,
    outgoing::{Limits, Outgoing, Unmet},
};

/// Bytes and time that a card may take.
const CARD: Limits = Limits { total: Duration::from_secs(60), bytes: 256 * 1024 };
/// Bytes that an answer may have.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// How long an answer may take that does not wait for the work.
const AT_ONCE: Duration = Duration::from_secs(60);
/// How long an answer may take that does.
const BLOCKING: Duration = Duration::from_secs(300);

/// Where cards are, the newer place first.
const CARDS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// What is asked.
pub(crate) struct Question {
    pub(crate) message: Message,
    /// Goes along where the origin is the one that it was given for.
    pub(crate) credential: Option<Credential>,
    /// Whether the answer waits for the work.
    pub(crate) blocking: bool,
    /// Whether surfaces in the answer are drawn, so that the peer is asked for the extension.
    pub(crate) draws: bool,
}

/// Why a peer did not answer as it should.
#[derive(Debug)]
pub(crate) enum Failure {
    Unmet(Unmet),
    /// Its answer was an error.
    Error(RpcError),
    /// Its answer is none.
    Nonsense(&'static str),
}

impl From<Failure> for RpcError {
    fn from(failure: Failure) -> Self {
        let failed = |reason: &str, why: String, retryable: bool| {
            RpcError::internal(why).with("reason", reason).with("retryable", retryable)
        };
        match failure {
            Failure::Unmet(Unmet::Refused(refusal)) => refusal.into(),
            Failure::Unmet(Unmet::Unreachable) => {
                failed("peer_unreachable", "the peer cannot be reached".into(), true)
            }
            Failure::Unmet(Unmet::Late) => {
                failed("peer_timeout", "the peer did not answer in time".into(), true)
            }
            Failure::Unmet(Unmet::Long(limit)) => {
                let why = format!("the peer's answer has more than {limit} bytes");
                failed("peer_error", why, false).with("limit", limit)
            }
            Failure::Error(error) => {
                let shown: String = error.message.chars().take(512).collect();
                failed("peer_error", format!("the peer refused: {shown}"), false)
                    .with("peer", json!(error))
            }
            Failure::Nonsense(why) => failed("peer_error", format!("the peer {why}"), false),
        }
    }
}

/// Where a peer is posted to: what the card of a bare origin says, or the endpoint itself. The card is asked for
/// without credentials.
///
/// # Errors
/// There is no card, or none that names a place of its own origin.
pub(crate) async fn locate(outgoing: &Outgoing, endpoint: &Target) -> Result<Target, Failure> {
    match endpoint.is_bare() {
        true => place(outgoing, endpoint).await,
        false => Ok(endpoint.clone()),
    }
}

/// Asks a peer, in v1.0 and then, if it knows no such thing, in v0.3. Nothing was done when it says so.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn ask(
    outgoing: &Outgoing,
    posted: &Target,
    question: &Question,
) -> Result<(SendResult, Version), Failure> {
    match post(outgoing, posted, question, Version::V1).await {
        Err(failure) if speaks_another(&failure) => {
            let result = post(outgoing, posted, question, Version::V03).await?;
            Ok((result, Version::V03))
        }
        answered => Ok((answered?, Version::V1)),
    }
}

/// Whether a peer said that it knows no such method or version, so that nothing was executed.
fn speaks_another(failure: &Failure) -> bool {
    match failure {
        Failure::Error(error) => {
            [Kind::MethodNotFound.code(), Kind::VersionNotSupported.code()].contains(&error.code)
        }
        Failure::Nonsense(why) => *why == NOT_THERE,
        Failure::Unmet(_) => false,
    }
}

const NOT_THERE: &str = "answers nothing there";

/// A card in the shape that it has: agents of v0.3 show theirs at either place.
fn read_card(body: &[u8]) -> Option<AgentCard> {
    let card: Value = serde_json::from_slice(body).ok()?;
    let is_newer =
        ["supportedInterfaces", "supported_interfaces"].iter().any(|it| card.get(it).is_some());
    read(card, if is_newer { Version::V1 } else { Version::V03 }).ok()
}

/// Where an origin's card says that it is posted to. The card is asked for without credentials.
async fn place(outgoing: &Outgoing, origin: &Target) -> Result<Target, Failure> {
    for path in CARDS {
        let at = origin.at(path);
        let asked = outgoing.exchange(&at, HeaderMap::new(), None, CARD).await;
        let (status, body) = asked.map_err(Failure::Unmet)?;
        if status != 200 {
            continue;
        }
        let card = read_card(&body).ok_or(Failure::Nonsense("has a card that does not read"))?;
        let interface = choose_interface(&card, origin).ok_or(Failure::Nonsense(
            "has a card without a JSON-RPC interface of its own origin",
        ))?;
        let wrong = |_| Failure::Nonsense("has a card whose interface is no URL");
        return Target::parse(&interface.url).map_err(wrong);
    }
    Err(Failure::Nonsense("has no card: give the whole URL that is posted to"))
}

/// The call in the shape of a version.
fn call(question: &Question, version: Version) -> Value {
    let message = question.message.clone();
    let (method, params) = match version {
        Version::V1 => (
            "SendMessage",
            json!({
                "message": message,
                "configuration": { "returnImmediately": !question.blocking },
            }),
        ),
        Version::V03 => (
            "message/send",
            json!({
                "message": v03::Message::from(message),
                "configuration": { "blocking": question.blocking },
            }),
        ),
    };
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// The header that names extensions.
const fn extensions(version: Version) -> HeaderName {
    match version {
        Version::V1 => HeaderName::from_static("a2a-extensions"),
        Version::V03 => HeaderName::from_static("x-a2a-extensions"),
    }
}

async fn post(
    outgoing: &Outgoing,
    target: &Target,
    question: &Question,
    version: Version,
) -> Result<SendResult, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("a2a-version", HeaderValue::from_static(version.text()));
    if question.draws {
        headers.insert(extensions(version), HeaderValue::from_static(ASKED_FOR));
    }
    headers.extend(question.credential.as_ref().and_then(|it| it.header_for(target)));
    let total = if question.blocking { BLOCKING } else { AT_ONCE };
    let limits = Limits { total, bytes: ANSWER_BYTES };
    let body = call(question, version).to_string().into_bytes();
    let answered = outgoing.exchange(target, headers, Some(body), limits).await;
    let (status, body) = answered.map_err(Failure::Unmet)?;
    let none = |why| Failure::Nonsense(if [404, 405].contains(&status) { NOT_THERE } else { why });
    let Ok(mut envelope) = serde_json::from_slice::<Value>(&body) else {
        return Err(none(match status {
            300..=399 => "redirects, which is not followed",
            401 | 403 => "does not let this daemon in",
            _ => "answers with no JSON",
        }));
    };
    if let Some(credential) = &question.credential {
        credential.strike(&mut envelope);
    }
    if let Some(error) = envelope.get("error") {
        let error = serde_json::from_value(error.clone());
        let wrong = |_| none("answers with no error of JSON-RPC");
        return Err(error.map_or_else(wrong, Failure::Error));
    }
    let result = envelope.get_mut("result").map(Value::take).unwrap_or_default();
    let wrong = |_: A2aError| none("answers with neither a task nor a message");
    read(result, version).map_err(wrong)
}
