//! Host events: one ring that every plugin writes to and hosts follow.

use std::{collections::VecDeque, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    caller::Caller,
    clock::{Clock, Time},
    notification::Notification,
    session::Session,
    subscribers::Subscribers,
};
use crate::wire::{error::Result, guarded::Guarded};

/// Something happened that a host wants to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostEvent {
    /// `event-` + 8 characters of the boot id + `-` + sequence.
    pub id: String,
    /// Counts from 1 with each start of the daemon.
    pub sequence: u64,
    /// When it happened.
    pub timestamp: Time,
    /// What happened, in words joined by dots.
    pub kind: String,
    /// The agent that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// By kind.
    pub payload: Value,
}

impl Notification for HostEvent {
    const NAME: &'static str = "host.event";
}

/// A new event, before the ring gives it a number.
#[derive(Debug, Clone)]
pub struct NewEvent {
    kind: String,
    agent_id: Option<String>,
    message: Option<String>,
    payload: Value,
}

impl NewEvent {
    /// An event of this kind, with an object as its payload.
    pub fn new(kind: impl Into<String>, payload: Value) -> Self {
        Self { kind: kind.into(), agent_id: None, message: None, payload }
    }

    /// The agent that it is about.
    #[must_use]
    pub fn about(mut self, agent_id: Option<&str>) -> Self {
        self.agent_id = agent_id.map(str::to_owned);
        self
    }

    /// A line for people.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

/// The ring of host events. Cheap to clone.
#[derive(Clone)]
pub struct HostEvents(Arc<Inner>);

struct Inner {
    boot: String,
    clock: Arc<dyn Clock>,
    capacity: usize,
    ring: Guarded<Ring>,
    listeners: Subscribers<()>,
}

#[derive(Default)]
struct Ring {
    latest: u64,
    events: VecDeque<HostEvent>,
}

/// What the ring holds of the events that were asked for.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) events: Vec<HostEvent>,
    pub(crate) oldest: u64,
    pub(crate) latest: u64,
}

impl HostEvents {
    pub(crate) fn new(boot_id: &str, clock: Arc<dyn Clock>, capacity: usize) -> Self {
        let boot = boot_id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        let (ring, listeners) = (Guarded::default(), Subscribers::default());
        Self(Arc::new(Inner { boot, clock, capacity, ring, listeners }))
    }

    /// Numbers an event, keeps it and tells every subscriber, in one step.
    pub fn emit(&self, event: NewEvent) -> HostEvent {
        let NewEvent { kind, agent_id, message, payload } = event;
        let mut ring = self.0.ring.lock();
        ring.latest += 1;
        let sequence = ring.latest;
        let payload = if payload.is_null() { json!({}) } else { payload };
        let id = format!("event-{}-{sequence}", self.0.boot);
        let timestamp = self.0.clock.now();
        let event = HostEvent { id, sequence, timestamp, kind, agent_id, message, payload };
        if ring.events.len() == self.0.capacity {
            ring.events.pop_front();
        }
        ring.events.push_back(event.clone());
        self.0.listeners.notify(&(), &event);
        event
    }

    /// Registers the caller at the newest sequence; the last `limit` events come with it.
    pub(crate) fn subscribe(&self, caller: &Caller, limit: usize) -> Result<Page> {
        let ring = self.0.ring.lock();
        self.0.listeners.subscribe((), caller)?;
        Ok(ring.last(limit))
    }

    pub(crate) fn unsubscribe(&self, session: &Session) -> bool {
        self.0.listeners.unsubscribe(&(), session)
    }

    /// The last `limit` events, or the first `limit` after `after`, oldest first.
    pub(crate) fn page(&self, limit: usize, after: Option<u64>) -> Page {
        let ring = self.0.ring.lock();
        match after {
            None => ring.last(limit),
            Some(after) => ring.after(limit, after),
        }
    }
}

impl Ring {
    fn oldest(&self) -> u64 {
        self.events.front().map_or(self.latest + 1, |event| event.sequence)
    }

    fn last(&self, limit: usize) -> Page {
        self.slice(self.events.len().saturating_sub(limit), limit)
    }

    fn after(&self, limit: usize, after: u64) -> Page {
        self.slice(self.events.partition_point(|event| event.sequence <= after), limit)
    }

    fn slice(&self, from: usize, limit: usize) -> Page {
        let events = self.events.iter().skip(from).take(limit).cloned().collect();
        Page { events, oldest: self.oldest(), latest: self.latest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::clock::SystemClock;

    #[test]
    fn the_ring_keeps_the_newest_and_pages_show_gaps() {
        let events = HostEvents::new("0197-aabbccdd", Arc::new(SystemClock), 3);
        for _ in 0..5 {
            events.emit(NewEvent::new("test.tick", Value::Null));
        }
        let sequences = |page: &Page| page.events.iter().map(|e| e.sequence).collect::<Vec<_>>();
        let last = events.page(2, None);
        assert_eq!((sequences(&last), last.oldest, last.latest), (vec![4, 5], 3, 5));
        assert_eq!(sequences(&events.page(10, Some(0))), [3, 4, 5]);
        assert_eq!(sequences(&events.page(1, Some(3))), [4]);
        assert!(events.page(10, Some(5)).events.is_empty());
        assert_eq!(last.events[0].id, "event-0197aabb-4");
        assert_eq!(last.events[0].payload, json!({}));
    }
}
