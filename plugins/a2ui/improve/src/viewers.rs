//! The renderers of one surface: what each of them last saw, and what somebody is at there.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use carport_a2ui_surfaces::Surface;
use carport_core::Time;

use crate::{
    report::Report,
    view::{Sight, View},
};

/// Renderers of one surface that are told apart.
const MOST_VIEWERS: usize = 64;
/// What all of them together see.
const MOST_SIGHTS: usize = 1024;
/// Components that somebody is at; with more it is the whole surface.
const MOST_HELD: usize = 64;
/// Milliseconds between two reports that confirm each other.
const CONFIRMED_AFTER: i64 = 500;
/// Seconds for which a renderer counts as looking, and for which it is remembered.
const LOOKING: (i64, i64) = (30, 300);

/// What a renderer last said.
struct Viewer {
    at: Time,
    /// When it first saw what it still sees.
    sights: HashMap<Sight, Time>,
    held: Held,
}

/// What somebody is at.
#[derive(Default)]
struct Held {
    everything: bool,
    ids: Vec<Arc<str>>,
}

impl Held {
    /// What a report says of it. Who names nothing that is there may be anywhere.
    fn of(report: &Report, surface: &Surface) -> Self {
        let there = |id: &String| surface.components.get(id).map(|it| it.id.clone());
        let focus = report.focus.as_ref().and_then(there);
        let named = report.dirty_components.as_deref().unwrap_or_default();
        let mut ids: Vec<_> = named.iter().take(MOST_HELD).filter_map(there).collect();
        let everything = (report.focused == Some(true) && focus.is_none())
            || (report.dirty == Some(true) && ids.is_empty())
            || named.len() > MOST_HELD;
        ids.extend(focus);
        Self { everything, ids }
    }
}

/// The renderers of one surface.
#[derive(Default)]
pub(crate) struct Viewers {
    by_name: BTreeMap<String, Viewer>,
    /// When one that may be looking was forgotten for want of room.
    crowded: Option<Time>,
}

fn looks(at: Time, now: Time) -> bool {
    (*now - *at).num_seconds() <= LOOKING.0
}

impl Viewers {
    /// Takes down what a renderer says. What it does not see any more is forgotten.
    pub(crate) fn sees(&mut self, name: &str, view: &View<'_>) {
        let (now, old) = (view.input.now, self.by_name.remove(name));
        let old = old.map(|it| it.sights).unwrap_or_default();
        let sights = view.findings.iter().filter_map(|it| view.sight(it)).map(|sight| {
            let at = old.get(&sight).copied().unwrap_or(now);
            (sight, at)
        });
        let sights: HashMap<_, _> = sights.collect();
        self.make_room(sights.len(), now);
        let held = Held::of(view.input.report, view.input.surface);
        self.by_name.insert(name.to_owned(), Viewer { at: now, sights, held });
    }

    /// Forgets who has been silent for long, and for want of room whoever has been for longest.
    fn make_room(&mut self, sights: usize, now: Time) {
        self.by_name.retain(|_, it| (*now - *it.at).num_seconds() < LOOKING.1);
        let mut all: usize = self.by_name.values().map(|it| it.sights.len()).sum();
        while self.by_name.len() >= MOST_VIEWERS || all + sights > MOST_SIGHTS {
            let oldest = self.by_name.iter().min_by_key(|it| it.1.at).map(|it| it.0.clone());
            let Some(gone) = oldest.and_then(|name| self.by_name.remove(&name)) else { break };
            all -= gone.sights.len();
            if looks(gone.at, now) {
                self.crowded = Some(now);
            }
        }
    }

    /// Whether two reports of the renderer, some time apart, have it.
    pub(crate) fn is_confirmed(&self, name: &str, sight: &Sight, now: Time) -> bool {
        let first = self.by_name.get(name).and_then(|it| it.sights.get(sight));
        first.is_some_and(|first| (*now - **first).num_milliseconds() >= CONFIRMED_AFTER)
    }

    fn looking(&self, now: Time) -> impl Iterator<Item = &Viewer> {
        self.by_name.values().filter(move |it| looks(it.at, now))
    }

    fn is_crowded(&self, now: Time) -> bool {
        self.crowded.is_some_and(|at| looks(at, now))
    }

    /// Whether everybody who looks sees that it is too wide.
    pub(crate) fn all_see_wide(&self, id: &Arc<str>, now: Time) -> bool {
        let wide = ["overflow_x", "content_overflow_x"].map(|code| (code, Some(id.clone())));
        let sees = |it: &Viewer| wide.iter().any(|sight| it.sights.contains_key(sight));
        !self.is_crowded(now) && self.looking(now).all(sees)
    }

    /// What anybody who looks is at, and what that lies in; `None` if it may be anything.
    pub(crate) fn held<'a>(&self, view: &View<'a>) -> Option<HashSet<&'a str>> {
        let now = view.input.now;
        if self.is_crowded(now) || self.looking(now).any(|it| it.held.everything) {
            return None;
        }
        let surface = view.input.surface;
        let ids = self.looking(now).flat_map(|it| &it.held.ids);
        let there = ids.filter_map(|id| surface.components.get(id)).map(|it| &*it.id);
        Some(view.tree.above(there))
    }

    /// Forgets everybody, to make room for other surfaces.
    pub(crate) fn forget(&mut self) {
        self.crowded = self.by_name.values().map(|it| it.at).max().or(self.crowded);
        self.by_name.clear();
    }

    /// About how many bytes all of it takes.
    pub(crate) fn bytes(&self) -> usize {
        let one = |(name, it): (&String, &Viewer)| {
            128 + name.len() + 64 * it.sights.len() + 32 * it.held.ids.len()
        };
        self.by_name.iter().map(one).sum()
    }
}
