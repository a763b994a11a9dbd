//! The components of a surface, by order of arrival, and what edges between them may be.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use carport_a2ui_validate::{Catalog, Children};
use serde_json::Value;

use crate::{
    fault::{Fault, Reason},
    inspect::deep,
    limits::{Limits, within},
};

/// The component that is drawn first.
pub(crate) const ROOT: &str = "root";

/// A component.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: Arc<str>,
    /// Its type.
    pub kind: String,
    /// All of it, as it was sent.
    pub value: Value,
    /// The ids that it names, in the order in which they are drawn.
    pub children: Vec<String>,
    /// The bytes of its JSON.
    pub bytes: usize,
}

impl Entry {
    /// Reads a component that its schema has let pass.
    pub(crate) fn new(value: Value, bytes: usize, catalog: &Catalog) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_default();
        let (id, kind) = (text("id").into(), text("component").to_owned());
        let mut children = Vec::new();
        if let Some(known) = catalog.component(&kind) {
            known.edges.references(&value, |it| children.push(it.id.to_owned()));
        }
        Self { id, kind, children, bytes, value }
    }
}

/// The components of a surface.
#[derive(Debug, Clone, Default)]
pub struct Components {
    list: Vec<Arc<Entry>>,
    places: HashMap<Arc<str>, usize>,
    bytes: usize,
}

/// A change that is known to succeed.
pub(crate) struct Upsert {
    new: Vec<Arc<Entry>>,
    /// Ids that make room, by order of arrival.
    pub(crate) dropped: Vec<String>,
    /// Whether ids, types or edges change.
    pub(crate) structural: bool,
    /// The bytes of all components afterwards.
    pub(crate) bytes: usize,
}

impl Components {
    /// By order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The component of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Entry>> {
        self.list.get(*self.places.get(id)?)
    }

    /// The bytes of all of them in a list.
    pub fn bytes(&self) -> usize {
        2 + self.bytes + self.list.len().saturating_sub(1)
    }

    /// Looks at a change without doing it: each of `new` replaces or joins.
    ///
    /// # Errors
    /// Two of one id, an id that names itself, a cycle, a path that is too long, or too many, be they sent
    /// or drawn.
    pub(crate) fn plan(&self, new: Vec<Entry>, limits: &Limits) -> Result<Upsert, Fault> {
        let mut over: HashMap<&str, (usize, &Entry)> = HashMap::with_capacity(new.len());
        for (at, entry) in new.iter().enumerate() {
            let refuse = |reason, why: String| {
                let field = format!("updateComponents.components[{at}]");
                let fault = Fault::at(reason, field, why);
                Err(fault.with(|it| it.component_id = Some(entry.id.to_string())))
            };
            if over.insert(&entry.id, (at, entry)).is_some() {
                return refuse(Reason::DuplicateId, format!("`{}` is there twice", entry.id));
            }
            if entry.children.iter().any(|child| **child == *entry.id) {
                return refuse(Reason::SelfReference, format!("`{}` names itself", entry.id));
            }
        }
        let changes = |entry: &Entry| {
            self.get(&entry.id)
                .is_none_or(|old| old.kind != entry.kind || old.children != entry.children)
        };
        let structural = new.iter().any(changes);
        let view = View { old: self, over: &over };
        if structural {
            view.check(&new, limits)?;
        }
        let joining = new.iter().filter(|entry| self.get(&entry.id).is_none()).count();
        let dropped = view.dropped(self.len() + joining, limits)?;
        let replaced = |entry: &Entry| self.get(&entry.id).map_or(0, |old| old.bytes);
        let more: usize = new.iter().map(|it| it.bytes).sum();
        let less: usize = new.iter().map(replaced).sum::<usize>()
            + dropped.iter().filter_map(|id| self.get(id)).map(|it| it.bytes).sum::<usize>();
        let count = self.len() + joining - dropped.len();
        let bytes = 2 + self.bytes + more - less + count.saturating_sub(1);
        let structural = structural || !dropped.is_empty();
        Ok(Upsert { new: new.into_iter().map(Arc::new).collect(), dropped, structural, bytes })
    }

    /// Does what was planned. Returns what was there before and what is there now, for each.
    pub(crate) fn commit(&mut self, upsert: Upsert) -> Vec<(Option<Arc<Entry>>, Arc<Entry>)> {
        if !upsert.dropped.is_empty() {
            let gone: HashSet<_> = upsert.dropped.iter().map(String::as_str).collect();
            self.list.retain(|entry| !gone.contains(&*entry.id));
            self.bytes = self.list.iter().map(|entry| entry.bytes).sum();
            let places = self.list.iter().enumerate().map(|(at, entry)| (entry.id.clone(), at));
            self.places = places.collect();
        }
        let mut changes = Vec::with_capacity(upsert.new.len());
        for entry in upsert.new {
            self.bytes += entry.bytes;
            let before = match self.places.get(&entry.id) {
                Some(&at) => {
                    let old = std::mem::replace(&mut self.list[at], entry.clone());
                    self.bytes -= old.bytes;
                    Some(old)
                }
                None => {
                    self.places.insert(entry.id.clone(), self.list.len());
                    self.list.push(entry.clone());
                    None
                }
            };
            changes.push((before, entry));
        }
        changes
    }
}

/// The components as they would be.
struct View<'a> {
    old: &'a Components,
    over: &'a HashMap<&'a str, (usize, &'a Entry)>,
}

/// How far a component was followed.
enum Seen {
    /// It is on the path that is being followed.
    Open,
    /// What is below it is known.
    Done(Below),
}

/// What is below a component, with it.
#[derive(Clone, Copy, Default)]
struct Below {
    /// So many components follow each other.
    length: usize,
    /// So many are drawn. What would be more than this holds stays the most that it does.
    drawn: u32,
}

impl Below {
    fn and(&mut self, child: Self) {
        self.length = self.length.max(child.length);
        self.drawn = self.drawn.saturating_add(child.drawn);
    }
}

impl<'a> View<'a> {
    fn get(&self, id: &str) -> Option<&'a Entry> {
        match self.over.get(id) {
            Some((_, entry)) => Some(entry),
            None => self.old.get(id).map(|entry| &**entry),
        }
    }

    /// Follows every path once, without recursion: a path may be as long as there are components.
    fn check(&self, new: &'a [Entry], limits: &Limits) -> Result<(), Fault> {
        let mut seen: HashMap<&str, Seen> =
            HashMap::with_capacity(self.old.len() + self.over.len());
        let old = self.old.iter().map(|entry| &**entry);
        let starts = new.iter().chain(old.filter(|it| !self.over.contains_key(&*it.id)));
        let (mut longest, mut total) = ((0, ""), 0_u32);
        // What another names is drawn with that; what was followed before that was known is taken off again.
        let mut tops: HashMap<&str, u32> = HashMap::new();
        for start in starts {
            if seen.contains_key(&*start.id) {
                continue;
            }
            // A component, the child that is next, and what is below it so far.
            let mut path: Vec<(&Entry, usize, Below)> = vec![(start, 0, Below::default())];
            seen.insert(&start.id, Seen::Open);
            while let Some((entry, next, below)) = path.last_mut() {
                let Some(child) = entry.children.get(*next) else {
                    let id = &*entry.id;
                    let below =
                        Below { length: below.length + 1, drawn: below.drawn.saturating_add(1) };
                    seen.insert(id, Seen::Done(below));
                    longest = longest.max((below.length, id));
                    path.pop();
                    match path.last_mut() {
                        Some((.., above)) => above.and(below),
                        None => drop(tops.insert(id, below.drawn)),
                    }
                    continue;
                };
                *next += 1;
                match (seen.get(&**child), self.get(child)) {
                    (Some(Seen::Done(done)), _) => {
                        below.and(*done);
                        tops.remove(&**child);
                    }
                    (Some(Seen::Open), _) => return Err(self.cycle(&path, child)),
                    (None, Some(entry)) => {
                        seen.insert(&entry.id, Seen::Open);
                        path.push((entry, 0, Below::default()));
                    }
                    // It has not arrived, and may.
                    (None, None) => below.and(Below { length: 0, drawn: 1 }),
                }
            }
        }
        for drawn in tops.values() {
            total = total.saturating_add(*drawn);
        }
        let (length, id) = longest;
        let too_long = deep("components below each other", limits.max_depth, length);
        too_long.map_err(|fault| {
            fault.with(|it| {
                it.field = "updateComponents.components".into();
                it.component_id = Some(id.into());
            })
        })?;
        within("maxDrawnComponents", limits.max_drawn_components, total as usize)
    }

    fn cycle(&self, path: &[(&Entry, usize, Below)], again: &str) -> Fault {
        let from = path.iter().position(|(entry, ..)| *entry.id == *again).unwrap_or_default();
        let around = path[from..].iter().map(|(entry, ..)| &*entry.id);
        let shown: Vec<_> = around.clone().take(16).chain([again]).collect();
        // Each cycle goes through a component that is new.
        let blamed =
            around.clone().find_map(|id| self.over.get(id)).map(|(at, entry)| (*at, &entry.id));
        let field = match blamed {
            Some((at, _)) => format!("updateComponents.components[{at}]"),
            None => "updateComponents.components".into(),
        };
        let why = format!("would be drawn within itself: {}", shown.join(" -> "));
        let id = blamed.map(|(_, id)| id.to_string());
        Fault::at(Reason::Cycle, field, why).with(|it| it.component_id = id)
    }

    /// What makes room if there would be `count`: what nothing leads to from the root or from what is new,
    /// the oldest first.
    fn dropped(&self, count: usize, limits: &Limits) -> Result<Vec<String>, Fault> {
        let Some(excess @ 1..) = count.checked_sub(limits.max_components) else {
            return Ok(Vec::new());
        };
        let mut reached: HashSet<&str> = HashSet::new();
        let mut open: Vec<&Entry> = self.over.values().map(|(_, entry)| *entry).collect();
        open.extend(self.get(ROOT));
        while let Some(entry) = open.pop() {
            if reached.insert(&entry.id) {
                open.extend(entry.children.iter().filter_map(|child| self.get(child)));
            }
        }
        let orphans = self.old.iter().filter(|entry| !reached.contains(&*entry.id));
        let dropped: Vec<_> = orphans.take(excess).map(|entry| entry.id.to_string()).collect();
        within("maxComponents", limits.max_components, count - dropped.len())?;
        Ok(dropped)
    }
}
