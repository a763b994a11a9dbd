//! A graph as it was at one moment, for readers that hold no lock.

use std::sync::Arc;

use carport_core::Time;
use imbl::{HashMap, OrdMap};

use super::{
    doc::Doc,
    hub::Hubs,
    meaning::Meanings,
    merge::{Entry, Merge},
    part::{COMMON, Part, PartId, TURNS},
    slab::Slab,
};
use crate::{
    fact::{Fact, Layer},
    log::Line,
};

/// A graph at one moment. It is made without copying and stays as it is while the graph goes on.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) docs: Slab<Doc>,
    pub(crate) hubs: Hubs,
    pub(crate) meanings: Meanings,
    pub(super) parts: Slab<Part>,
    pub(super) tenants: HashMap<Arc<str>, PartId>,
    /// By time, then by arrival.
    pub(super) turns: OrdMap<(Time, u64), u32>,
}

impl Default for Snapshot {
    fn default() -> Self {
        let mut parts = Slab::default();
        for part in [COMMON, TURNS] {
            let number = parts.insert(Part::default());
            debug_assert_eq!(number, part);
        }
        Self {
            docs: Slab::default(),
            hubs: Hubs::default(),
            meanings: Meanings::default(),
            parts,
            tenants: HashMap::new(),
            turns: OrdMap::new(),
        }
    }
}

/// Memories that may be brought up unasked, and constraints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Bank {
    /// Facts saved as knowledge.
    pub knowledge: usize,
    /// Facts saved as procedural.
    pub procedural: usize,
    /// Constraints, whatever else they are.
    pub constraints: usize,
}

impl Snapshot {
    /// How many facts a tenant sees: its own and everybody's. Without a tenant: everybody's.
    pub fn fact_count(&self, tenant: Option<&str>) -> usize {
        self.visible(tenant).iter().map(|part| self.part(*part).map_or(0, |it| it.count)).sum()
    }

    /// How many facts there are, of all tenants.
    pub fn facts_in_all(&self) -> usize {
        let tenants = self.tenants.values().chain([&COMMON]);
        tenants.map(|part| self.part(*part).map_or(0, |it| it.count)).sum()
    }

    /// How many facts there are, of all tenants, of which is known what they mean.
    pub fn understood(&self) -> usize {
        self.meanings.count()
    }

    /// Facts of which is not known what they mean, at most so many, with their numbers.
    pub fn without_meaning(&self, most: usize) -> Vec<(u32, Arc<Fact>)> {
        let without = (0..self.docs.numbers() as u32).filter(|at| !self.meanings.has(*at));
        let facts = without.filter_map(|at| Some((at, self.docs.get(at)?)));
        let facts = facts.filter(|(_, doc)| doc.part != TURNS);
        facts.map(|(at, doc)| (at, doc.fact.clone())).take(most).collect()
    }

    /// What a tenant sees that may be brought up unasked.
    pub fn bank(&self, tenant: Option<&str>) -> Bank {
        let mut bank = Bank::default();
        for part in self.visible(tenant).iter().filter_map(|part| self.part(*part)) {
            bank.knowledge += part.knowledge;
            bank.procedural += part.procedural;
            bank.constraints += part.layer(Layer::Constraints).len();
        }
        bank
    }

    /// Every fact of every tenant, in the order of creation.
    pub fn facts(&self) -> Vec<Arc<Fact>> {
        let mut tenants: Vec<_> = self.tenants.iter().collect();
        tenants.sort();
        let parts = [COMMON].into_iter().chain(tenants.into_iter().map(|it| *it.1));
        let mut facts: Vec<_> = parts.flat_map(|part| self.facts_of(part)).collect();
        // Stable: facts of one moment stay in the order of their ids, then of their tenants.
        facts.sort_by(|a, b| (a.created_at, &a.fact_id).cmp(&(b.created_at, &b.fact_id)));
        facts
    }

    /// The facts of one tenant alone, or everybody's, in the order of creation.
    pub fn own_facts(&self, tenant: Option<&str>) -> Vec<Arc<Fact>> {
        let Some(part) = self.own(tenant) else { return Vec::new() };
        let mut facts: Vec<_> = self.facts_of(part).collect();
        facts.sort_by(|a, b| (a.created_at, &a.fact_id).cmp(&(b.created_at, &b.fact_id)));
        facts
    }

    /// The lines that make this graph of an empty one.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let mut turns: Vec<_> =
            self.turns.iter().map(|((_, arrived), at)| (*arrived, *at)).collect();
        turns.sort_unstable();
        let turns = turns.into_iter().filter_map(|(_, at)| Some(self.docs.get(at)?.fact.to_turn()));
        let facts = self.facts().into_iter().map(Line::Add);
        [Line::first()].into_iter().chain(facts).chain(turns.map(Line::Turn))
    }

    /// How many different terms facts and turns hold, of all tenants.
    pub fn term_count(&self) -> usize {
        self.hubs.term_count()
    }

    /// How many turns there are.
    pub fn turn_count(&self) -> usize {
        self.turns.len()
    }

    /// How many turns are of this conversation.
    pub fn turns_of(&self, origin: &str) -> usize {
        self.turns().filter(|it| it.source == origin).count()
    }

    /// The turns, each as a fact, oldest first.
    pub(crate) fn turns(&self) -> impl DoubleEndedIterator<Item = &Arc<Fact>> {
        self.turns.values().filter_map(|at| Some(&self.docs.get(*at)?.fact))
    }

    /// The numbers of the turns.
    pub(crate) fn turn_docs(&self) -> impl Iterator<Item = u32> {
        self.turns.values().copied()
    }

    /// A layer of what a tenant sees, in the order of creation from either end.
    pub(crate) fn layer(
        &self,
        layer: Layer,
        tenant: Option<&str>,
    ) -> impl DoubleEndedIterator<Item = &Arc<Fact>> {
        let mut parts = self.visible(tenant).into_iter().filter_map(|part| self.part(part));
        let (own, other) = (parts.next(), parts.next());
        let facts = Merge::new(entries(own, layer), entries(other, layer));
        facts.filter_map(|at| Some(&self.docs.get(at)?.fact))
    }

    /// The parts that a tenant sees: everybody's, and its own if it has any.
    pub(crate) fn visible(&self, tenant: Option<&str>) -> Vec<PartId> {
        let own = tenant.and_then(|tenant| self.tenants.get(tenant)).copied();
        [COMMON].into_iter().chain(own).collect()
    }

    pub(crate) fn part(&self, part: PartId) -> Option<&Arc<Part>> {
        self.parts.get(part)
    }

    /// The part that a tenant writes to, if it has any facts.
    pub(super) fn own(&self, tenant: Option<&str>) -> Option<PartId> {
        tenant.map_or(Some(COMMON), |tenant| self.tenants.get(tenant).copied())
    }

    fn facts_of(&self, part: PartId) -> impl Iterator<Item = Arc<Fact>> {
        let layers =
            self.part(part).into_iter().flat_map(|part| Layer::ALL.map(|it| part.layer(it)));
        layers
            .flat_map(|layer| layer.values())
            .filter_map(|at| Some(self.docs.get(*at)?.fact.clone()))
    }
}

fn entries(part: Option<&Arc<Part>>, layer: Layer) -> impl DoubleEndedIterator<Item = Entry<'_>> {
    part.into_iter().flat_map(move |part| part.layer(layer).iter())
}
