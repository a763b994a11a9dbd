//! The REST binding of v1.0: paths and queries become the calls of JSON-RPC, errors a `google.rpc.Status`.

use axum::{
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use carport_a2a_tasks::Caller;
use carport_a2a_types::{A2aError, A2aResult, Kind, Version, rest::status};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    App,
    door::{self, text},
    events::{self, Call, Wrapper},
    rpc::{is_json, named_extensions, said_version},
};
use crate::calls::{Operation, Over, Push};

/// The media type of what is answered.
const MEDIA_TYPE: &str = "application/a2a+json";

/// A call that a path names.
#[derive(Debug, PartialEq)]
struct Called {
    operation: Operation,
    /// What the path says of the parameters.
    params: Map<String, Value>,
}

impl Called {
    fn new(operation: Operation, params: &[(&str, &str)]) -> Self {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        Self { operation, params: params.collect() }
    }
}

/// What a path may be called with, and what it then is. Before any of them a tenant may stand; all tenants
/// are one here.
fn routes(path: &str) -> Vec<(Method, Called)> {
    // Decoded after they are parted: a slash that is written as `%2F` parts nothing.
    let decoded = |it| percent_decode_str(it).decode_utf8_lossy();
    let path = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<_> = path.split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match (routes_of(&segments), segments.as_slice()) {
        (routes, [tenant, rest @ ..]) if routes.is_empty() && !tenant.is_empty() => routes_of(rest),
        (routes, _) => routes,
    }
}

fn routes_of(segments: &[&str]) -> Vec<(Method, Called)> {
    let one =
        |method, operation, params: &[(&str, &str)]| vec![(method, Called::new(operation, params))];
    match segments {
        ["message:send"] => one(Method::POST, Operation::Send, &[]),
        ["message:stream"] => one(Method::POST, Operation::SendStreaming, &[]),
        ["extendedAgentCard"] => one(Method::GET, Operation::ExtendedCard, &[]),
        ["tasks"] => one(Method::GET, Operation::List, &[]),
        ["tasks", task] => match task.split_once(':') {
            None => one(Method::GET, Operation::Get, &[("id", task)]),
            Some((id, "cancel")) => one(Method::POST, Operation::Cancel, &[("id", id)]),
            Some((id, "subscribe")) => [Method::GET, Method::POST]
                .map(|method| (method, Called::new(Operation::Subscribe, &[("id", id)])))
                .into(),
            Some(_) => Vec::new(),
        },
        ["tasks", task, "pushNotificationConfigs"] => vec![
            (Method::GET, Called::new(Operation::Push(Push::List), &[("taskId", task)])),
            (Method::POST, Called::new(Operation::Push(Push::Create), &[("taskId", task)])),
        ],
        ["tasks", task, "pushNotificationConfigs", id] => {
            [(Method::GET, Push::Get), (Method::DELETE, Push::Delete)]
                .map(|(method, push)| {
                    (method, Called::new(Operation::Push(push), &[("taskId", task), ("id", id)]))
                })
                .into()
        }
        _ => Vec::new(),
    }
}

/// The methods that a path takes, for the header `Allow`; empty if nothing is there.
pub(super) fn methods(path: &str) -> Vec<Method> {
    routes(path).into_iter().map(|(method, _)| method).collect()
}

/// The parameters that a query holds, truths as such; a number may be a text.
fn of_query(query: Option<&str>) -> Map<String, Value> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let typed = |name: &str, value: &str| match name {
        "includeArtifacts" | "include_artifacts" => {
            value.parse::<bool>().map_or_else(|_| value.into(), Value::from)
        }
        _ => value.into(),
    };
    pairs.map(|(name, value)| (name.to_string(), typed(&name, &value))).collect()
}

/// Answers a request; its method is one that the path takes.
pub(super) async fn answer(app: &App, request: Request, caller: &Caller) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let called = routes(&path).into_iter().find(|(method, _)| *method == head.method);
    let Some((method, called)) = called else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    let body = match door::body(body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let read = || -> A2aResult<Map<String, Value>> {
        let mut params = match method == Method::POST {
            true => of_body(&head.headers, &body)?,
            false => of_query(head.uri.query()),
        };
        params.extend(called.params.clone());
        Ok(params)
    };
    let answered = async {
        let said = said_version(&head.headers, head.uri.query());
        app.calls.version_rules().admit("REST", said)?;
        app.calls.check_extensions(&named_extensions(&head.headers))?;
        answer_called(app, &head.headers, called.operation, read()?, caller).await
    };
    answered.await.unwrap_or_else(|error: A2aError| refuse(&error))
}

fn of_body(headers: &HeaderMap, body: &[u8]) -> A2aResult<Map<String, Value>> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    if !is_json(text(headers, "content-type")) {
        let why = "Incompatible content types: send application/a2a+json or application/json";
        return Err(A2aError::new(Kind::ContentTypeNotSupported, why));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(A2aError::field("", "must be an object")),
        Err(_) => Err(A2aError::new(Kind::Parse, "Invalid JSON payload")),
    }
}

async fn answer_called(
    app: &App,
    headers: &HeaderMap,
    operation: Operation,
    params: Map<String, Value>,
    caller: &Caller,
) -> A2aResult<Response> {
    let version = Version::V1;
    if !operation.streams() {
        let answer = app
            .calls
            .answer(operation, version, params, caller, Over::Listener(&app.place))
            .await?;
        let result = answer.shaped(version)?;
        let result = if result.is_null() { Value::Object(Map::new()) } else { result };
        return Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], result.to_string()).into_response());
    }
    let call = Call { operation, version, params, caller, wrapper: Wrapper::None };
    events::answer(app, headers, call).await
}

fn refuse(error: &A2aError) -> Response {
    let code = StatusCode::from_u16(error.kind().http_status());
    let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, MEDIA_TYPE)], status(error).to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_calls() {
        let of = |path: &str| methods(path).iter().map(Method::to_string).collect::<Vec<_>>();
        for (path, expected) in [
            ("/message:send", vec!["POST"]),
            ("/tasks", vec!["GET"]),
            ("/tasks/t", vec!["GET"]),
            ("/tasks/t:cancel", vec!["POST"]),
            ("/tasks/t:subscribe", vec!["GET", "POST"]),
            ("/tasks/t/pushNotificationConfigs", vec!["GET", "POST"]),
            ("/tasks/t/pushNotificationConfigs/p", vec!["GET", "DELETE"]),
            ("/tasks/t%3Acancel", vec!["POST"]),
            ("/tasks/t%2Fu", vec!["GET"]),
            ("/tasks/t:other", vec![]),
            ("/tasks/t/u", vec![]),
            ("/message:other", vec![]),
            ("/acme/message:stream", vec!["POST"]),
            ("/acme/tasks", vec!["GET"]),
            ("/acme/tasks/t", vec!["GET"]),
            ("/acme/tasks/t:subscribe", vec!["GET", "POST"]),
            ("/acme/tasks/t/pushNotificationConfigs/p", vec!["GET", "DELETE"]),
            ("/acme/extendedAgentCard", vec!["GET"]),
            ("/tasks/message:send", vec!["POST"]),
            ("//message:send", vec![]),
            ("/a/b/tasks", vec![]),
            ("/acme/elsewhere", vec![]),
        ] {
            assert_eq!(of(path), expected, "{path}");
        }
        let (_, called) = routes("/tasks/t/pushNotificationConfigs/p%20%2F+%C3%A9").remove(0);
        assert_eq!(Value::from(called.params), json!({ "taskId": "t", "id": "p /+é" }));
        // A task may be called as a path is: where both fit there is no tenant.
        for (path, id) in [("/tasks/tasks", "tasks"), ("/a%2Fb/tasks/t", "t")] {
            let (_, called) = routes(path).remove(0);
            assert_eq!(called, Called::new(Operation::Get, &[("id", id)]), "{path}");
        }
    }

    #[test]
    fn a_query_has_texts_and_truths() {
        let query = "pageSize=2&includeArtifacts=true&contextId=a%20b&historyLength=x";
        let expected = json!({ "pageSize": "2", "includeArtifacts": true, "contextId": "a b",
            "historyLength": "x" });
        assert_eq!(Value::from(of_query(Some(query))), expected);
        assert!(of_query(None).is_empty());
    }
}
