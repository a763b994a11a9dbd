//! What every request goes through: its host, its origin, where it leads and who it is from.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use carport_a2a_tasks::Caller;
use tokio::time::timeout;

use super::{App, AuthMode, cards, rest, rpc};

/// Bytes of a request's body.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// How long a body may take.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// Where a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Rpc,
    Card,
    OlderCard,
    Health,
    /// Anything else, where the REST binding is on.
    Rest,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/" | "/a2a" | "/a2a/" => Some(Self::Rpc),
            "/.well-known/agent-card.json" => Some(Self::Card),
            "/.well-known/agent.json" => Some(Self::OlderCard),
            "/healthz" => Some(Self::Health),
            _ => None,
        }
    }

    /// The methods that are answered there; none if there is nothing.
    fn takes(self, path: &str) -> Vec<Method> {
        match self {
            Self::Rpc => vec![Method::POST],
            Self::Rest => rest::methods(path),
            _ => vec![Method::GET, Method::HEAD],
        }
    }
}

/// What is refused before its body is read: the connection is of no more use, which its client has to know.
fn refuse(status: StatusCode, why: &'static str) -> Response {
    (status, [(header::CONNECTION, "close")], why).into_response()
}

/// A header, if it is text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether the request names one host, and that and the one of its target, if there is one, are the listener's.
fn is_meant_here(app: &App, request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let target = request.uri().authority();
    host.to_str().is_ok_and(|host| app.place.answers(host))
        && target.is_none_or(|target| app.place.answers(target.as_str()))
}

/// Answers a request.
pub(super) async fn enter(app: &App, request: Request) -> Response {
    let headers = request.headers();
    if !is_meant_here(app, &request) {
        return refuse(
            StatusCode::FORBIDDEN,
            "one header Host has to name this host, and the target no other\n",
        );
    }
    if headers.contains_key(header::ORIGIN) && !app.calls.allows_origin(text(headers, "origin")) {
        return refuse(StatusCode::FORBIDDEN, "pages of this origin may not call\n");
    }
    let path = request.uri().path();
    let route = match Route::of(path) {
        Some(route) => route,
        None if app.calls.has_rest() => Route::Rest,
        None => return refuse(StatusCode::NOT_FOUND, "there is nothing here\n"),
    };
    let takes = route.takes(path);
    if takes.is_empty() {
        return refuse(StatusCode::NOT_FOUND, "there is nothing here\n");
    }
    if !takes.contains(request.method()) {
        let mut response = refuse(StatusCode::METHOD_NOT_ALLOWED, "this method is not for here\n");
        let allow: Vec<_> = takes.iter().map(Method::as_str).collect();
        if let Ok(allow) = HeaderValue::from_str(&allow.join(", ")) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        return response;
    }
    match route {
        Route::Health => {
            ([(header::CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#).into_response()
        }
        Route::Card => cards::answer(app, headers, false).await,
        Route::OlderCard => cards::answer(app, headers, true).await,
        Route::Rpc | Route::Rest => match caller(app, headers).await {
            Some(caller) if route == Route::Rest => rest::answer(app, request, &caller).await,
            Some(caller) => rpc::answer(app, request, &caller).await,
            None => {
                let mut response = refuse(StatusCode::UNAUTHORIZED, "a known token is needed\n");
                let challenge = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        },
    }
}

/// Who a request is from; `None` if it has to say and does not.
async fn caller(app: &App, headers: &HeaderMap) -> Option<Caller> {
    match app.place.auth {
        AuthMode::None => Some(Caller::anonymous()),
        AuthMode::Bearer => app.keys.holder(text(headers, "authorization")?).await,
    }
}

/// The whole body of a request.
pub(super) async fn body(body: Body) -> Result<Bytes, Response> {
    let read = timeout(BODY_LIMIT, to_bytes(body, MAX_BODY)).await;
    let late = |_| refuse(StatusCode::REQUEST_TIMEOUT, "the body took too long\n");
    let long = |_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 10 MiB\n");
    read.map_err(late)?.map_err(long)
}
