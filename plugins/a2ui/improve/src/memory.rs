//! What the loop remembers of one surface. All of it is bounded, whatever reports and owners say.

use std::{collections::HashMap, sync::Arc};

use carport_a2ui_surfaces::{Entry, Limits, Outcome, Pointer, Surface};
use carport_a2ui_validate::Message;
use carport_core::Time;
use serde_json::Value;

use crate::{
    marks::Marks,
    propose::Target,
    ring::{Hash, Ring, Turn, hash},
    trial::Trials,
    viewers::Viewers,
};

/// Patches of a surface until whoever draws it changes it.
pub(crate) const BUDGET: u32 = 8;
/// Places of the data that the loop fills on one surface.
const MOST_SEEDED: usize = 64;

/// What is remembered of a surface.
pub(crate) struct Memory {
    pub(crate) budget: u32,
    /// When a report on it was last looked at.
    pub(crate) heard: Time,
    pub(crate) viewers: Viewers,
    pub(crate) trials: Trials,
    /// Pairs of strategy and target that are not tried (again).
    pub(crate) blacklist: Marks,
    pub(crate) advised: Marks,
    rings: HashMap<Arc<str>, Ring>,
    /// Components that were contested when they made room.
    contested: Marks,
    away: Away,
    /// The places that the loop filled, with their states.
    seeded: HashMap<String, Ring>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            budget: BUDGET,
            heard: Time::default(),
            viewers: Viewers::default(),
            trials: Trials::default(),
            blacklist: Marks::default(),
            advised: Marks::default(),
            rings: HashMap::new(),
            contested: Marks::default(),
            away: Away::default(),
            seeded: HashMap::new(),
        }
    }
}

impl Memory {
    /// Follows a change, whoever made it.
    pub(crate) fn observe(&mut self, outcome: &Outcome, own: bool, surface: Option<&Surface>) {
        match outcome.message {
            Message::Components => self.observe_components(outcome, own),
            Message::Data => {
                for (path, ring) in &mut self.seeded {
                    ring.push(state_at(surface, path), false);
                }
            }
            Message::Create | Message::Delete => {}
        }
        for dropped in &outcome.dropped {
            if self.rings.remove(dropped.as_str()).is_some_and(|ring| ring.is_contested()) {
                self.contested.set(dropped.as_str());
            }
        }
    }

    fn observe_components(&mut self, outcome: &Outcome, own: bool) {
        let mut restores = false;
        for (before, after) in &outcome.components {
            let is_back =
                !own && before.as_ref().is_some_and(|before| self.away.is_back(before, after));
            restores |= is_back || (!own && before.is_none() && self.away.is_again(after));
            let ring = self.rings.entry(after.id.clone()).or_default();
            if let Some(before) = before {
                // What was there before the loop looked is a state, too.
                ring.push(hash(&before.value), false);
            }
            ring.push(hash(&after.value), is_back);
        }
        if !own && outcome.structural && !restores {
            self.budget = BUDGET;
        }
    }

    /// The loop changed components.
    pub(crate) fn patched(&mut self, outcome: &Outcome) {
        for (before, after) in &outcome.components {
            if let Some(before) = before {
                self.away.patched(before, after);
            }
        }
    }

    /// Whether the loop may fill this place: it keeps an eye on so many.
    pub(crate) fn may_seed(&self, path: &str) -> bool {
        self.seeded.len() < MOST_SEEDED || self.seeded.contains_key(path)
    }

    /// The loop wrote a value where there was none.
    pub(crate) fn seeds(&mut self, path: &str, value: &Value) {
        let ring = self.seeded.entry(path.to_owned()).or_default();
        ring.push(state(&Value::Null), false);
        ring.push(state(value), false);
    }

    fn ring(&mut self, target: &Target) -> Option<&mut Ring> {
        match target {
            Target::Component(id) => self.rings.get_mut(id.as_str()),
            Target::Data(path) => self.seeded.get_mut(path),
        }
    }

    /// What keeps the target from being written now, whatever it would become.
    pub(crate) fn waits(&mut self, target: &Target, now: Time) -> Option<Turn> {
        if matches!(target, Target::Component(id) if self.contested.has(id.as_str())) {
            return Some(Turn::Contested);
        }
        self.ring(target)?.waits(now)
    }

    /// Whether the target may be given this state now.
    pub(crate) fn turn(&mut self, target: &Target, value: &Value, now: Time) -> Turn {
        let state = match target {
            Target::Component(_) => hash(value),
            Target::Data(_) => state(value),
        };
        self.ring(target).map_or(Turn::Free, |ring| ring.turn(state, now))
    }

    /// About how many bytes it takes that come of reports.
    pub(crate) fn bytes(&self) -> usize {
        self.viewers.bytes() + self.trials.bytes()
    }

    /// Forgets what came of reports, to make room for other surfaces.
    pub(crate) fn forget_reports(&mut self) {
        self.viewers.forget();
        self.trials = Trials::default();
    }
}

/// What the loop changed, as it was before: whoever writes that again takes the patch back, whatever else
/// the write changes.
#[derive(Default)]
struct Away {
    /// Triples of id, member and value: the type if that was changed, else each member that was.
    members: Marks,
    /// Whole components without what makes them one of many.
    states: Marks,
}

/// Members that do not say what a component is.
const INCIDENTAL: [&str; 4] = ["id", "component", "weight", "accessibility"];

impl Away {
    fn patched(&mut self, before: &Entry, after: &Entry) {
        let is_retyped = before.kind != after.kind;
        for (name, old) in before.value.as_object().into_iter().flatten() {
            if (!is_retyped || name == "component") && after.value.get(name) != Some(old) {
                self.members.set(&(&*before.id, &**name, old));
            }
        }
        if let Some(state) = anonymous(before) {
            self.states.set(&state);
        }
    }

    /// Whether the write gives a component back what the loop had changed.
    fn is_back(&self, before: &Entry, after: &Entry) -> bool {
        let mut members = after.value.as_object().into_iter().flatten();
        !self.members.is_empty()
            && members.any(|(name, new)| {
                before.value.get(name) != Some(new) && self.members.has(&(&*after.id, &**name, new))
            })
    }

    /// Whether a component that is new says under another id what the loop had changed.
    fn is_again(&self, new: &Entry) -> bool {
        !self.states.is_empty() && anonymous(new).is_some_and(|state| self.states.has(&state))
    }
}

/// A component without its name; none if there is nothing else to it but its type.
fn anonymous(entry: &Entry) -> Option<Hash> {
    let members = entry.value.as_object()?.iter();
    let mut own: Vec<_> = members.filter(|it| !INCIDENTAL.contains(&it.0.as_str())).collect();
    own.sort_by_key(|it| it.0);
    (!own.is_empty()).then(|| hash(&(&entry.kind, own)))
}

/// The state of a place in the data; what is not there is as null.
fn state_at(surface: Option<&Surface>, path: &str) -> Hash {
    let pointer = Pointer::read(path, "path", &Limits::default()).ok();
    let found = surface.zip(pointer).and_then(|(surface, at)| surface.model.get(&at));
    state(found.unwrap_or(&Value::Null))
}

/// A state of the data. What holds something is one state whatever it holds: no seed is like it, and it may
/// be large.
fn state(value: &Value) -> Hash {
    let holds = match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    };
    if holds { hash("holds something") } else { hash(value) }
}
