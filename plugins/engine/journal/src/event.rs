//! An event of a journal, and the one text that it has.

use std::fmt;

use carport_core::Time;
use carport_engine_model::canonical_object;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it; the protocol tells what each carries")]
pub enum Kind {
    SessionScope,
    ProposalReceived,
    ProposalCompleted,
    ActionRejected,
    ActionSkipped,
    ActionRetried,
    ActionSucceeded,
    ActionFailed,
    PolicyViolation,
    PermissionDecision,
    ApprovalRecorded,
    GateRejected,
    SupervisionDecided,
    StateRolledBack,
    ReplanAttempted,
    ToolStreamStarted,
    ToolStreamEnded,
    InferenceMetered,
    GoalEvaluated,
}

impl fmt::Display for Kind {
    /// The word on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One line of a journal.
///
/// The fields stand in the order of their names, and `data` is kept as the text that was written, so
/// that what `serde_json` makes of an event is its canonical JSON and stays so, byte for byte.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The action that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_id: Option<String>,
    /// Facts by kind: digests, names, numbers and masked errors, never parameters or outputs.
    #[schemars(with = "Map<String, Value>")]
    pub data: Box<RawValue>,
    /// Lowercase hex SHA-256 of `prev_hash`, a newline and this event without `hash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Unique in the daemon.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// The hash of the chained event before it; 64 zeros for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<String>,
    /// The proposal that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal_id: Option<String>,
    /// Counts the events of the journal, from 1.
    pub sequence: u64,
    /// By the daemon's clock.
    pub timestamp: Time,
}

impl Event {
    /// Canonical JSON: keys sorted by code point, no spaces.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// `data` as an object.
    pub fn data(&self) -> Map<String, Value> {
        serde_json::from_str(self.data.get()).unwrap_or_default()
    }
}

/// An event that is not in a journal yet.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened.
    pub kind: Kind,
    /// The action that it is about.
    pub action_id: Option<String>,
    /// The proposal that it is about.
    pub proposal_id: Option<String>,
    /// Facts by kind. Errors of tools go through [`carport_core::mask_text`] first.
    pub data: Map<String, Value>,
}

impl NewEvent {
    /// An event about nothing in particular. `data` that is no object is left out.
    pub fn new(kind: Kind, data: Value) -> Self {
        let data = match data {
            Value::Object(data) => data,
            _ => Map::new(),
        };
        Self { kind, action_id: None, proposal_id: None, data }
    }

    /// About a proposal.
    #[must_use]
    pub fn of_proposal(mut self, id: impl Into<String>) -> Self {
        self.proposal_id = Some(id.into());
        self
    }

    /// About an action.
    #[must_use]
    pub fn of_action(mut self, id: impl Into<String>) -> Self {
        self.action_id = Some(id.into());
        self
    }

    /// The event in its place, unchained.
    pub(crate) fn placed(self, id: String, sequence: u64, timestamp: Time) -> Event {
        let data = RawValue::from_string(canonical_object(&self.data)).unwrap_or_default();
        let Self { kind, action_id, proposal_id, .. } = self;
        Event {
            action_id,
            data,
            hash: None,
            id,
            kind,
            prev_hash: None,
            proposal_id,
            sequence,
            timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_has_one_text() {
        let data = json!({ "z": 1.0, "a": { "d": [-2.0, 0.5], "c": null } });
        let event = NewEvent::new(Kind::ActionSucceeded, data).of_action("a1").placed(
            "e".into(),
            3,
            Time::default(),
        );
        assert_eq!(
            event.canonical(),
            r#"{"action_id":"a1","data":{"a":{"c":null,"d":[-2,0.5]},"z":1},"id":"e","kind":"action_succeeded","sequence":3,"timestamp":"1970-01-01T00:00:00.000Z"}"#
        );
        let read: Event = serde_json::from_str(&event.canonical()).unwrap();
        assert_eq!(read.canonical(), event.canonical());
        assert_eq!(event.kind.to_string(), "action_succeeded");
    }

    #[test]
    fn a_canonical_event_has_its_keys_in_order() {
        let mut event = NewEvent::new(Kind::GoalEvaluated, json!({ "met": true }))
            .of_action("a")
            .of_proposal("p")
            .placed("e".into(), 1, Time::default());
        (event.hash, event.prev_hash) = (Some("h".into()), Some("p".into()));
        let sorted: Value = serde_json::from_str(&event.canonical()).unwrap();
        assert_eq!(event.canonical(), sorted.to_string(), "a map of `serde_json` is sorted");
    }
}
