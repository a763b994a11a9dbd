//! The journal in memory: what is kept, what is found in it, and when the file is to be rewritten. Pure.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use carport_core::Time;
use carport_engine_model::canonical;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chain::{GENESIS, link},
    event::{Event, NewEvent},
    metrics::metered_cost,
};

/// Events that a log keeps at the most.
pub const MAX_EVENTS: usize = 10_000;
/// Bytes of lines that a log keeps at the most; the newest event stays however large.
pub const MAX_BYTES: usize = 64 << 20;
/// Bytes of events in one answer.
const MAX_ANSWER: usize = 8 << 20;
/// A file is not rewritten for fewer lines than this.
const WORTH_REWRITING: usize = 1024;

/// What an operator or a client lets go, beyond the log's own bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// The newest so many events stay; 1 to 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_events: Option<usize>,
    /// Events stay for so many seconds; 1 at the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_age_secs: Option<u64>,
}

/// Which events are wanted: those that meet every given condition.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Any of these kinds; empty: any kind. A word that is no kind finds nothing.
    pub kinds: Vec<String>,
    /// About this action.
    pub action_id: Option<String>,
    /// About this proposal.
    pub proposal_id: Option<String>,
    /// At this time or later.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// Members of `data` and their text: a string as it is, another value as JSON.
    pub data_matches: BTreeMap<String, String>,
    /// So many at the most, the newest; 0: as many as there are.
    pub limit: usize,
}

impl Query {
    fn wants(&self, event: &Event) -> bool {
        let kind = || event.kind.to_string();
        let is = |wanted: &Option<String>, id: &Option<String>| wanted.is_none() || wanted == id;
        (self.kinds.is_empty() || self.kinds.contains(&kind()))
            && is(&self.action_id, &event.action_id)
            && is(&self.proposal_id, &event.proposal_id)
            && self.since.is_none_or(|since| event.timestamp >= since)
            && self.until.is_none_or(|until| event.timestamp < until)
            && self.matches(event)
    }

    fn matches(&self, event: &Event) -> bool {
        if self.data_matches.is_empty() {
            return true;
        }
        let data = event.data();
        self.data_matches.iter().all(|(name, text)| {
            let shown = data.get(name).map(|value| match value {
                Value::String(value) => value.clone(),
                value => canonical(value),
            });
            shown.as_ref() == Some(text)
        })
    }

    /// The wanted ones of `events`, which are newest first, as far as they fit into one answer.
    pub fn pick(&self, events: impl IntoIterator<Item = Arc<Event>>) -> Vec<Arc<Event>> {
        let limit = if self.limit == 0 { MAX_EVENTS } else { self.limit };
        let mut bytes = 0;
        let fits = |event: &Arc<Event>| {
            bytes += size(event);
            bytes <= MAX_ANSWER
        };
        let wanted = events.into_iter().filter(|event| self.wants(event));
        wanted.take(limit).take_while(fits).collect()
    }
}

/// About how many bytes an event takes.
fn size(event: &Event) -> usize {
    let ids = [&event.action_id, &event.proposal_id, &event.hash, &event.prev_hash];
    let ids: usize = ids.into_iter().flatten().map(|it| it.len() + 20).sum();
    event.data.get().len() + event.id.len() + ids + 128
}

/// The events of one journal, oldest first.
#[derive(Debug, Default)]
pub struct Log {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    sequence: u64,
    /// The newest hash, once the chain is enabled.
    head: Option<String>,
    retention: Retention,
    cumulative_cost: f64,
}

impl Log {
    /// Takes in an event that is in the file already.
    pub fn restore(&mut self, event: Event) {
        self.sequence = self.sequence.max(event.sequence);
        if event.hash.is_some() {
            self.head.clone_from(&event.hash);
        }
        self.push(event);
    }

    /// Takes in a new event. Its id begins with `owner`, which is unique in the daemon.
    pub fn append(&mut self, owner: &str, new: NewEvent, now: Time) -> Arc<Event> {
        self.sequence += 1;
        let id = format!("{owner}-{}", self.sequence);
        let mut event = new.placed(id, self.sequence, now);
        if let Some(head) = &mut self.head {
            *head = link(&mut event, head);
        }
        let event = self.push(event);
        self.expire(now);
        event
    }

    fn push(&mut self, event: Event) -> Arc<Event> {
        self.cumulative_cost += metered_cost(&event);
        self.bytes += size(&event);
        let event = Arc::new(event);
        self.events.push_back(event.clone());
        while self.events.len() > self.most() || (self.bytes > MAX_BYTES && self.events.len() > 1) {
            self.pop();
        }
        event
    }

    fn pop(&mut self) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= size(&oldest);
        }
    }

    fn most(&self) -> usize {
        self.retention.max_events.map_or(MAX_EVENTS, |most| most.clamp(1, MAX_EVENTS))
    }

    /// Lets go of what is too old, from the oldest on: a clock that went back must leave no hole in
    /// the chain.
    pub fn expire(&mut self, now: Time) {
        let age = self.retention.max_age_secs.and_then(|secs| i64::try_from(secs).ok());
        let oldest =
            age.and_then(TimeDelta::try_seconds).and_then(|age| now.checked_sub_signed(age));
        let Some(oldest) = oldest else { return };
        while self.events.front().is_some_and(|event| *event.timestamp < oldest) {
            self.pop();
        }
    }

    /// What is let go.
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Sets what is let go and lets it go. Returns how many events went.
    pub fn retain(&mut self, retention: Retention, now: Time) -> usize {
        let before = self.events.len();
        self.retention = retention;
        while self.events.len() > self.most() {
            self.pop();
        }
        self.expire(now);
        before - self.events.len()
    }

    /// Chains every event from here on.
    pub fn enable_chain(&mut self) {
        self.head.get_or_insert_with(|| GENESIS.to_owned());
    }

    /// The events, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// US dollars of every inference that was ever metered here.
    pub fn cumulative_cost(&self) -> f64 {
        self.cumulative_cost
    }

    /// Whether a file that would have so many lines is rewritten to what is kept.
    pub fn outgrown_by(&self, lines: usize) -> bool {
        let more = lines.saturating_sub(self.events.len());
        more >= WORTH_REWRITING && more * 4 >= lines
    }
}

#[cfg(test)]
mod tests;
