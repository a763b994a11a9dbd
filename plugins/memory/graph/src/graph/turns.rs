//! Turns of conversations in a graph: one a key, so many at the most, the oldest go first.

use std::collections::HashMap;

use carport_core::Time;
use carport_memory_api::Turn;

use super::{Doc, Graph, TURNS};
use crate::fact::Fact;

/// Turns of one graph.
const MOST_TURNS: usize = 2000;
/// Bytes of their texts, speakers, keys and origins.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// What is counted of turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The place of each in the order of turns, by its number.
    places: HashMap<u32, (Time, u64)>,
    arrived: u64,
    bytes: usize,
    dropped: usize,
}

fn bytes(turn: &Fact) -> usize {
    turn.fact_id.len() + turn.subject.len() + turn.body.len() + turn.source.len()
}

impl Graph {
    pub(super) fn take_turn(&mut self, turn: Turn) {
        let arrived = match self.find_in(TURNS, &turn.key) {
            Some((at, _)) => self.drop_turn(at),
            None => None,
        };
        let arrived = arrived.unwrap_or_else(|| {
            self.turns.arrived += 1;
            self.turns.arrived
        });
        let fact = Fact::from_turn(turn);
        let place = (fact.created_at, arrived);
        self.turns.bytes += bytes(&fact);
        let at = self.now.docs.reserve();
        let doc = Doc::link(fact.into(), TURNS, at, &mut self.now.hubs);
        self.enter(at, doc);
        self.turns.places.insert(at, place);
        self.now.turns.insert(place, at);
        while self.now.turns.len() > MOST_TURNS || self.turns.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.now.turns.get_min() else { return };
            let oldest = *oldest;
            self.drop_turn(oldest);
            self.turns.dropped += 1;
        }
    }

    /// Turns that the limits pushed out since this was asked last.
    pub fn take_dropped_turns(&mut self) -> usize {
        std::mem::take(&mut self.turns.dropped)
    }

    pub(super) fn drop_turns_of(&mut self, origin: &str) {
        let is_its = |at: &u32| self.now.docs.get(*at).is_some_and(|it| it.fact.source == origin);
        let gone: Vec<u32> = self.now.turns.values().copied().filter(is_its).collect();
        for at in gone {
            self.drop_turn(at);
        }
    }

    /// Takes a turn out and says when it arrived.
    pub(super) fn drop_turn(&mut self, at: u32) -> Option<u64> {
        let doc = self.now.docs.get(at)?.clone();
        let place = self.turns.places.remove(&at)?;
        self.now.turns.remove(&place);
        self.turns.bytes -= bytes(&doc.fact);
        self.leave(at, &doc);
        doc.unlink(at, &mut self.now.hubs);
        self.now.docs.remove(at);
        Some(place.1)
    }
}
