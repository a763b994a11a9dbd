//! Where a task's changes are posted to.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::read::{Object, Path, Read, Reader, deserialize_as_read};

/// How a receiver knows who posts.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// The scheme of the header `Authorization`, such as `Bearer`.
    pub scheme: String,
    /// What follows it. Never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

/// Without what is secret.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// What is wrong with a scheme.
const NO_SCHEME: &str =
    "must be a name such as `Bearer`: letters, digits and !#$%&'*+-.^_`|~, at most 64 of them";

/// Whether it is a token of HTTP (RFC 9110, section 5.6.2), and short.
fn is_scheme(text: &str) -> bool {
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    (1..=64).contains(&text.len()) && text.bytes().all(is_token)
}

impl Read for Authentication {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut auth = Object::open(value, at, reader)?;
        let credentials = auth.short_word("credentials", reader);
        if reader.is_v03() && auth.has("schemes") {
            let schemes: Vec<String> = auth.must("schemes", reader)?;
            let Some(scheme) = schemes.into_iter().next() else {
                return auth.fault("schemes", "must have an item", reader);
            };
            return match is_scheme(&scheme) {
                true => Some(Self { scheme, credentials }),
                false => auth.fault("schemes", NO_SCHEME, reader),
            };
        }
        let scheme = auth.must_word("scheme", reader)?;
        match is_scheme(&scheme) {
            true => Some(Self { scheme, credentials }),
            false => auth.fault("scheme", NO_SCHEME, reader),
        }
    }
}

/// A receiver of a task's changes.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushConfig {
    /// Its name; made here if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The task. Absent only inside a message, whose task it is then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// What is posted to.
    pub url: String,
    /// Sent with every post. Never shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The header `Authorization` of every post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// Without what is secret; the query of a URL may be.
impl fmt::Debug for PushConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PushConfig");
        shown.field("id", &self.id).field("task_id", &self.task_id).finish_non_exhaustive()
    }
}

impl PushConfig {
    /// Without what only the receiver may know.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.token = None;
        if let Some(auth) = &mut self.authentication {
            auth.credentials = None;
        }
        self
    }
}

impl Read for PushConfig {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut config = Object::open(value, at, reader)?;
        let id = config.short_word("id", reader);
        let task_id = config.short_word("taskId", reader);
        let url = config.must_word("url", reader);
        let token = config.short_word("token", reader);
        let authentication = config.maybe("authentication", reader);
        Some(Self { id, task_id, url: url?, token, authentication })
    }
}

/// A receiver that a task is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPushConfig {
    /// The task.
    pub task_id: String,
    /// The receiver.
    pub config: PushConfig,
}

impl Read for NewPushConfig {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut config = Object::open(value, at, reader)?;
        let task_id = config.must_word("taskId", reader);
        // In v0.3 it is a member; flat, as in v1.0, it is taken, too.
        let is_flat = config.has("url") && !config.has("pushNotificationConfig");
        let config = match reader.is_v03() && !is_flat {
            true => config.must("pushNotificationConfig", reader),
            false => PushConfig::read(config.rest(), at, reader),
        };
        Some(Self { task_id: task_id?, config: config? })
    }
}

deserialize_as_read!(Authentication, PushConfig);
