//! The one error that crosses the wire.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a method answers: its reply, or the error object of JSON-RPC.
pub type Result<T, E = RpcError> = std::result::Result<T, E>;

/// JSON-RPC's own codes, then the host's. A plugin's own codes lie in -32099..=-32050.
pub mod codes {
    /// The text is not JSON.
    pub const PARSE: i32 = -32700;
    /// The JSON is no request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// No such method in this build.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// Parameters are of the wrong shape or out of bounds.
    pub const INVALID_PARAMS: i32 = -32602;
    /// Something failed inside, a panic included.
    pub const INTERNAL: i32 = -32603;
    /// No identity, or a proof that was not accepted.
    pub const NOT_AUTHENTICATED: i32 = -32001;
    /// Known, but not allowed.
    pub const FORBIDDEN: i32 = -32002;
    /// Denied, timed out or cancelled at the approval gate.
    pub const NOT_APPROVED: i32 = -32003;
    /// The deadline passed; the outcome is unknown.
    pub const DEADLINE: i32 = -32004;
    /// A handshake has to come first.
    pub const HANDSHAKE_REQUIRED: i32 = -32005;
    /// The protocol version is missing, malformed or not accepted.
    pub const PROTOCOL_MISMATCH: i32 = -32006;
    /// No such thing.
    pub const NOT_FOUND: i32 = -32007;
    /// Already terminal, attached, running or decided.
    pub const CONFLICT: i32 = -32008;
    /// Too much at once; try again.
    pub const OVERLOADED: i32 = -32009;
    /// The client that was asked is gone or did not answer.
    pub const GONE: i32 = -32010;
    /// Refused by a policy.
    pub const POLICY: i32 = -32011;
    /// A quota is used up.
    pub const LIMIT: i32 = -32012;
    /// Not available in this build or on this machine.
    pub const UNAVAILABLE: i32 = -32013;
}

/// The error object of JSON-RPC. `data` carries facts for programs: `field`, `limit`, `retryable`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// One of [`codes`], or a plugin's own.
    pub code: i32,
    /// For people; may change.
    pub message: String,
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i32, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string(), data: None }
    }

    /// Adds one fact to `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        match &mut self.data {
            Some(Value::Object(data)) => drop(data.insert(key.into(), value.into())),
            data => *data = Some(Value::Object(Map::from_iter([(key.into(), value.into())]))),
        }
        self
    }

    /// `field` is the path of what is wrong: `turns[3].tool`.
    pub fn invalid_params(field: &str, why: impl fmt::Display) -> Self {
        Self::new(codes::INVALID_PARAMS, format!("`{field}`: {why}")).with("field", field)
    }

    /// The identity is known and not allowed to.
    pub fn forbidden(why: impl fmt::Display) -> Self {
        Self::new(codes::FORBIDDEN, why)
    }

    /// `what` with its id: ``run `7c1e` ``.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(codes::NOT_FOUND, format!("no such {what}"))
    }

    /// Already terminal, attached, running or decided.
    pub fn conflict(why: impl fmt::Display) -> Self {
        Self::new(codes::CONFLICT, why)
    }

    /// Too much at once; the caller may try again.
    pub fn overloaded(why: impl fmt::Display) -> Self {
        Self::new(codes::OVERLOADED, why).with("retryable", true)
    }

    /// A quota is used up: `what` names it, `limit` is its size.
    pub fn limit(what: impl fmt::Display, limit: u64) -> Self {
        Self::new(codes::LIMIT, format!("{what}: the limit is {limit}")).with("limit", limit)
    }

    /// Not in this build or not on this machine; `remedy` says how to get it.
    pub fn unavailable(missing: impl Into<Value>, remedy: impl fmt::Display) -> Self {
        Self::new(codes::UNAVAILABLE, &remedy)
            .with("missing", missing)
            .with("remedy", remedy.to_string())
    }

    /// Something failed inside; the message is shown to the caller, so it names no secret.
    pub fn internal(what: impl fmt::Display) -> Self {
        Self::new(codes::INTERNAL, what).with("retryable", false)
    }

    /// The field that `data` names, if it names one.
    pub fn field(&self) -> Option<&str> {
        self.data.as_ref()?.get("field")?.as_str()
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for RpcError {}
