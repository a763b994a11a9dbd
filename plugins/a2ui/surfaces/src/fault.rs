//! Why an envelope is refused, and how that looks on the wire.

use carport_a2ui_validate::{VERSIONS, Violation};
use carport_core::{RpcError, codes};
use serde_json::json;
use thiserror::Error;

use crate::limits::remedy;

/// What kind of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word on the wire")]
pub enum Reason {
    UnsupportedVersion,
    UnsupportedCatalog,
    UnsupportedComponent,
    InvalidProperty,
    InvalidEnvelope,
    InvalidPath,
    DuplicateId,
    SelfReference,
    Cycle,
    Depth,
    ReservedSegment,
}

impl Reason {
    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnsupportedVersion => "unsupported_version",
            Self::UnsupportedCatalog => "unsupported_catalog",
            Self::UnsupportedComponent => "unsupported_component",
            Self::InvalidProperty => "invalid_property",
            Self::InvalidEnvelope => "invalid_envelope",
            Self::InvalidPath => "invalid_path",
            Self::DuplicateId => "duplicate_id",
            Self::SelfReference => "self_reference",
            Self::Cycle => "cycle",
            Self::Depth => "depth",
            Self::ReservedSegment => "reserved_segment",
        }
    }
}

/// What is wrong with an envelope, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Invalid {
    /// What kind of fault it is.
    pub reason: Reason,
    /// The path within the envelope: `updateComponents.components[0].text`.
    pub field: String,
    /// For people, without the field.
    pub message: String,
    /// The surface, as far as it is known.
    pub surface_id: Option<String>,
    /// The component, if it is one's fault.
    pub component_id: Option<String>,
    /// All faults of components, by pointers within the envelope.
    pub violations: Vec<Violation>,
    /// The bound that was passed, and by what.
    pub bound: Option<(usize, usize)>,
}

/// Why nothing changed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Fault {
    /// The envelope is wrong.
    #[error("`{}`: {}", .0.field, .0.message)]
    Invalid(Box<Invalid>),
    /// A limit would be passed.
    #[error("`{key}`: the limit is {limit}, this would be {got}; {}", remedy(.key))]
    Limit {
        /// The limit's name.
        key: &'static str,
        /// Its size.
        limit: usize,
        /// What there would be.
        got: usize,
    },
    /// There is no such surface, or not for the one who asks.
    #[error("no such surface `{0}`")]
    Unknown(String),
    /// There is a surface of this id already.
    #[error("surface `{0}` exists already; delete it first, or choose another id")]
    Exists(String),
    /// The surface is another's.
    #[error("surface `{0}` is not yours to change")]
    Foreign(String),
}

impl Fault {
    /// A fault at a place of the envelope.
    pub(crate) fn at(reason: Reason, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(Box::new(Invalid {
            reason,
            field: field.into(),
            message: message.into(),
            surface_id: None,
            component_id: None,
            violations: Vec::new(),
            bound: None,
        }))
    }

    /// Adds to what is known of an invalid envelope.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Invalid)) -> Self {
        if let Self::Invalid(invalid) = &mut self {
            change(invalid);
        }
        self
    }

    /// Of which surface it is.
    pub(crate) fn of(self, surface_id: &str) -> Self {
        self.with(|it| it.surface_id = Some(surface_id.into()))
    }

    /// What kind of fault it is, if the envelope is wrong.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Invalid(invalid) => Some(invalid.reason),
            _ => None,
        }
    }
}

/// The most bytes of a text in a reply that repeats what was sent.
const MOST_SHOWN: usize = 256;

fn shorten(text: &mut String) {
    if text.len() > MOST_SHOWN {
        let end = (0..=MOST_SHOWN - 3).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        text.push('\u{2026}');
    }
}

impl Invalid {
    /// Cuts what is as long as whoever sent it likes.
    fn shorten(&mut self) {
        [&mut self.field, &mut self.message].into_iter().for_each(shorten);
        self.surface_id.iter_mut().chain(&mut self.component_id).for_each(shorten);
        for it in &mut self.violations {
            [&mut it.path, &mut it.message].into_iter().for_each(shorten);
        }
    }
}

impl From<Fault> for RpcError {
    fn from(mut fault: Fault) -> Self {
        if let Fault::Invalid(it) = &mut fault {
            it.shorten();
        }
        let message = fault.to_string();
        match fault {
            Fault::Invalid(it) => {
                let mut error = Self::new(codes::INVALID_PARAMS, message)
                    .with("field", it.field)
                    .with("reason", it.reason.word());
                if let Some(id) = it.surface_id {
                    error = error.with("surfaceId", id);
                }
                if let Some(id) = it.component_id {
                    error = error.with("componentId", id);
                }
                if let Some((limit, got)) = it.bound {
                    error = error.with("limit", limit).with("got", got);
                }
                if it.reason == Reason::UnsupportedVersion {
                    error = error.with("versions", json!(VERSIONS));
                }
                let pair = |it: Violation| json!({ "path": it.path, "message": it.message });
                match it.violations.is_empty() {
                    true => error,
                    false => {
                        let all: Vec<_> = it.violations.into_iter().map(pair).collect();
                        error.with("violations", all)
                    }
                }
            }
            Fault::Limit { key, limit, got } => Self::new(codes::LIMIT, message)
                .with("field", key)
                .with("limit", limit)
                .with("got", got),
            Fault::Unknown(id) => Self::new(codes::NOT_FOUND, message).with("surfaceId", id),
            Fault::Exists(id) => Self::conflict(message).with("surfaceId", id),
            Fault::Foreign(id) => {
                Self::forbidden(message).with("reason", "foreign_owner").with("surfaceId", id)
            }
        }
    }
}

/// A JSON pointer as a path of fields: `/a/0/b` is `a[0].b`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len());
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        match segment.bytes().all(|it| it.is_ascii_digit()) && !segment.is_empty() {
            true => path.push_str(&format!("[{segment}]")),
            false if path.is_empty() => path.push_str(&segment),
            false => path.push_str(&format!(".{segment}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_repeats_little_of_what_was_sent() {
        let long = "\u{fc}".repeat(100_000);
        let violation = Violation { path: format!("/{long}"), message: long.clone() };
        let field = dotted(&format!("/a/{long}"));
        let fault = Fault::at(Reason::InvalidProperty, field, long.as_str()).with(|it| {
            it.component_id = Some(long.clone());
            it.violations = vec![violation; 2];
        });
        let error = RpcError::from(fault.of("s"));
        let bytes = json!(error).to_string().len();
        assert!((1500..3000).contains(&bytes), "{bytes}");
    }
}
