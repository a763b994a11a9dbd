//! An agent of others over HTTP: its card, its answers and its streams. It is asked by this process, not by the
//! daemon: for what the daemon's own connection does not carry.

use std::{collections::VecDeque, time::Duration};

use carport_a2a_outbound::{EventReader, Target, choose_interface};
use carport_a2a_types::{
    Kind, StreamResponse, Version,
    card::AgentCard,
    read::{Read, read},
};
use carport_core::{RpcError, codes};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Ask, answered, is_of_a2a};
use crate::exit::{Code, Exit};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an agent may be silent; streams have a comment every few seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes of a card.
const CARD_BYTES: usize = 256 * 1024;
/// Bytes of an answer, and of one event.
const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Where cards are.
const CARDS: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// Why an agent's answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("no agent answers at {url} ({why})")]
    Unreachable { url: String, why: &'static str },
    #[error("{0} has no agent card that reads; give the whole URL that messages are posted to")]
    NoCard(String),
    #[error("the card of {0} names no JSON-RPC interface of the same scheme, host and port")]
    Elsewhere(String),
    #[error("{0} does not let this request in; `--token-from` says where its token is")]
    Denied(String),
    #[error("a token is not sent in the clear: give an https URL instead of {0}")]
    Plain(String),
    #[error("the token cannot be sent: it holds a line end or another control character")]
    BadToken,
    #[error("{url} {what}")]
    Nonsense { url: String, what: &'static str },
    #[error("the answer of {url} has more than {most} bytes")]
    Long { url: String, most: usize },
    #[error("the agent refused: {0}")]
    Refused(RpcError),
    #[error("{0}")]
    Setup(reqwest::Error),
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(error)
                if !is_of_a2a(&error) && error.code == codes::NOT_AUTHENTICATED =>
            {
                error.into()
            }
            Fault::Refused(ref error) => {
                let told = fault.to_string();
                Self { message: told, ..answered(error.clone()) }
            }
            Fault::Denied(_) => Self::new(Code::Denied, fault),
            Fault::Plain(_) => Self::usage(fault),
            fault => Self::failed(fault),
        }
    }
}

fn client() -> Result<Client, Fault> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .build()
        .map_err(Fault::Setup)
}

fn unreachable(url: &Target, error: &reqwest::Error) -> Fault {
    let why = match () {
        () if error.is_timeout() => "silent for too long",
        () if error.is_connect() => "there is no connection",
        () => "the connection broke",
    };
    Fault::Unreachable { url: url.to_string(), why }
}

async fn sent(request: RequestBuilder, url: &Target) -> Result<Response, Fault> {
    request.send().await.map_err(|error| unreachable(url, &error))
}

/// The whole body, if it has no more than `most` bytes.
async fn body(mut response: Response, url: &Target, most: usize) -> Result<Vec<u8>, Fault> {
    let mut read = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
        if read.len() + chunk.len() > most {
            return Err(Fault::Long { url: url.to_string(), most });
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

/// The card of an agent, asked for without credentials: where the URL says, or at the well-known places of its
/// origin. The second value is the card as it came.
pub(crate) async fn card(url: &Target) -> Result<(AgentCard, Value), Fault> {
    let client = client()?;
    let itself = url.url().path().ends_with(".json").then(|| url.clone());
    let places = CARDS.map(|path| url.at(path));
    for place in itself.into_iter().chain(places) {
        let response = sent(client.get(place.url().clone()), &place).await?;
        if response.status() != 200 {
            continue;
        }
        let body = body(response, &place, CARD_BYTES).await?;
        let Ok(whole) = serde_json::from_slice::<Value>(&body) else { continue };
        // Either place has had cards of either version.
        let versions = [Version::V1, Version::V03];
        if let Some(card) = versions.into_iter().find_map(|it| read(whole.clone(), it).ok()) {
            return Ok((card, whole));
        }
    }
    Err(Fault::NoCard(url.to_string()))
}

/// An agent and where it is asked.
pub(crate) struct Agent {
    client: Client,
    posted: Target,
    authorization: Option<HeaderValue>,
}

impl Agent {
    /// Finds out where an agent is asked: a URL with a path is that place, of a bare one the card says it.
    ///
    /// # Errors
    /// There is no card, or one that leads elsewhere; the token may not be sent there.
    pub(crate) async fn find(url: &Target, token: Option<&SecretString>) -> Result<Self, Fault> {
        let authorization = token.map(|token| header(url, token)).transpose()?;
        let posted = match url.is_bare() {
            false => url.clone(),
            true => {
                let (card, _) = card(url).await?;
                let interface = choose_interface(&card, url);
                let interface = interface.and_then(|it| Target::parse(&it.url).ok());
                interface.ok_or_else(|| Fault::Elsewhere(url.to_string()))?
            }
        };
        Ok(Self { client: client()?, posted, authorization })
    }

    /// Asks for an answer.
    pub(crate) async fn call<T: Read>(&self, ask: &Ask<'_>) -> Result<T, Fault> {
        let (opened, version) = self.open(ask).await?;
        let Opened::Answer { envelope, .. } = opened else {
            return Err(self.nonsense("answers with a stream"));
        };
        let result = self.result(envelope.unwrap_or_default())?;
        read(result, version).map_err(|_| self.nonsense("answers with what A2A does not know"))
    }

    /// Asks for a stream.
    pub(crate) async fn stream(&self, ask: &Ask<'_>) -> Result<Events<'_>, Fault> {
        let (opened, version) = self.open(ask).await?;
        let response = match opened {
            Opened::Stream(response) => response,
            Opened::Answer { envelope, .. } => {
                self.result(envelope.unwrap_or_default())?;
                return Err(self.nonsense("answers with no stream"));
            }
        };
        let (reader, waiting) = (EventReader::new(ANSWER_BYTES), VecDeque::new());
        Ok(Events { agent: self, response, reader, waiting, version })
    }

    /// Asks in v1.0, and in v0.3 if the agent knows no such thing, in which case it did nothing.
    async fn open(&self, ask: &Ask<'_>) -> Result<(Opened, Version), Fault> {
        let opened = self.post(ask, Version::V1).await?;
        match opened.knows_no_such_thing() {
            true => Ok((self.post(ask, Version::V03).await?, Version::V03)),
            false => Ok((opened, Version::V1)),
        }
    }

    async fn post(&self, ask: &Ask<'_>, version: Version) -> Result<Opened, Fault> {
        let (method, params) = ask.spoken(version);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = self
            .client
            .post(self.posted.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header("a2a-version", version.text())
            .body(call.to_string());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        let response = sent(request, &self.posted).await?;
        match response.status().as_u16() {
            401 | 403 => return Err(Fault::Denied(self.posted.to_string())),
            300..=399 => return Err(self.nonsense("redirects, which is not followed")),
            _ => {}
        }
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if kind.is_some_and(|it| it.starts_with(b"text/event-stream")) {
            return Ok(Opened::Stream(response));
        }
        let status = response.status().as_u16();
        let bytes = body(response, &self.posted, ANSWER_BYTES).await?;
        Ok(Opened::Answer { status, envelope: serde_json::from_slice(&bytes).ok() })
    }

    /// The result in an envelope of JSON-RPC.
    fn result(&self, mut envelope: Value) -> Result<Value, Fault> {
        match RpcError::deserialize(&envelope["error"]) {
            Ok(error) => Err(Fault::Refused(error)),
            Err(_) if envelope.get("result").is_some() => Ok(envelope["result"].take()),
            Err(_) => Err(self.nonsense("answers with no JSON-RPC")),
        }
    }

    fn nonsense(&self, what: &'static str) -> Fault {
        Fault::Nonsense { url: self.posted.to_string(), what }
    }
}

/// The header that a token goes in. It goes to the URL that it was given for, and there only by TLS or within
/// this machine.
fn header(url: &Target, token: &SecretString) -> Result<HeaderValue, Fault> {
    let local = url.host() == "localhost" || url.address().is_some_and(|it| it.is_loopback());
    if !url.is_https() && !local {
        return Err(Fault::Plain(url.to_string()));
    }
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| Fault::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

/// How an answer begins.
enum Opened {
    Stream(Response),
    /// All of it; `None` is no JSON.
    Answer {
        status: u16,
        envelope: Option<Value>,
    },
}

impl Opened {
    /// Whether there is no such method, version or place, so that nothing was done.
    fn knows_no_such_thing(&self) -> bool {
        let Self::Answer { status, envelope } = self else { return false };
        let code = envelope.as_ref().and_then(|it| it["error"]["code"].as_i64());
        match code {
            None => matches!(status, 404 | 405),
            Some(code) => {
                let kinds = [Kind::MethodNotFound, Kind::VersionNotSupported];
                kinds.iter().any(|kind| code == i64::from(kind.code()))
            }
        }
    }
}

/// A stream of changes.
pub(crate) struct Events<'a> {
    agent: &'a Agent,
    response: Response,
    reader: EventReader,
    waiting: VecDeque<String>,
    version: Version,
}

impl Events<'_> {
    /// The next change; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<StreamResponse>, Fault> {
        let url = &self.agent.posted;
        while self.waiting.is_empty() {
            let chunk = self.response.chunk().await.map_err(|error| unreachable(url, &error))?;
            let Some(chunk) = chunk else { return Ok(None) };
            let events = self.reader.feed(&chunk);
            let long = |_| Fault::Long { url: url.to_string(), most: ANSWER_BYTES };
            self.waiting.extend(events.map_err(long)?.into_iter().map(|it| it.data));
        }
        let data = self.waiting.pop_front().unwrap_or_default();
        let envelope = serde_json::from_str(&data).unwrap_or_default();
        let event = self.agent.result(envelope)?;
        let event = read(event, self.version);
        event.map(Some).map_err(|_| self.agent.nonsense("tells what A2A does not know"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_nowhere_in_the_clear_but_within_this_machine() {
        let token = SecretString::from("s3cret");
        let fate = |url: &str| header(&Target::parse(url).unwrap(), &token);
        for good in
            ["https://a.example/", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"]
        {
            assert_eq!(fate(good).unwrap(), "Bearer s3cret", "{good}");
        }
        for bad in ["http://a.example/", "http://10.0.0.1/", "http://localhost.a.example/"] {
            let told = fate(bad).unwrap_err().to_string();
            assert!(told.contains("https") && !told.contains("s3cret"), "{told}");
        }
        let folded = header(&Target::parse("https://a.example/").unwrap(), &"a\nb".into());
        assert!(matches!(folded, Err(Fault::BadToken)));
    }

    #[test]
    fn only_who_did_nothing_is_asked_again() {
        let answer = |status, envelope| Opened::Answer { status, envelope };
        let code = |code: i32| Some(json!({ "error": { "code": code, "message": "" } }));
        for (opened, again) in [
            (answer(404, None), true),
            (answer(405, Some(json!({}))), true),
            (answer(200, code(-32601)), true),
            (answer(200, code(-32009)), true),
            (answer(404, code(-32001)), false),
            (answer(500, None), false),
            (answer(200, Some(json!({ "result": {} }))), false),
        ] {
            assert_eq!(opened.knows_no_such_thing(), again);
        }
    }
}
