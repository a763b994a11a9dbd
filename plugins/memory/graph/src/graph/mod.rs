//! The graph: facts, what they share, and turns.

mod chunked;
mod doc;
mod hub;
mod list;
mod meaning;
mod merge;
mod part;
mod plan;
pub(crate) mod size;
mod slab;
mod snapshot;
#[cfg(test)]
mod tests;
mod turns;

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::{
    fact::Fact,
    log::{Line, Uses, Which},
};

pub(crate) use doc::Doc;
pub(crate) use hub::{HubKind, Posting};
pub(crate) use list::List;
pub use meaning::Meaning;
pub(crate) use part::{COMMON, PartId, TURNS};
pub use plan::Planned;
pub use snapshot::{Bank, Snapshot};
use turns::Turns;

/// How much a graph may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Facts of all tenants.
    pub facts: usize,
    /// Bytes of memory; a graph stops taking facts in once it has reached them.
    pub bytes: usize,
}

impl Limits {
    /// What a graph on disk may hold.
    pub const DISK: Self = Self { facts: 100_000, bytes: 256 * 1024 * 1024 };
    /// What a connection's own graph may hold.
    pub const SESSION: Self = Self { facts: 10_000, bytes: 256 * 1024 * 1024 };
}

/// A graph that changes. What it is is what its lines made of it; see [`Graph::apply`].
#[derive(Debug)]
pub struct Graph {
    now: Snapshot,
    limits: Limits,
    /// By part, what only a writer looks for.
    indexes: HashMap<PartId, Index>,
    turns: Turns,
    /// Memory of facts and turns; hubs count their own.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Index {
    ids: HashMap<Arc<str>, u32>,
    /// The hash of what a fact says, and its id.
    contents: BTreeSet<(u64, Arc<str>)>,
}

impl Graph {
    /// An empty graph.
    pub fn new(limits: Limits) -> Self {
        Self {
            now: Snapshot::default(),
            limits,
            indexes: HashMap::new(),
            turns: Turns::default(),
            bytes: 0,
        }
    }

    /// The graph that these lines make.
    pub fn replay(limits: Limits, lines: impl IntoIterator<Item = Line>) -> Self {
        let mut graph = Self::new(limits);
        lines.into_iter().for_each(|line| graph.apply(line));
        graph
    }

    /// How much it may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The graph as it is now.
    pub fn snapshot(&self) -> Snapshot {
        self.now.clone()
    }

    /// Memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes + self.now.hubs.bytes() + self.now.meanings.bytes()
    }

    /// A fact of this tenant alone, or one of everybody's.
    pub fn get(&self, id: &str, tenant: Option<&str>) -> Option<&Arc<Fact>> {
        Some(&self.find(id, tenant)?.1.fact)
    }

    /// Does what a line says. Limits are not looked at: what is in a file was let in once. A line
    /// about a fact that is not there does nothing.
    pub fn apply(&mut self, line: Line) {
        match line {
            Line::V(_) => {}
            Line::Add(fact) => self.put(fact),
            Line::Del(which) => self.remove(&which),
            Line::Use(uses) => self.count_uses(&uses),
            Line::Turn(turn) => self.take_turn(turn),
            Line::Forget(origin) => self.drop_turns_of(&origin),
        }
    }

    /// Keeps what a fact means, for as long as it says what it said then. Nothing is kept once the graph
    /// has reached its limit of memory. `at` is from [`Snapshot::without_meaning`].
    pub fn understand(&mut self, at: u32, fact: &Fact, meaning: &Meaning) {
        let is_full = self.bytes() >= self.limits.bytes;
        let Some(doc) = self.now.docs.get(at).filter(|doc| doc.part != TURNS) else { return };
        if !is_full && doc.links_as(fact) {
            let part = doc.part;
            self.now.meanings.set(at, part, meaning);
        }
    }

    fn put(&mut self, fact: Arc<Fact>) {
        if let Some((at, old)) = self.find(&fact.fact_id, fact.tenant_id.as_deref()) {
            let old = old.clone();
            self.leave(at, &old);
            if old.links_as(&fact) {
                return self.enter(at, Doc { fact, ..Arc::unwrap_or_clone(old) });
            }
            old.unlink(at, &mut self.now.hubs);
            self.now.meanings.clear(at);
            let doc = Doc::link(fact, old.part, at, &mut self.now.hubs);
            return self.enter(at, doc);
        }
        let part = self.ensure_part(fact.tenant_id.as_deref());
        let at = self.now.docs.reserve();
        let doc = Doc::link(fact, part, at, &mut self.now.hubs);
        self.enter(at, doc);
    }

    fn remove(&mut self, which: &Which) {
        let Some((at, doc)) = self.find(which.id(), which.tenant()) else { return };
        let doc = doc.clone();
        self.leave(at, &doc);
        doc.unlink(at, &mut self.now.hubs);
        self.now.docs.remove(at);
        self.now.meanings.clear(at);
        let is_empty = self.now.part(doc.part).is_some_and(|part| part.count == 0);
        if let Some(tenant) = which.tenant().filter(|_| is_empty) {
            self.now.tenants.remove(tenant);
            self.now.parts.remove(doc.part);
            self.indexes.remove(&doc.part);
            self.bytes -= size::part(tenant);
        }
    }

    fn count_uses(&mut self, uses: &Uses) {
        let Some((at, _)) = self.find(&uses.id, uses.tenant_id.as_deref()) else { return };
        if let Some(doc) = self.now.docs.get_mut(at) {
            let fact = Arc::make_mut(&mut doc.fact);
            (fact.uses, fact.wins, fact.losses) = (uses.uses, uses.wins, uses.losses);
        }
    }

    /// Makes a linked fact, or turn, known under its number.
    fn enter(&mut self, at: u32, doc: Doc) {
        self.bytes += size::doc(&doc);
        let index = self.indexes.entry(doc.part).or_default();
        index.ids.insert(doc.fact.fact_id.clone(), at);
        index.contents.insert((content(&doc.fact), doc.fact.fact_id.clone()));
        if let Some(part) = self.now.parts.get_mut(doc.part) {
            part.enter(&doc, at);
        }
        self.now.docs.set(at, doc);
    }

    /// Forgets it, but for its links and its number.
    fn leave(&mut self, at: u32, doc: &Doc) {
        debug_assert!(self.now.docs.get(at).is_some());
        self.bytes -= size::doc(doc);
        if let Some(index) = self.indexes.get_mut(&doc.part) {
            index.ids.remove(&doc.fact.fact_id);
            index.contents.remove(&(content(&doc.fact), doc.fact.fact_id.clone()));
        }
        if let Some(part) = self.now.parts.get_mut(doc.part) {
            part.leave(doc);
        }
    }

    fn find(&self, id: &str, tenant: Option<&str>) -> Option<(u32, &Arc<Doc>)> {
        self.find_in(self.now.own(tenant)?, id)
    }

    fn find_in(&self, part: PartId, id: &str) -> Option<(u32, &Arc<Doc>)> {
        let at = *self.indexes.get(&part)?.ids.get(id)?;
        Some((at, self.now.docs.get(at)?))
    }

    fn ensure_part(&mut self, tenant: Option<&str>) -> PartId {
        if let Some(part) = self.now.own(tenant) {
            return part;
        }
        let tenant = tenant.unwrap_or_default();
        let part = self.now.parts.insert(part::Part::default());
        self.now.tenants.insert(tenant.into(), part);
        self.bytes += size::part(tenant);
        part
    }
}

/// The same number for facts that say the same, wherever and whenever.
fn content(fact: &Fact) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&fact.subject, &fact.body, &fact.kind).hash(&mut hasher);
    hasher.finish()
}
