//! A fact: what is known about something, by whom, how surely and how useful it was.

mod confidence;
mod record;

use std::sync::Arc;

use carport_core::{Result, RpcError, Time, bounds};
use carport_memory_api::{Entry, NewFact, Turn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use confidence::Confidence;
pub use record::Record;

/// The kind of a turn of a conversation; no fact has it.
pub(crate) const CONVERSATION: &str = "conversation";
/// The kind whose facts are constraints, whatever else they say.
const CONSTRAINT: &str = "constraint";

/// A fact as it is kept, in a graph, in its file and in an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// Unique within its tenant.
    #[schemars(with = "String")]
    pub fact_id: Arc<str>,
    /// What it is about.
    pub subject: String,
    /// What is known.
    pub body: String,
    /// Lower-case.
    pub kind: String,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// In the order in which they were given.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// Whose it is; absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Whether it is a memory that may be brought up unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// Whether it is a rule to keep to.
    #[serde(default)]
    pub is_constraint: bool,
    /// When it was first kept.
    pub created_at: Time,
    /// When it was last said.
    pub updated_at: Time,
    /// How often it was brought up.
    #[serde(default)]
    pub uses: u64,
    /// How often what it led to went well.
    #[serde(default)]
    pub wins: u64,
    /// How often what it led to went wrong.
    #[serde(default)]
    pub losses: u64,
}

/// Where a fact stands in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Who the agent is.
    Identity,
    /// Rules to keep to.
    Constraints,
    /// What is known.
    Facts,
    /// What was said.
    Conversation,
    /// What is around.
    Environment,
    /// What is not known.
    Unknowns,
}

impl Layer {
    /// All of them, in the order of a context.
    pub const ALL: [Self; 6] = [
        Self::Identity,
        Self::Constraints,
        Self::Facts,
        Self::Conversation,
        Self::Environment,
        Self::Unknowns,
    ];

    /// The heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::Constraints => "Constraints",
            Self::Facts => "Facts",
            Self::Conversation => "Conversation",
            Self::Environment => "Environment",
            Self::Unknowns => "Known Unknowns",
        }
    }
}

impl Fact {
    /// The fact that `new` becomes at `now`, its kind in lower case. An id that was not given is
    /// `minted`.
    pub fn from_new(new: NewFact, now: Time, minted: impl FnOnce() -> String) -> Self {
        let kind = new.kind.to_lowercase();
        Self {
            fact_id: new.fact_id.unwrap_or_else(minted).into(),
            subject: new.subject,
            body: new.body,
            is_constraint: new.is_constraint || kind == CONSTRAINT,
            kind,
            confidence: new.confidence,
            tags: new.tags,
            source: new.source,
            tenant_id: new.tenant_id,
            entry: new.entry,
            created_at: now,
            updated_at: now,
            uses: 0,
            wins: 0,
            losses: 0,
        }
    }

    /// A turn as a fact, so that a query can return it.
    pub(crate) fn from_turn(turn: Turn) -> Self {
        let Turn { key, speaker, text, at, origin } = turn;
        Self {
            fact_id: key.into(),
            subject: speaker,
            body: text,
            kind: CONVERSATION.into(),
            confidence: 1.0,
            tags: Vec::new(),
            source: origin,
            tenant_id: None,
            entry: None,
            is_constraint: false,
            created_at: at,
            updated_at: at,
            uses: 0,
            wins: 0,
            losses: 0,
        }
    }

    /// The turn that [`Self::from_turn`] made this of.
    pub(crate) fn to_turn(&self) -> Turn {
        Turn {
            key: self.fact_id.to_string(),
            speaker: self.subject.clone(),
            text: self.body.clone(),
            at: self.created_at,
            origin: self.source.clone(),
        }
    }

    /// Where it stands in a context. A constraint is one whatever its kind.
    pub fn layer(&self) -> Layer {
        match self.kind.as_str() {
            CONVERSATION => Layer::Conversation,
            _ if self.is_constraint => Layer::Constraints,
            "identity" => Layer::Identity,
            "environment" => Layer::Environment,
            "unknown" | "question" => Layer::Unknowns,
            _ => Layer::Facts,
        }
    }

    /// Whether it says the same as another of its tenant: subject, body and kind.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        self.subject == other.subject && self.body == other.body && self.kind == other.kind
    }
}

/// The bounds of a fact that is to be kept; `prefix` is the path of its fields, with a dot if it is
/// not empty.
///
/// # Errors
/// The first field that is out of its bounds.
pub fn check(prefix: &str, new: &NewFact) -> Result<()> {
    let path = |name: &str| format!("{prefix}{name}");
    if let Some(id) = &new.fact_id {
        check_id(&path("fact_id"), id)?;
    }
    bounds::bytes(&path("subject"), &new.subject, 1..=512)?;
    bounds::bytes(&path("body"), &new.body, 1..=32 * 1024)?;
    check_kind(&path("kind"), &new.kind)?;
    bounds::within(&path("confidence"), new.confidence, 0.0..=1.0)?;
    bounds::texts(&path("tags"), &new.tags, 0..=32, 1..=64)?;
    bounds::bytes(&path("source"), &new.source, 0..=256)?;
    check_tenant(&path("tenant_id"), new.tenant_id.as_deref())
}

/// The bounds of an id that was given.
///
/// # Errors
/// Not 1 to 128 bytes of `[A-Za-z0-9._:-]`.
pub fn check_id(field: &str, id: &str) -> Result<()> {
    bounds::bytes(field, id, 1..=128)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || "._:-".contains(letter);
    bounds::letters(field, id, "[A-Za-z0-9._:-]", word)
}

/// The bounds of a tenant's name.
///
/// # Errors
/// Not 1 to 128 bytes.
pub fn check_tenant(field: &str, tenant: Option<&str>) -> Result<()> {
    bounds::maybe_bytes(field, tenant, 1..=128)
}

/// The bounds of a turn.
///
/// # Errors
/// The first field that is out of its bounds.
pub fn check_turn(turn: &Turn) -> Result<()> {
    bounds::bytes("key", &turn.key, 1..=256)?;
    bounds::bytes("speaker", &turn.speaker, 0..=64)?;
    bounds::bytes("text", &turn.text, 0..=4 * 1024)?;
    bounds::bytes("origin", &turn.origin, 0..=256)
}

fn check_kind(field: &str, kind: &str) -> Result<()> {
    bounds::bytes(field, kind, 1..=32)?;
    let kind = kind.to_lowercase();
    let word = |letter: char| {
        letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter)
    };
    bounds::letters(field, &kind, "[a-z0-9_-]", word)?;
    if !kind.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(RpcError::invalid_params(field, "must begin with a letter a to z"));
    }
    match kind == CONVERSATION {
        true => {
            Err(RpcError::invalid_params(field, "turns are kept by ingest; choose another kind"))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
