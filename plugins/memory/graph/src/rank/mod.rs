//! Which facts answer a query, and in which order.
//!
//! `rel = 0.5 * coverage + 0.3 * bm25 / max bm25 + 0.2 * reached`, over the facts that the caller sees;
//! `reached` is what the walk brings, 0 to 1. What follows from it is computed from `rel` rounded to 1e-6,
//! and the order is total, so that the same facts and the same query give the same answer, whatever way the
//! facts came in. What [`near`] adds where an encoder says what facts mean is nothing without one.

#[cfg(test)]
mod fts5_tests;
mod lexical;
mod names;
mod near;
#[cfg(test)]
mod near_tests;
#[cfg(test)]
mod quality_tests;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
mod utility;
mod view;
mod walk;
#[cfg(test)]
mod walk_tests;

use std::{cmp::Ordering, sync::Arc};

use crate::{
    fact::Fact,
    graph::{Doc, Meaning, Snapshot},
    terms::Asked,
};
use lexical::Lexical;
use names::named;
use near::Near;
pub use utility::Utility;
use view::View;
use walk::{Reached, walk};

/// Millionths of `rel` that a fact must exceed to be let in.
const LEAST: u32 = 20_000;
/// Scores count in millionths.
const MILLION: f64 = 1e6;

/// What is asked of a graph.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// In any language; empty finds nothing.
    pub text: &'a str,
    /// Whose facts are seen, beside everybody's.
    pub tenant: Option<&'a str>,
    /// Whether turns of conversations are ranked, as facts of kind `conversation`.
    pub turns: bool,
    /// How much usefulness counts.
    pub utility: Utility,
    /// What the text means, if an encoder says it.
    pub meaning: Option<&'a Meaning>,
}

/// How much each part counts in `rel`. The default is what queries go by; others show what a part is
/// worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// The share of the query's terms that a fact holds.
    pub coverage: f64,
    /// BM25, of the most that a fact has.
    pub bm25: f64,
    /// The walk. With 0 there is none, and a fact without a term of the query is not found.
    pub reached: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { coverage: 0.5, bm25: 0.3, reached: 0.2 }
    }
}

/// A fact that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The fact; it may have changed since.
    pub fact: Arc<Fact>,
    /// How well it answers, 0.02 to 1.
    pub rel: f64,
    /// What it was ranked by: `rel`, and usefulness if that counts. 0 to 1.
    pub score: f64,
}

/// Every fact that a query lets in, not in order yet.
pub(crate) struct Ranking<'a> {
    graph: &'a Snapshot,
    places: Vec<Place>,
}

/// What the place of a fact depends on.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    doc: u32,
    /// Millionths.
    rel: u32,
    score: u32,
    utility: f64,
    updated: i64,
}

impl Snapshot {
    /// The facts that answer best, at most `limit` of those that are wanted, the best first. Nothing
    /// changes. What is not wanted counts among the facts that are seen all the same.
    pub fn rank(&self, ask: &Ask<'_>, limit: usize, wanted: impl Fn(&Fact) -> bool) -> Vec<Hit> {
        self.ranking(ask).take(limit, wanted)
    }

    /// As [`Self::rank`], for every fact that is seen and with other weights.
    pub fn rank_by(&self, weights: Weights, ask: &Ask<'_>, limit: usize) -> Vec<Hit> {
        self.ranking_by(weights, ask).take(limit, |_| true)
    }

    pub(crate) fn ranking(&self, ask: &Ask<'_>) -> Ranking<'_> {
        self.ranking_by(Weights::default(), ask)
    }

    fn ranking_by(&self, weights: Weights, ask: &Ask<'_>) -> Ranking<'_> {
        let view = View::new(self, ask.tenant, ask.turns);
        let asked = Asked::of(ask.text);
        let lexical = Lexical::of(&view, &asked);
        let subjects = named(&view, ask.text);
        let near = Near::of(&view, ask.meaning);
        let mut reached = match weights.reached > 0.0 {
            true => walk(&view, &lexical, &subjects, &near.seeds()),
            false => Reached::none(&view),
        };
        if !ask.turns {
            self.turn_docs().for_each(|turn| reached.share[turn as usize] = 0.0);
        }
        let mut places = Vec::new();
        let is_more = |doc: &&u32| lexical.coverage[**doc as usize] == 0.0;
        let meant = near.nearest.iter().filter(is_more);
        let more = reached.docs.iter().filter(is_more).filter(|doc| !near.is_nearest(**doc));
        for doc in lexical.found.iter().chain(meant).chain(more).copied() {
            let at = doc as usize;
            let rel = weights.coverage * lexical.coverage[at]
                + weights.bm25 * lexical.relative_bm25(doc)
                + weights.reached * reached.share[at];
            let rel = millionths(near.rel(at, rel));
            if rel > LEAST
                && let Some(held) = self.docs.get(doc)
            {
                places.push(Place::of(doc, held, rel, ask.utility));
            }
        }
        Ranking { graph: self, places }
    }
}

fn millionths(share: f64) -> u32 {
    (share * MILLION).round() as u32
}

impl Place {
    fn of(doc: u32, held: &Doc, rel: u32, utility: Utility) -> Self {
        let (weight, useful) = (utility.utility_weight, utility.of(&held.fact));
        let score = match weight > 0.0 {
            true => millionths((1.0 - weight) * (f64::from(rel) / MILLION) + weight * useful),
            false => rel,
        };
        let updated = held.fact.updated_at.timestamp_millis();
        Self { doc, rel, score, utility: useful, updated }
    }
}

impl Ranking<'_> {
    /// The first `limit` of those that are wanted, in order.
    pub(crate) fn take(&self, limit: usize, wanted: impl Fn(&Fact) -> bool) -> Vec<Hit> {
        self.take_by(limit, wanted, |_, place| place.score)
    }

    /// As [`Self::take`], by another score in millionths.
    pub(crate) fn take_by(
        &self,
        limit: usize,
        wanted: impl Fn(&Fact) -> bool,
        score: impl Fn(&Fact, &Place) -> u32,
    ) -> Vec<Hit> {
        let scored = |place: &Place| {
            let fact = &self.graph.docs.get(place.doc)?.fact;
            wanted(fact).then(|| Place { score: score(fact, place), ..*place })
        };
        let mut places: Vec<Place> = self.places.iter().filter_map(scored).collect();
        if limit == 0 {
            return Vec::new();
        }
        if places.len() > limit {
            places.select_nth_unstable_by(limit - 1, |a, b| self.order(a, b));
            places.truncate(limit);
        }
        places.sort_unstable_by(|a, b| self.order(a, b));
        places.iter().filter_map(|place| self.hit(place)).collect()
    }

    /// Total: of facts that are equal in all of these, ids or tenants differ.
    fn order(&self, a: &Place, b: &Place) -> Ordering {
        let named = |place: &Place| {
            let fact = &self.graph.docs.get(place.doc)?.fact;
            Some((&fact.fact_id, &fact.tenant_id, &fact.kind))
        };
        let by_score = b.score.cmp(&a.score).then(b.utility.total_cmp(&a.utility));
        by_score.then(b.updated.cmp(&a.updated)).then_with(|| named(a).cmp(&named(b)))
    }

    fn hit(&self, place: &Place) -> Option<Hit> {
        let fact = self.graph.docs.get(place.doc)?.fact.clone();
        let share = |millionths: u32| f64::from(millionths) / MILLION;
        Some(Hit { fact, rel: share(place.rel), score: share(place.score) })
    }
}

impl Place {
    /// `rel` in millionths.
    pub(crate) fn rel(&self) -> u32 {
        self.rel
    }
}
