//! What facts share: terms, subjects and tags, each with the facts that hold it.

use std::sync::Arc;

use imbl::HashMap;
use smallvec::SmallVec;

use super::{
    chunked::Chunked,
    list::List,
    part::{COMMON, PartId},
    size,
    slab::Slab,
};

/// What a hub is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HubKind {
    Term,
    Subject,
    Tag,
}

/// A fact that holds a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) doc: u32,
    /// How often the fact holds it; those of its subject count twice.
    pub(crate) count: u16,
    /// Terms of the fact in all, counted the same way.
    pub(crate) length: u16,
}

/// A term, a subject or a tag.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    pub(crate) kind: HubKind,
    key: Arc<str>,
    /// By part, in the order of the parts. None is empty.
    lists: SmallVec<[(PartId, List); 1]>,
}

impl Hub {
    /// Those of one part.
    pub(crate) fn list(&self, part: PartId) -> Option<&List> {
        let at = self.lists.binary_search_by_key(&part, |it| it.0).ok()?;
        Some(&self.lists[at].1)
    }

    /// How many there are in these parts.
    pub(crate) fn count(&self, parts: &[PartId]) -> usize {
        parts.iter().filter_map(|part| self.list(*part)).map(List::len).sum()
    }
}

/// All hubs, found by number and by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hubs {
    table: Slab<Hub>,
    terms: HashMap<Arc<str>, u32>,
    subjects: HashMap<Arc<str>, u32>,
    tags: HashMap<Arc<str>, u32>,
    /// By hub, how many of everybody's facts hold it: what a query asks most, close together.
    common: Chunked<u32>,
    /// Memory that they take.
    bytes: usize,
}

impl Hubs {
    pub(crate) fn find(&self, kind: HubKind, key: &str) -> Option<u32> {
        self.names(kind).get(key).copied()
    }

    pub(crate) fn get(&self, hub: u32) -> Option<&Arc<Hub>> {
        self.table.get(hub)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of a hub, made if it is new.
    pub(crate) fn ensure(&mut self, kind: HubKind, key: &str) -> u32 {
        if let Some(hub) = self.find(kind, key) {
            return hub;
        }
        let key: Arc<str> = key.into();
        self.bytes += size::hub(&key);
        let hub = self.table.insert(Hub { kind, key: key.clone(), lists: SmallVec::new() });
        self.names_mut(kind).insert(key, hub);
        hub
    }

    /// A fact holds it.
    pub(crate) fn link(&mut self, hub: u32, part: PartId, posting: Posting) {
        let Some(it) = self.table.get_mut(hub) else { return };
        let at = it.lists.binary_search_by_key(&part, |it| it.0).unwrap_or_else(|at| {
            it.lists.insert(at, (part, List::default()));
            self.bytes += size::LIST;
            at
        });
        let list = &mut it.lists[at].1;
        self.bytes -= list.bytes();
        list.push(posting);
        self.bytes += list.bytes();
        self.count_common(hub, part);
    }

    /// A fact holds it no more. A hub that none holds is gone.
    pub(crate) fn unlink(&mut self, hub: u32, part: PartId, doc: u32) {
        let Some(it) = self.table.get_mut(hub) else { return };
        let Ok(at) = it.lists.binary_search_by_key(&part, |it| it.0) else { return };
        let list = &mut it.lists[at].1;
        self.bytes -= list.bytes();
        let is_there = list.remove(doc);
        self.bytes += list.bytes();
        if !is_there {
            return;
        }
        if list.len() == 0 {
            it.lists.remove(at);
            self.bytes -= size::LIST;
        }
        if it.lists.is_empty() {
            let (kind, key) = (it.kind, it.key.clone());
            self.bytes -= size::hub(&key);
            self.names_mut(kind).remove(&*key);
            self.table.remove(hub);
        }
        self.count_common(hub, part);
    }

    /// How many of everybody's facts hold a hub.
    pub(crate) fn common(&self, hub: u32) -> usize {
        self.common.get(hub as usize).map_or(0, |count| *count as usize)
    }

    fn count_common(&mut self, hub: u32, part: PartId) {
        if part != COMMON {
            return;
        }
        let count = self.get(hub).and_then(|it| it.list(COMMON)).map_or(0, List::len) as u32;
        while self.common.len() <= hub as usize {
            self.common.push(0);
        }
        if let Some(place) = self.common.get_mut(hub as usize) {
            *place = count;
        }
    }

    fn names(&self, kind: HubKind) -> &HashMap<Arc<str>, u32> {
        match kind {
            HubKind::Term => &self.terms,
            HubKind::Subject => &self.subjects,
            HubKind::Tag => &self.tags,
        }
    }

    fn names_mut(&mut self, kind: HubKind) -> &mut HashMap<Arc<str>, u32> {
        match kind {
            HubKind::Term => &mut self.terms,
            HubKind::Subject => &mut self.subjects,
            HubKind::Tag => &mut self.tags,
        }
    }
}
