//! What the loop remembers of one surface.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash as Hashed,
    sync::Arc,
};

use carport_a2ui_surfaces::{Outcome, Pointer, Surface};
use carport_a2ui_validate::Message;
use carport_core::Time;
use serde_json::Value;

use crate::{
    propose::{Strategy, data_key},
    report::{ByClient, Report, Viewport},
    ring::{Hash, Ring, hash},
};

/// Patches of a surface until whoever draws it changes it.
pub(crate) const BUDGET: u32 = 8;
/// Renderers of one surface that are told apart.
const MOST_CLIENTS: usize = 64;
/// Milliseconds between two reports that confirm each other.
const CONFIRMED_AFTER: i64 = 500;
/// Seconds for which a renderer counts as looking.
const LOOKING: i64 = 30;

/// Marks of one kind that are kept for a surface.
const MOST_MARKS: usize = 4096;

/// Puts down a mark. Where ids come and go, all of them are forgotten now and then.
pub(crate) fn mark<T: Eq + Hashed>(marks: &mut HashSet<T>, mark: T) {
    if marks.len() >= MOST_MARKS {
        marks.clear();
    }
    marks.insert(mark);
}

/// A finding, wherever it comes from.
pub(crate) type Sight = (String, String);

/// A patch of which is not known yet whether it helped.
pub(crate) struct Trial {
    pub(crate) client: String,
    pub(crate) viewport: Viewport,
    pub(crate) score: u32,
    pub(crate) revision: u64,
    pub(crate) strategy: Strategy,
    pub(crate) target: String,
    pub(crate) code: String,
    pub(crate) kind: String,
    /// What was there before, and what must be there still for that to be put back.
    pub(crate) undo: Undo,
}

/// How a patch is taken back.
pub(crate) enum Undo {
    /// These components are put back, if the patched ones are still there.
    Components { before: Vec<Value>, after: Vec<Value> },
    /// What was put at a path is removed, if it is still there.
    Data { path: String, value: Value },
}

/// What a renderer last said.
struct Seen {
    at: Time,
    wide: BTreeSet<String>,
}

/// What is remembered of a surface.
pub(crate) struct Memory {
    pub(crate) budget: u32,
    pub(crate) rings: HashMap<Arc<str>, Ring>,
    pub(crate) blacklist: HashSet<(Strategy, String)>,
    pub(crate) trial: Option<Trial>,
    pub(crate) advised: HashSet<(String, String)>,
    pub(crate) decided_headings: HashSet<String>,
    /// When each renderer first saw what it still sees.
    sights: ByClient<HashMap<Sight, Time>>,
    clients: ByClient<Seen>,
    /// States, and types, that were patched away.
    away: HashSet<(String, Hash)>,
    kinds_away: HashSet<(String, String)>,
    seeded: BTreeSet<String>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            budget: BUDGET,
            rings: HashMap::new(),
            blacklist: HashSet::new(),
            trial: None,
            advised: HashSet::new(),
            decided_headings: HashSet::new(),
            sights: ByClient::new(),
            clients: ByClient::new(),
            away: HashSet::new(),
            kinds_away: HashSet::new(),
            seeded: BTreeSet::new(),
        }
    }
}

impl Memory {
    /// Follows a change, whoever made it.
    pub(crate) fn observe(&mut self, outcome: &Outcome, own: bool, surface: Option<&Surface>) {
        match outcome.message {
            Message::Components => self.observe_components(outcome, own),
            Message::Data => {
                for path in &self.seeded {
                    let state =
                        surface.map_or(hash(&Value::Null), |surface| state_at(surface, path));
                    self.rings.entry(data_key(path).into()).or_default().push(state, false);
                }
            }
            Message::Create | Message::Delete => {}
        }
        for dropped in &outcome.dropped {
            self.rings.remove(dropped.as_str());
        }
    }

    fn observe_components(&mut self, outcome: &Outcome, own: bool) {
        let mut restores = false;
        for (before, after) in &outcome.components {
            let id = after.id.to_string();
            let now = hash(&after.value);
            if own && let Some(before) = before {
                mark(&mut self.away, (id.clone(), hash(&before.value)));
                if before.kind != after.kind {
                    mark(&mut self.kinds_away, (id.clone(), before.kind.clone()));
                }
            }
            let is_back = !own
                && before.as_ref().is_some_and(|it| it.kind != after.kind)
                && self.kinds_away.contains(&(id.clone(), after.kind.clone()));
            restores |= is_back || (!own && self.away.contains(&(id.clone(), now)));
            let ring = self.rings.entry(after.id.clone()).or_default();
            if let Some(before) = before {
                // What was there before the loop looked is a state, too.
                ring.push(hash(&before.value), false);
            }
            ring.push(now, is_back);
        }
        if !own && outcome.structural && !restores {
            self.budget = BUDGET;
        }
    }

    /// The loop wrote a value where there was none.
    pub(crate) fn seeds(&mut self, path: &str, value: &Value) {
        self.seeded.insert(path.to_owned());
        let ring = self.rings.entry(data_key(path).into()).or_default();
        ring.push(hash(&Value::Null), false);
        ring.push(hash(value), false);
    }

    /// Takes down what a renderer sees. What it does not see any more is forgotten.
    pub(crate) fn sees(&mut self, client: &str, report: &Report, now: Time) {
        self.forget_clients(client, now);
        let old = self.sights.remove(client).unwrap_or_default();
        let sight = |code: &str, id: &str| (code.to_owned(), id.to_owned());
        let findings = report.findings();
        let first = |key: Sight| {
            let at = old.get(&key).copied().unwrap_or(now);
            (key, at)
        };
        let now_seen = findings.iter().map(|it| first(sight(&it.code, it.component()))).collect();
        self.sights.insert(client.to_owned(), now_seen);
        let wide = findings.iter().filter(|it| Strategy::StackRow.takes(&it.code));
        let wide = wide.map(|it| it.component().to_owned()).collect();
        self.clients.insert(client.to_owned(), Seen { at: now, wide });
    }

    /// Keeps the number of renderers that are told apart small: the one that was silent for longest goes.
    fn forget_clients(&mut self, client: &str, now: Time) {
        self.clients.retain(|_, seen| (*now - *seen.at).num_seconds() < 10 * LOOKING);
        while self.clients.len() >= MOST_CLIENTS && !self.clients.contains_key(client) {
            let Some(oldest) = self.clients.iter().min_by_key(|it| it.1.at).map(|it| it.0.clone())
            else {
                break;
            };
            self.clients.remove(&oldest);
        }
        let clients = &self.clients;
        self.sights.retain(|name, _| name == client || clients.contains_key(name));
    }

    /// Whether two reports of the renderer, some time apart, have it.
    pub(crate) fn is_confirmed(&self, client: &str, code: &str, id: &str, now: Time) -> bool {
        let first =
            self.sights.get(client).and_then(|it| it.get(&(code.to_owned(), id.to_owned())));
        first.is_some_and(|first| (*now - **first).num_milliseconds() >= CONFIRMED_AFTER)
    }

    /// Whether everybody who looks sees that it is too wide.
    pub(crate) fn all_see_wide(&self, id: &str, now: Time) -> bool {
        let looking = self.clients.values().filter(|it| (*now - *it.at).num_seconds() <= LOOKING);
        looking.into_iter().all(|it| it.wide.contains(id))
    }
}

/// The state of a place in the data; what is not there is as null.
fn state_at(surface: &Surface, path: &str) -> Hash {
    let limits = carport_a2ui_surfaces::Limits::default();
    let pointer = Pointer::read(path, "path", &limits).ok();
    hash(pointer.and_then(|it| surface.model.get(&it)).unwrap_or(&Value::Null))
}
