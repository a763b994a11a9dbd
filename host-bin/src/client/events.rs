//! Following the host's events: each once and in order, also over a gap or a restart.

use std::ops::ControlFlow;

use carport_core::{
    HostEvent,
    host::{EventPage, Events, Snapshot, Subscribe},
};

use super::link::{CallError, Link};

/// Events of one page.
const PAGE: u32 = 1000;

/// How far the events were followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EventTrail {
    /// The daemon's life that `last` counts in.
    boot_id: Option<String>,
    /// The newest event that was handed out.
    last: u64,
}

/// What was missed and is known now.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    /// Oldest first.
    pub(crate) events: Vec<HostEvent>,
    /// How many are gone for good: the daemon keeps only the newest.
    pub(crate) lost: u64,
}

/// What an event means to a trail.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// The next event.
    Next(HostEvent),
    /// Seen already.
    Known,
    /// Something before it was lost: catch up.
    Gap,
}

impl EventTrail {
    /// Subscribes. The first time only later events count; after that, what was missed comes along.
    pub(crate) async fn attach(&mut self, link: &Link) -> Result<(Snapshot, Missed), CallError> {
        let snapshot = link.call(Subscribe {}).await?;
        self.meet(&snapshot.identity.boot_id, snapshot.sequence);
        let missed = self.catch_up(link).await?;
        Ok((snapshot, missed))
    }

    /// A new life of the daemon counts from 1.
    fn meet(&mut self, boot_id: &str, sequence: u64) {
        match self.boot_id.as_deref() {
            Some(known) if known == boot_id => {}
            Some(_) => self.last = 0,
            None => self.last = sequence,
        }
        self.boot_id = Some(boot_id.to_owned());
    }

    /// Reads what was missed out of the daemon's ring.
    pub(crate) async fn catch_up(&mut self, link: &Link) -> Result<Missed, CallError> {
        let mut missed = Missed::default();
        loop {
            let page = link.call(Events { limit: Some(PAGE), after: Some(self.last) }).await?;
            if self.turn(page, &mut missed).is_break() {
                return Ok(missed);
            }
        }
    }

    fn turn(&mut self, page: EventPage, missed: &mut Missed) -> ControlFlow<()> {
        let EventPage { events, oldest_sequence, latest_sequence } = page;
        missed.lost += oldest_sequence.saturating_sub(self.last + 1);
        let Some(newest) = events.last() else { return ControlFlow::Break(()) };
        self.last = newest.sequence;
        missed.events.extend(events);
        match self.last < latest_sequence {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    /// What an event adds.
    pub(crate) fn hear(&mut self, event: HostEvent) -> Heard {
        match event.sequence {
            sequence if sequence <= self.last => Heard::Known,
            sequence if sequence > self.last + 1 => Heard::Gap,
            sequence => {
                self.last = sequence;
                Heard::Next(event)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(sequence: u64) -> HostEvent {
        let event = json!({
            "id": "event-x", "sequence": sequence, "timestamp": "2026-05-02T12:00:00.000Z",
            "kind": "test.tick", "payload": {},
        });
        serde_json::from_value(event).unwrap()
    }

    fn page(sequences: std::ops::RangeInclusive<u64>, oldest: u64, latest: u64) -> EventPage {
        let events = sequences.map(event).collect();
        EventPage { events, oldest_sequence: oldest, latest_sequence: latest }
    }

    #[test]
    fn the_first_time_only_later_events_count() {
        let mut trail = EventTrail::default();
        trail.meet("boot-1", 7);
        assert_eq!(trail.hear(event(7)), Heard::Known);
        assert_eq!(trail.hear(event(8)), Heard::Next(event(8)));
        assert_eq!(trail.hear(event(8)), Heard::Known);
        assert_eq!(trail.hear(event(10)), Heard::Gap);
        assert_eq!(trail.last, 8);
    }

    #[test]
    fn a_second_life_of_the_daemon_counts_from_one() {
        let mut trail = EventTrail::default();
        trail.meet("boot-1", 7);
        trail.meet("boot-1", 9);
        assert_eq!(trail.last, 7);
        trail.meet("boot-2", 3);
        assert_eq!(trail.last, 0);
    }

    #[test]
    fn what_was_missed_is_read_page_by_page_and_what_is_gone_is_counted() {
        let mut trail = EventTrail { boot_id: Some("b".into()), last: 3 };
        let mut missed = Missed::default();
        assert!(trail.turn(page(6..=7, 6, 9), &mut missed).is_continue());
        assert!(trail.turn(page(8..=9, 6, 9), &mut missed).is_break());
        let sequences: Vec<_> = missed.events.iter().map(|event| event.sequence).collect();
        assert_eq!((sequences, missed.lost, trail.last), (vec![6, 7, 8, 9], 2, 9));
        let nothing = EventPage { events: vec![], oldest_sequence: 6, latest_sequence: 9 };
        assert!(trail.turn(nothing, &mut missed).is_break());
        assert_eq!(missed.lost, 2);
    }
}
