//! An agent of others: a real HTTP server that answers as it is told, and remembers what it was asked.

use std::{collections::VecDeque, convert::Infallible, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    http::HeaderMap,
    response::Response,
};
use carport_core::Guarded;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    /// A header, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|it| it.to_str().unwrap())
    }

    /// The message that it brought.
    pub(crate) fn message(&self) -> &Value {
        &self.body["params"]["message"]
    }
}

#[derive(Default)]
struct Inside {
    asked: Guarded<Vec<Asked>>,
    answers: Guarded<VecDeque<Value>>,
}

/// A server that answers every call with the next of its answers, and nothing at `/.well-known/`.
pub(crate) struct Peer {
    /// `http://` and its address.
    pub(crate) url: String,
    inside: Arc<Inside>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(inside: Arc<Inside>, request: Request<Incoming>) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), 1 << 24).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let path = head.uri.to_string();
    inside.asked.lock().push(Asked { path, headers: head.headers, body });
    let next = inside.answers.lock().pop_front();
    let none =
        || json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32603, "message": "none" } });
    Ok(Response::new(Body::from(next.unwrap_or_else(none).to_string())))
}

async fn serve(listener: TcpListener, inside: Arc<Inside>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let inside = inside.clone();
        let service = service_fn(move |request| answer(inside.clone(), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inside = Arc::new(Inside::default());
        let serving = tokio::spawn(serve(listener, inside.clone()));
        Self { url, inside, serving }
    }

    /// What it is posted to.
    pub(crate) fn rpc(&self) -> String {
        format!("{}/rpc", self.url)
    }

    /// Has it answer with a result.
    pub(crate) fn will_say(&self, result: Value) {
        let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": result });
        self.inside.answers.lock().push_back(answer);
    }

    /// Has it answer with an error.
    pub(crate) fn will_refuse(&self, code: i32, message: &str, data: Value) {
        let error = json!({ "code": code, "message": message, "data": data });
        self.inside.answers.lock().push_back(json!({ "jsonrpc": "2.0", "id": 1, "error": error }));
    }

    /// Has it answer with a body of its own.
    pub(crate) fn will_answer(&self, body: Value) {
        self.inside.answers.lock().push_back(body);
    }

    /// What it was asked since it was looked at last.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.inside.asked.lock())
    }
}

/// A task of a peer that draws these envelopes.
pub(crate) fn drawing(context: &str, envelopes: Value) -> Value {
    json!({ "task": { "id": "t1", "contextId": context, "status": { "state": "TASK_STATE_INPUT_REQUIRED" },
        "artifacts": [{ "artifactId": "a", "parts": [{ "data": envelopes, "mediaType": "application/a2ui+json" }] }] } })
}

/// An envelope that creates a surface.
pub(crate) fn create(id: &str) -> Value {
    json!({ "version": "v0.9", "createSurface": { "surfaceId": id } })
}
