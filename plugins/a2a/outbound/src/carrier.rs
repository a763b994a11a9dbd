//! What carries requests to agents of others, whatever it is.

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use crate::{failure::Unmet, target::Target};

/// A request over HTTP.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where it goes.
    pub to: &'a Target,
    /// Headers, but for credentials.
    pub headers: Vec<(&'static str, &'a str)>,
    /// What is posted. Without it a card is asked for, by `GET`, and that is done without credentials.
    pub body: Option<Vec<u8>>,
}

/// The body of an answer, as it comes.
pub type Pieces = BoxStream<'static, Result<Bytes, Unmet>>;

/// How an answer begins.
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// Whether the body is a stream of events.
    pub is_stream: bool,
    /// How many bytes the body has, if that is announced.
    pub length: Option<u64>,
    /// The body.
    pub pieces: Pieces,
}

impl Reply {
    /// That of a response whose body is still to come; `unmet` says why it comes no further.
    pub fn of(response: reqwest::Response, unmet: fn(&reqwest::Error) -> Unmet) -> Self {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        Self {
            status: response.status().as_u16(),
            is_stream: kind.is_some_and(|it| it.starts_with(b"text/event-stream")),
            length: response.content_length(),
            pieces: stream::try_unfold(response, move |mut response| async move {
                let piece = response.chunk().await.map_err(|error| unmet(&error))?;
                Ok(piece.map(|piece| (piece, response)))
            })
            .boxed(),
        }
    }
}

/// Carries requests, without following redirects.
pub trait Carrier: Sync {
    /// Sends a request and waits until its answer begins.
    ///
    /// # Errors
    /// There is none.
    fn carry(&self, request: Request<'_>) -> impl Future<Output = Result<Reply, Unmet>> + Send;

    /// Takes out of an answer what nobody is to see.
    fn clean(&self, _answer: &mut Value) {}
}
