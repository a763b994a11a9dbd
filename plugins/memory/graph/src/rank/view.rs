//! What one query sees of a graph, and the numbers that follow from it alone.

use crate::graph::{COMMON, List, PartId, Posting, Snapshot, TURNS};

/// The facts that a caller sees. No number that it yields depends on another tenant's facts.
pub(super) struct View<'a> {
    pub(super) graph: &'a Snapshot,
    /// The parts whose facts are ranked.
    pub(super) parts: Vec<PartId>,
    /// These and the turns, which lead from one fact to another.
    pub(super) conducts: Vec<PartId>,
    /// Facts in `parts`.
    pub(super) count: usize,
    /// Terms of an average fact; 1 if there are none at all.
    pub(super) average: f64,
}

impl<'a> View<'a> {
    /// What a tenant sees. With `turns`, they are ranked as facts are.
    pub(super) fn new(graph: &'a Snapshot, tenant: Option<&str>, turns: bool) -> Self {
        let facts = graph.visible(tenant);
        let mut conducts = facts.clone();
        conducts.extend((graph.turn_count() > 0).then_some(TURNS));
        let parts = if turns { conducts.clone() } else { facts };
        let of = |parts: &[PartId]| {
            parts
                .iter()
                .filter_map(|part| graph.part(*part))
                .fold((0, 0), |sum, part| (sum.0 + part.count, sum.1 + part.length))
        };
        let (count, length) = of(&parts);
        let average = if length == 0 { 1.0 } else { length as f64 / count as f64 };
        Self { graph, parts, conducts, count, average }
    }

    /// How rare something is that so many facts hold: `ln(1 + (N - n + 0.5) / (n + 0.5))`, as in
    /// Lucene's BM25. It is above zero for every *n*. The logarithm is computed in Rust, so that it is
    /// the same on any machine.
    pub(super) fn idf(&self, holders: usize) -> f64 {
        let (all, holders) = (self.count as f64, holders as f64);
        libm::log1p(((all - holders).max(0.0) + 0.5) / (holders + 0.5))
    }

    /// How many of the facts that are ranked hold a hub.
    pub(super) fn holders(&self, hub: u32) -> usize {
        self.count(hub, &self.parts)
    }

    /// How many facts and turns hold a hub that are seen at all.
    pub(super) fn edges(&self, hub: u32) -> usize {
        self.count(hub, &self.conducts)
    }

    /// The facts and turns that hold a hub and are seen at all.
    pub(super) fn postings(&self, hub: u32) -> impl Iterator<Item = &'a Posting> {
        let hub = self.graph.hubs.get(hub);
        let lists = self.conducts.iter().filter_map(move |part| hub?.list(*part));
        lists.flat_map(List::pieces).flatten()
    }

    fn count(&self, hub: u32, parts: &[PartId]) -> usize {
        match parts {
            [COMMON] => self.graph.hubs.common(hub),
            parts => self.graph.hubs.get(hub).map_or(0, |hub| hub.count(parts)),
        }
    }
}
