//! Which facts answer a query, and in which order.
//!
//! `rel = 0.5 * coverage + 0.3 * bm25 / max bm25 + 0.2 * reached / max reached`, over the facts that the
//! caller sees. What follows from it is computed from `rel` rounded to 1e-6, and the order is total, so
//! that the same facts and the same query give the same answer, whatever way the facts came in. What [`near`]
//! adds where an encoder says what facts mean is nothing without one.

#[cfg(test)]
mod fts5_tests;
mod lexical;
mod near;
#[cfg(test)]
mod near_tests;
#[cfg(test)]
mod quality_tests;
#[cfg(test)]
mod tests;
mod utility;
mod view;
mod walk;

use std::{cmp::Ordering, sync::Arc};

use crate::{
    fact::Fact,
    graph::{Doc, HubKind, Meaning, Snapshot},
    terms::{Asked, subject_key},
};
use lexical::Lexical;
use near::Near;
pub use utility::Utility;
use view::View;
use walk::{Effort, Reached, walk};

/// Millionths of `rel` that a fact must exceed to be let in.
const LEAST: u32 = 20_000;
/// Scores count in millionths.
const MILLION: f64 = 1e6;
/// Words of the longest subject that is looked for in a query.
const SUBJECT_WORDS: usize = 8;

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
    /// The walk, of the most that reaches a fact. With 0 there is none, and a fact without a term of the
    /// query is not found.
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
        let mut seeds = lexical.known.clone();
        seeds.extend(subjects(&view, &asked, ask.text));
        let near = Near::of(&view, ask.meaning);
        if (seeds.is_empty() && near.nearest.is_empty()) || view.count == 0 {
            return Ranking { graph: self, places: Vec::new() };
        }
        let mut reached = match weights.reached > 0.0 {
            true => walk(&view, &seeds, &near.seeds(&seeds), Effort::QUERY),
            false => Reached::none(&view),
        };
        if !ask.turns {
            self.turn_docs().for_each(|turn| reached.share[turn as usize] = 0);
        }
        let most_bm25 =
            lexical.found.iter().map(|doc| lexical.bm25[*doc as usize]).fold(0.0, f64::max);
        let most_reached = reached.docs.iter().map(|doc| reached.share[*doc as usize]).max();
        let most_reached = most_reached.unwrap_or_default().max(1) as f64;
        let mut places = Vec::new();
        let is_more = |doc: &&u32| lexical.coverage[**doc as usize] == 0.0;
        let meant = near.nearest.iter().filter(is_more);
        let more = reached.docs.iter().filter(is_more).filter(|doc| !near.is_nearest(**doc));
        for doc in lexical.found.iter().chain(meant).chain(more).copied() {
            let at = doc as usize;
            let bm25 = if most_bm25 > 0.0 { lexical.bm25[at] / most_bm25 } else { 0.0 };
            let share = reached.share[at] as f64 / most_reached;
            let rel = weights.coverage * lexical.coverage[at]
                + weights.bm25 * bm25
                + weights.reached * share;
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

/// The subjects that stand in a query, word for word, with their idf. Stop words alone are none where
/// they do not count.
fn subjects(view: &View<'_>, asked: &Asked, text: &str) -> Vec<(u32, f64)> {
    let hubs = &view.graph.hubs;
    let mut found = Vec::new();
    let mut look = |key: &str| {
        let Some(number) = hubs.find(HubKind::Subject, key) else { return };
        let holders = view.holders(number);
        if holders > 0 && !found.iter().any(|it: &(u32, f64)| it.0 == number) {
            found.push((number, view.idf(holders)));
        }
    };
    if asked.words.is_empty() {
        look(&subject_key(text));
    }
    for start in 0..asked.words.len() {
        let (mut key, mut counts) = (String::new(), false);
        for (word, word_counts) in asked.words[start..].iter().take(SUBJECT_WORDS) {
            if !key.is_empty() {
                key.push(' ');
            }
            key.push_str(word);
            counts |= word_counts;
            if counts {
                look(&key);
            }
        }
    }
    found
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
