//! A stream as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use carport_a2a_tasks::Caller;
use carport_a2a_types::{A2aResult, StreamResponse, Version, rest, v03};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{App, door::text};
use crate::{
    calls::{Operation, Streamed},
    desk::{Follow, Told},
};

/// How often a stream that says nothing shows that it lives.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// What each event stands in.
#[derive(Debug, Clone)]
pub(super) enum Wrapper {
    /// An answer of JSON-RPC to the request of this id.
    Rpc(Value),
    /// Nothing.
    None,
}

/// A call that is answered with a stream.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) version: Version,
    pub(super) params: Map<String, Value>,
    pub(super) caller: &'a Caller,
    pub(super) wrapper: Wrapper,
}

/// Begins a stream, where there is room for one more.
///
/// # Errors
/// Everything that fails before the first event.
pub(super) async fn answer(app: &App, headers: &HeaderMap, call: Call<'_>) -> A2aResult<Response> {
    let Call { operation, version, params, caller, wrapper } = call;
    let Ok(place) = app.streams.clone().try_acquire_owned() else {
        return Ok((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response());
    };
    let after = text(headers, "last-event-id").and_then(|it| it.parse().ok());
    let streamed = app.calls.stream(operation, version, params, caller, after, &app.place).await?;
    Ok(response(streamed, wrapper, version, place))
}

fn response(
    streamed: Streamed,
    wrapper: Wrapper,
    version: Version,
    place: OwnedSemaphorePermit,
) -> Response {
    let facts = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // Proxies that gather an answer before they pass it on would gather for ever.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let body = match streamed {
        Streamed::Message(message) => {
            let response = StreamResponse::Message(*message);
            Body::from(event(&Told { seq: 1, response, last: true }, &wrapper, version))
        }
        Streamed::Follow(follow) => {
            let telling = Telling { follow: *follow, wrapper, version, _place: place };
            Body::from_stream(stream::unfold(Some(telling), next))
        }
    };
    (facts, body).into_response()
}

/// A stream that is being told.
struct Telling {
    follow: Follow,
    wrapper: Wrapper,
    version: Version,
    /// Its place among the streams of the listener.
    _place: OwnedSemaphorePermit,
}

type Piece = Result<String, Infallible>;

async fn next(telling: Option<Telling>) -> Option<(Piece, Option<Telling>)> {
    let mut telling = telling?;
    // Waiting can be given up and taken up again: nothing is taken out before it is told.
    let Ok(told) = timeout(COMMENT_EVERY, telling.follow.next()).await else {
        return Some((Ok(":\n\n".to_owned()), Some(telling)));
    };
    let text = telling.text(told)?;
    Some((Ok(text.0), text.1.then_some(telling)))
}

impl Telling {
    /// What is said, and whether more follows.
    fn text(&self, told: A2aResult<Option<Told>>) -> Option<(String, bool)> {
        match told {
            Ok(None) => None,
            Ok(Some(told)) => Some((event(&told, &self.wrapper, self.version), !told.last)),
            Err(error) => {
                let data = match &self.wrapper {
                    Wrapper::Rpc(id) => {
                        json!({ "jsonrpc": "2.0", "id": id, "error": error.rpc(self.version) })
                    }
                    Wrapper::None => rest::status(&error),
                };
                Some((format!("data: {data}\n\n"), false))
            }
        }
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    jsonrpc: &'static str,
    id: &'a Value,
    result: T,
}

fn event(told: &Told, wrapper: &Wrapper, version: Version) -> String {
    let data = match version {
        Version::V1 => data(wrapper, &told.response),
        Version::V03 => data(wrapper, v03::StreamResponse::of(told.response.clone(), told.last)),
    };
    format!("id: {}\ndata: {data}\n\n", told.seq)
}

fn data(wrapper: &Wrapper, result: impl Serialize) -> String {
    let text = match wrapper {
        Wrapper::Rpc(id) => serde_json::to_string(&Envelope { jsonrpc: "2.0", id, result }),
        Wrapper::None => serde_json::to_string(&result),
    };
    text.unwrap_or_default()
}
