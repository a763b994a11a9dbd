//! The parts of a graph: everybody's facts, those of each tenant, and the turns.

use std::sync::Arc;

use carport_core::Time;
use carport_memory_api::Entry;
use imbl::OrdMap;

use super::doc::Doc;
use crate::fact::Layer;

/// The number of a part.
pub(crate) type PartId = u32;

/// Everybody's facts.
pub(crate) const COMMON: PartId = 0;
/// The turns of conversations.
pub(crate) const TURNS: PartId = 1;

/// Facts in the order in which they were first kept.
pub(crate) type ByCreation = OrdMap<(Time, Arc<str>), u32>;

/// What is counted and sorted of a part, so that a query sees the numbers of its own parts only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// Facts, or turns.
    pub(crate) count: usize,
    /// Terms of all of them.
    pub(crate) length: u64,
    pub(crate) knowledge: usize,
    pub(crate) procedural: usize,
    /// One for each layer of a context.
    layers: [ByCreation; 6],
}

impl Part {
    pub(crate) fn layer(&self, layer: Layer) -> &ByCreation {
        &self.layers[layer as usize]
    }

    /// Counts a fact, or a turn.
    pub(crate) fn enter(&mut self, doc: &Doc, at: u32) {
        self.count += 1;
        self.length += u64::from(doc.length);
        *self.entries(doc) += usize::from(doc.fact.entry.is_some());
        if doc.part != TURNS {
            self.layers[doc.fact.layer() as usize].insert(doc.created(), at);
        }
    }

    /// Counts it no more.
    pub(crate) fn leave(&mut self, doc: &Doc) {
        self.count -= 1;
        self.length -= u64::from(doc.length);
        *self.entries(doc) -= usize::from(doc.fact.entry.is_some());
        if doc.part != TURNS {
            self.layers[doc.fact.layer() as usize].remove(&doc.created());
        }
    }

    fn entries(&mut self, doc: &Doc) -> &mut usize {
        match doc.fact.entry {
            Some(Entry::Procedural) => &mut self.procedural,
            _ => &mut self.knowledge,
        }
    }
}
