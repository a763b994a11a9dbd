//! JSON-RPC over HTTP: one request, one answer or one stream.

use axum::{
    extract::Request,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use carport_a2a_tasks::Caller;
use carport_a2a_types::{A2aError, Kind, Version};
use serde_json::{Map, Value, json};

use super::{
    App,
    door::{self, text},
    events::{self, Call, Wrapper},
};
use crate::calls::{Operation, Over};

/// A request that is one.
struct Asked {
    id: Value,
    method: String,
    params: Map<String, Value>,
}

/// What is wrong with a request, and the id of its answer.
struct Wrong {
    id: Value,
    error: A2aError,
    version: Version,
}

impl Wrong {
    fn new(kind: Kind, why: impl Into<String>) -> Self {
        Self { id: Value::Null, error: A2aError::new(kind, why), version: Version::V1 }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        // A header that is not served is told as such, whatever the version.
        let version = match self.error.kind() {
            Kind::VersionNotSupported => Version::V1,
            _ => self.version,
        };
        reply(&json!({ "jsonrpc": "2.0", "id": self.id, "error": self.error.rpc(version) }))
    }
}

fn reply(envelope: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], envelope.to_string()).into_response()
}

/// Answers a request.
pub(super) async fn answer(app: &App, request: Request, caller: &Caller) -> Response {
    let (head, body) = request.into_parts();
    if !is_json(text(&head.headers, "content-type")) {
        let why = "Incompatible content types: send application/json or application/a2a+json";
        return Wrong::new(Kind::ContentTypeNotSupported, why).into_response();
    }
    let body = match door::body(body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let asked = match read(&body) {
        Ok(asked) => asked,
        Err(wrong) => return wrong.into_response(),
    };
    let id = asked.id.clone();
    match answer_asked(app, &head.headers, head.uri.query(), asked, caller).await {
        Ok(response) => response,
        Err((error, version)) => Wrong { id, error, version }.into_response(),
    }
}

pub(super) fn is_json(content_type: Option<&str>) -> bool {
    let bare = content_type.and_then(|it| it.split(';').next()).unwrap_or_default().trim();
    ["application/json", "application/a2a+json"].iter().any(|it| it.eq_ignore_ascii_case(bare))
}

fn read(body: &[u8]) -> Result<Asked, Wrong> {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return Err(Wrong::new(Kind::Parse, "Invalid JSON payload"));
    };
    let Value::Object(mut members) = value else {
        let why = match value.is_array() {
            true => "batches are not supported",
            false => "Invalid Request: must be an object",
        };
        return Err(Wrong::new(Kind::InvalidRequest, why));
    };
    let id = match members.remove("id") {
        Some(id) if id.is_string() || id.is_i64() || id.is_u64() => id,
        _ => {
            let why = "Invalid Request: `id` must be a string or a whole number";
            return Err(Wrong::new(Kind::InvalidRequest, why));
        }
    };
    let wrong = |kind, why: &str| Err(Wrong { id: id.clone(), ..Wrong::new(kind, why) });
    if members.get("jsonrpc") != Some(&Value::from("2.0")) {
        return wrong(Kind::InvalidRequest, "Invalid Request: `jsonrpc` must be \"2.0\"");
    }
    let Some(Value::String(method)) = members.remove("method") else {
        return wrong(Kind::InvalidRequest, "Invalid Request: `method` must be a string");
    };
    let params = match members.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            let error = A2aError::field("", "must be an object");
            return Err(Wrong { id, error, version: Version::V1 });
        }
    };
    Ok(Asked { id, method, params })
}

/// The version that a header or the query names.
pub(super) fn said_version<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let in_query = || {
        let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("a2a-version")).map(|it| it.1)
    };
    // One that is no text is read as such: it names no version that is served.
    let header = headers.get("a2a-version").map(|it| it.to_str().unwrap_or("(no ASCII)"));
    header.filter(|it| !it.trim().is_empty()).or_else(in_query)
}

/// The extensions that all headers of either name list, with commas between; v0.3 has the second name.
pub(super) fn named_extensions(headers: &HeaderMap) -> String {
    let lines = ["a2a-extensions", "x-a2a-extensions"].map(|name| headers.get_all(name));
    let lines = lines.iter().flatten().filter_map(|it| it.to_str().ok());
    lines.collect::<Vec<_>>().join(",")
}

async fn answer_asked(
    app: &App,
    headers: &HeaderMap,
    query: Option<&str>,
    asked: Asked,
    caller: &Caller,
) -> Result<Response, (A2aError, Version)> {
    let Asked { id, method, params } = asked;
    let said = said_version(headers, query);
    let newest = |error| (error, Version::V1);
    Version::of_header(said).map_err(newest)?;
    let Some(operation) = Operation::of(&method) else {
        let shown: String = method.chars().take(128).collect();
        let error = A2aError::new(Kind::MethodNotFound, format!("Method not found: `{shown}`"));
        return Err(newest(error));
    };
    let version = app.calls.version_rules().admit(&method, said).map_err(newest)?;
    let answered = async {
        app.calls.check_extensions(&named_extensions(headers))?;
        if !operation.streams() {
            let answer = app
                .calls
                .answer(operation, version, params, caller, Over::Listener(&app.place))
                .await?;
            let result = answer.shaped(version)?;
            return Ok(reply(&json!({ "jsonrpc": "2.0", "id": id, "result": result })));
        }
        let call = Call { operation, version, params, caller, wrapper: Wrapper::Rpc(id) };
        events::answer(app, headers, call).await
    };
    answered.await.map_err(|error: A2aError| (error, version))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn code(body: &str) -> i32 {
        read(body.as_bytes()).err().expect("is wrong").error.kind().code()
    }

    #[test]
    fn what_is_no_request_says_so() {
        for (body, expected) in [
            ("", -32700),
            ("{", -32700),
            ("[]", -32600),
            ("[{}]", -32600),
            ("7", -32600),
            ("{}", -32600),
            (r#"{"jsonrpc":"2.0","method":"GetTask"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":null,"method":"GetTask"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"GetTask"}"#, -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"GetTask"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"GetTask","params":[]}"#, -32602),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
        let asked = read(br#"{"jsonrpc":"2.0","id":"a","method":"GetTask","params":null}"#).ok();
        assert_eq!(asked.map(|it| (it.id, it.params.len())), Some(("a".into(), 0)));
    }

    #[test]
    fn content_types_are_two() {
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/a2a+json"]
        {
            assert!(is_json(Some(good)), "{good}");
        }
        for bad in [None, Some(""), Some("text/plain"), Some("application/jsonx")] {
            assert!(!is_json(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_version_may_stand_in_the_query() {
        let mut headers = HeaderMap::new();
        assert_eq!(said_version(&headers, Some("x=1&A2A-Version=1.0")), Some("1.0"));
        assert_eq!(said_version(&headers, Some("x=1")), None);
        headers.insert("a2a-version", "0.3".parse().unwrap());
        assert_eq!(said_version(&headers, Some("A2A-Version=1.0")), Some("0.3"));
        headers.insert("a2a-version", " ".parse().unwrap());
        assert_eq!(said_version(&headers, Some("A2A-Version=1.0")), Some("1.0"));
        headers.insert("a2a-version", HeaderValue::from_bytes(b"1.0\xff").unwrap());
        let said = said_version(&headers, Some("A2A-Version=1.0"));
        assert_eq!(Version::of_header(said).unwrap_err().kind(), Kind::VersionNotSupported);
    }
}
