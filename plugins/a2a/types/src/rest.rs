//! Errors as the REST binding writes them: a `google.rpc.Status`.

use serde_json::{Value, json};

use crate::error::A2aError;

/// The body of an error; its HTTP status is [`Kind::http_status`](crate::Kind::http_status).
pub fn status(error: &A2aError) -> Value {
    json!({ "error": {
        "code": error.kind().http_status(),
        "status": error.kind().status(),
        "message": error.message(),
        "details": error.details(),
    }})
}
