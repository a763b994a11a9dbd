//! The lines of a graph's file: a graph is what its lines make of an empty one.

use std::sync::Arc;

use carport_memory_api::Turn;
use serde::{Deserialize, Serialize};

use crate::fact::Fact;

/// The version of these lines.
const VERSION: u32 = 1;

/// One line: a JSON object with one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// `{"v":1}`, the first line.
    V(u32),
    /// A fact that is new, or takes the place of the one with its id.
    Add(Arc<Fact>),
    /// A fact that is gone.
    Del(Which),
    /// What is known of a fact's usefulness now.
    Use(Uses),
    /// A turn that is new, or takes the place of the one with its key.
    Turn(Turn),
    /// All turns of this origin are gone.
    Forget(String),
}

/// A fact of a tenant: the id alone where it is everybody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Which {
    /// One of everybody's.
    Common(Arc<str>),
    /// A tenant's.
    Own {
        /// The fact's.
        id: Arc<str>,
        /// The tenant's.
        tenant_id: String,
    },
}

/// How useful a fact was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// The fact.
    pub id: Arc<str>,
    /// Whose it is; absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// How often it was brought up.
    pub uses: u64,
    /// How often what it led to went well.
    pub wins: u64,
    /// How often what it led to went wrong.
    pub losses: u64,
}

/// A line that does not read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No line of such a file.
    #[error("is no line of a graph: {0}")]
    Json(#[from] serde_json::Error),
    /// A file of another time.
    #[error("has version {0}; this build reads version {VERSION}")]
    Version(u32),
}

impl Line {
    /// The line that every file begins with.
    pub fn first() -> Self {
        Self::V(VERSION)
    }

    /// The text of the line, without a line break.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// It is no such line, or of another version.
    pub fn decode(text: &[u8]) -> Result<Self, Unreadable> {
        match serde_json::from_slice(text)? {
            Self::V(version) if version != VERSION => Err(Unreadable::Version(version)),
            line => Ok(line),
        }
    }
}

impl Which {
    /// The fact `id` of a tenant.
    pub fn new(id: Arc<str>, tenant: Option<&str>) -> Self {
        match tenant {
            None => Self::Common(id),
            Some(tenant) => Self::Own { id, tenant_id: tenant.to_owned() },
        }
    }

    /// The fact's id.
    pub fn id(&self) -> &Arc<str> {
        let (Self::Common(id) | Self::Own { id, .. }) = self;
        id
    }

    /// Whose it is.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Common(_) => None,
            Self::Own { tenant_id, .. } => Some(tenant_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use carport_core::Time;
    use carport_memory_api::NewFact;

    use super::*;

    #[test]
    fn lines_have_these_texts() {
        let fact = Fact::from_new(NewFact::new("s", "b"), Time::default(), || "f".into());
        let turn = Turn {
            key: "k".into(),
            speaker: "Ana".into(),
            text: "hi".into(),
            at: Time::default(),
            origin: "m".into(),
        };
        let uses = Uses { id: "f".into(), tenant_id: None, uses: 1, wins: 2, losses: 3 };
        let added = r#"{"add":{"fact_id":"f","subject":"s","body":"b","kind":"pattern","confidence":1.0,"tags":[],"source":"ws","is_constraint":false,"created_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.000Z","uses":0,"wins":0,"losses":0}}"#;
        for (line, text) in [
            (Line::first(), r#"{"v":1}"#),
            (Line::Add(fact.into()), added),
            (Line::Del(Which::new("f".into(), None)), r#"{"del":"f"}"#),
            (Line::Del(Which::new("f".into(), Some("t"))), r#"{"del":{"id":"f","tenant_id":"t"}}"#),
            (Line::Forget("m".into()), r#"{"forget":"m"}"#),
            (Line::Use(uses), r#"{"use":{"id":"f","uses":1,"wins":2,"losses":3}}"#),
            (
                Line::Turn(turn),
                r#"{"turn":{"key":"k","speaker":"Ana","text":"hi","at":"1970-01-01T00:00:00.000Z","origin":"m"}}"#,
            ),
        ] {
            assert_eq!(line.encode(), text);
            assert_eq!(Line::decode(text.as_bytes()).unwrap(), line);
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for text in ["", "{}", "[]", "{\"v\":2}", "{\"add\":{}}", "{\"x\":1}", "{\"v\":1} {"] {
            assert!(Line::decode(text.as_bytes()).is_err(), "{text}");
        }
        let why = Line::decode(b"{\"v\":2}").unwrap_err().to_string();
        assert!(why.contains("version 2"), "{why}");
    }
}
