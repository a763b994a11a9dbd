//! Errors of A2A: codes, reasons, and how they look in either version.

use std::{collections::BTreeMap, fmt};

use carport_core::RpcError;
use serde_json::{Value, json};

use crate::{read::Violation, version::Version};

/// What an A2A call answers.
pub type A2aResult<T> = Result<T, A2aError>;

/// What went wrong, by the table of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Not JSON.
    Parse,
    /// No request, no id, or a batch.
    InvalidRequest,
    /// No such method.
    MethodNotFound,
    /// Bad parameters.
    InvalidParams,
    /// Something failed inside.
    Internal,
    /// No such task of the caller's, or no such push configuration.
    TaskNotFound,
    /// The task has ended.
    TaskNotCancelable,
    /// Push notifications are off.
    PushNotSupported,
    /// Not declared on the card, or not possible with a task that has ended.
    UnsupportedOperation,
    /// A media type that is not accepted.
    ContentTypeNotSupported,
    /// The executor answered with something that is no task and no message.
    InvalidAgentResponse,
    /// An extended card is declared and there is none.
    ExtendedCardNotConfigured,
    /// A required extension was not named.
    ExtensionSupportRequired,
    /// A version that is not served.
    VersionNotSupported,
    /// The store is full of tasks that live, or a task's queue is full.
    ResourceExhausted,
}

/// Code of JSON-RPC, reason, status of HTTP and of gRPC.
type Row = (i32, &'static str, u16, &'static str);

impl Kind {
    const fn row(self) -> Row {
        match self {
            Self::Parse => (-32700, "PARSE_ERROR", 400, "INVALID_ARGUMENT"),
            Self::InvalidRequest => (-32600, "INVALID_REQUEST", 400, "INVALID_ARGUMENT"),
            Self::MethodNotFound => (-32601, "METHOD_NOT_FOUND", 404, "NOT_FOUND"),
            Self::InvalidParams => (-32602, "INVALID_PARAMS", 400, "INVALID_ARGUMENT"),
            Self::Internal => (-32603, "INTERNAL", 500, "INTERNAL"),
            Self::TaskNotFound => (-32001, "TASK_NOT_FOUND", 404, "NOT_FOUND"),
            Self::TaskNotCancelable => (-32002, "TASK_NOT_CANCELABLE", 400, "FAILED_PRECONDITION"),
            Self::PushNotSupported => {
                (-32003, "PUSH_NOTIFICATION_NOT_SUPPORTED", 400, "FAILED_PRECONDITION")
            }
            Self::UnsupportedOperation => {
                (-32004, "UNSUPPORTED_OPERATION", 400, "FAILED_PRECONDITION")
            }
            Self::ContentTypeNotSupported => {
                (-32005, "CONTENT_TYPE_NOT_SUPPORTED", 400, "INVALID_ARGUMENT")
            }
            Self::InvalidAgentResponse => (-32006, "INVALID_AGENT_RESPONSE", 500, "INTERNAL"),
            Self::ExtendedCardNotConfigured => {
                (-32007, "EXTENDED_AGENT_CARD_NOT_CONFIGURED", 400, "FAILED_PRECONDITION")
            }
            Self::ExtensionSupportRequired => {
                (-32008, "EXTENSION_SUPPORT_REQUIRED", 400, "FAILED_PRECONDITION")
            }
            Self::VersionNotSupported => {
                (-32009, "VERSION_NOT_SUPPORTED", 400, "FAILED_PRECONDITION")
            }
            Self::ResourceExhausted => (-32603, "RESOURCE_EXHAUSTED", 429, "RESOURCE_EXHAUSTED"),
        }
    }

    /// The code of JSON-RPC in v1.0.
    pub const fn code(self) -> i32 {
        self.row().0
    }

    /// The code of JSON-RPC in a version: v0.3 knows `-32001..=-32007`.
    pub const fn code_in(self, version: Version) -> i32 {
        match (self, version) {
            (Self::ExtensionSupportRequired | Self::VersionNotSupported, Version::V03) => {
                Self::Internal.code()
            }
            _ => self.code(),
        }
    }

    /// The reason of its `ErrorInfo`.
    pub const fn reason(self) -> &'static str {
        self.row().1
    }

    /// The status of an HTTP answer that is not JSON-RPC.
    pub const fn http_status(self) -> u16 {
        self.row().2
    }

    /// The name of its status in `google.rpc.Status`.
    pub const fn status(self) -> &'static str {
        self.row().3
    }
}

/// An error of an A2A call. Its message may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct A2aError(Box<Facts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    kind: Kind,
    message: String,
    metadata: BTreeMap<&'static str, String>,
    violations: Vec<Violation>,
}

impl A2aError {
    /// An error with a message for people.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Facts { kind, message, metadata: BTreeMap::new(), violations: Vec::new() }))
    }

    /// Adds a fact to the metadata of its `ErrorInfo`.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key, value.into());
        self
    }

    /// Parameters that are wrong in these places; at least one.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
        let mut error =
            Self::new(Kind::InvalidParams, format!("Invalid params: {}", told.join("; ")));
        error.0.violations = violations;
        error
    }

    /// Parameters that are wrong in one place.
    pub fn field(field: &str, why: impl Into<String>) -> Self {
        Self::invalid(vec![Violation { field: field.into(), description: why.into() }])
    }

    /// No such task, or not the caller's: which of the two is not told.
    pub fn no_task(id: &str) -> Self {
        let shown: String = id.chars().take(128).collect();
        Self::new(Kind::TaskNotFound, "Task not found").with("taskId", shown)
    }

    /// Something failed inside; the message names no secret.
    pub fn internal(why: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, why.to_string())
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What is wrong with the parameters.
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// `error.data` of JSON-RPC, and `details` of a `google.rpc.Status`.
    pub fn details(&self) -> Value {
        let mut details = vec![json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": self.0.kind.reason(),
            "domain": "a2a-protocol.org",
            "metadata": self.0.metadata,
        })];
        if self.0.kind == Kind::InvalidParams {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": self.0.violations,
            }));
        }
        details.into()
    }

    /// The error object of JSON-RPC in a version.
    pub fn rpc(&self, version: Version) -> RpcError {
        let mut error = RpcError::new(self.0.kind.code_in(version), self.message());
        error.data = Some(self.details());
        error
    }
}

impl fmt::Display for A2aError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message(), self.kind().reason())
    }
}

impl std::error::Error for A2aError {}

impl From<A2aError> for RpcError {
    fn from(error: A2aError) -> Self {
        error.rpc(Version::V1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_a_list_that_begins_with_an_error_info() {
        let error = RpcError::from(A2aError::no_task("nope"));
        let expected = json!({
            "code": -32001,
            "message": "Task not found",
            "data": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "TASK_NOT_FOUND",
                "domain": "a2a-protocol.org",
                "metadata": { "taskId": "nope" },
            }],
        });
        assert_eq!(serde_json::to_value(error).unwrap(), expected);
    }

    #[test]
    fn bad_parameters_name_their_fields() {
        let error = A2aError::field("message.parts", "is required");
        let data = error.details();
        assert_eq!(data[1]["@type"], "type.googleapis.com/google.rpc.BadRequest");
        let violation = json!({ "field": "message.parts", "description": "is required" });
        assert_eq!(data[1]["fieldViolations"], json!([violation]));
        assert_eq!(error.message(), "Invalid params: `message.parts` is required");
    }

    #[test]
    fn the_older_version_lacks_two_codes() {
        for kind in [Kind::ExtensionSupportRequired, Kind::VersionNotSupported] {
            assert_eq!(A2aError::new(kind, "no").rpc(Version::V03).code, -32603);
            assert_ne!(A2aError::new(kind, "no").rpc(Version::V1).code, -32603);
        }
        let kept = A2aError::new(Kind::ExtendedCardNotConfigured, "no");
        assert_eq!(kept.rpc(Version::V03).code, -32007);
    }
}
