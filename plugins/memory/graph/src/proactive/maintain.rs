//! What is learned from what an engine saw.

use std::collections::{HashMap, HashSet};

use carport_memory_api::{Entry, Event, NewFact, Observed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fact::check_tenant;

/// Characters of an error that are kept.
const ERROR: usize = 500;
/// Bytes of a subject.
const SUBJECT: usize = 512;
/// Where such facts come from.
const SOURCE: &str = "maintain";

/// What speaks for a reminder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Trigger {
    /// How often a tool failed that had failed before.
    pub repeated_failures: u32,
    /// A tool failed again.
    pub tool_error: bool,
    /// The agent said that it does not know.
    pub explicit_uncertainty: bool,
    /// What comes next can do harm.
    pub high_risk_action: bool,
    /// It is about something else now.
    pub context_shift: bool,
}

/// What events teach.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learned {
    /// What they speak for.
    pub trigger: Trigger,
    /// What is to be kept, each with an id that follows from the event: the same events teach the
    /// same facts. In the order of the events.
    pub facts: Vec<NewFact>,
}

/// An event cut to what is learned from it, for an event may be kept for long; `None` if no tenant can
/// have this name, for then nobody can ask for it.
pub fn bounded(mut event: Event) -> Option<Event> {
    check_tenant("tenant_id", event.tenant_id.as_deref()).ok()?;
    let (Observed::ActionFailed { tool: subject, error: text }
    | Observed::RetriesUsedUp { tool: subject, error: text }
    | Observed::ReplansUsedUp { source: subject, reason: text }
    | Observed::GoalOpen { goal: subject, reason: text }
    | Observed::TurnStopped { source: subject, reason: text }) = &mut event.observed;
    cut(subject, subject.floor_char_boundary(SUBJECT));
    let end = text.char_indices().nth(ERROR).map_or(text.len(), |(at, _)| at);
    cut(text, end);
    Some(event)
}

/// Shortens a text and gives back the memory of the rest.
fn cut(text: &mut String, end: usize) {
    text.truncate(end);
    text.shrink_to_fit();
}

/// What a tenant learns from its events, the oldest first. A tool's failures teach one fact: the newest.
pub fn learn(events: &[Event], tenant: Option<&str>) -> Learned {
    let mut learned = Learned::default();
    let events = events.iter().filter(|it| it.tenant_id.as_deref() == tenant);
    let events: Vec<&Observed> = events.map(|it| &it.observed).collect();
    let mut newest: HashMap<&str, usize> = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        if let Observed::ActionFailed { tool, .. } = event
            && newest.insert(tool, at).is_some()
        {
            learned.trigger.repeated_failures += 1;
            learned.trigger.tool_error = true;
        }
    }
    let mut ids = HashSet::new();
    for (at, event) in events.iter().enumerate() {
        let is_superseded =
            matches!(event, Observed::ActionFailed { tool, .. } if newest[tool.as_str()] != at);
        let fact = lesson(event, tenant);
        if !is_superseded && ids.insert(fact.fact_id.clone()) {
            learned.facts.push(fact);
        }
    }
    learned
}

fn lesson(event: &Observed, tenant: Option<&str>) -> NewFact {
    let (what, entry, subject, body) = match event {
        Observed::ActionFailed { tool, error } => {
            ("failed", Entry::Procedural, tool, error.clone())
        }
        Observed::RetriesUsedUp { tool, error } => {
            ("retries", Entry::Procedural, tool, format!("every retry failed: {error}"))
        }
        Observed::ReplansUsedUp { source, reason } => {
            ("replans", Entry::Procedural, source, format!("every replan failed: {reason}"))
        }
        Observed::GoalOpen { goal, reason } => {
            ("goal", Entry::Knowledge, goal, format!("open goal: {reason}"))
        }
        Observed::TurnStopped { source, reason } => {
            ("stopped", Entry::Procedural, source, format!("a turn was stopped: {reason}"))
        }
    };
    let body: String = body.chars().take(ERROR).collect();
    // Facts have neither an empty subject nor an empty body.
    let said = |text: &str, otherwise: &str| match text {
        "" => otherwise.to_owned(),
        text => text[..text.floor_char_boundary(SUBJECT)].to_owned(),
    };
    NewFact {
        fact_id: Some(id(&[tenant.unwrap_or_default(), what, subject, &body])),
        entry: Some(entry),
        tenant_id: tenant.map(str::to_owned),
        source: SOURCE.into(),
        kind: if entry == Entry::Knowledge { "knowledge" } else { "procedural" }.into(),
        body: if body.is_empty() { "no reason was given".into() } else { body },
        ..NewFact::new(said(subject, "unnamed"), "")
    }
}

/// `e-` and 16 hex digits of SHA-256 over these, each behind its length.
fn id(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let hex = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    format!("e-{}", hex.collect::<String>())
}
