//! What facts lead to: a walk from the facts that fit a query best, one step over what they share with others.
//!
//! Activation spreads (A. Collins, E. Loftus, "A Spreading-Activation Theory of Semantic Processing", 1975)
//! from a few facts, not from every fact that holds a word of the query, and over things, not over words: a
//! fact leads to the others of its subject, to the facts about the subjects that its body names, to those
//! with a tag of it, and to those with a term that few facts hold. What arrives is more if the two facts
//! together hold more of the query than any one fact does: then they answer it together and both
//! rise. What one fact answers alone, no pair answers better, so that the words decide.
//!
//! Nothing is kept for this beside the postings: which subjects a body names is looked up as a query
//! needs it, in what its caller sees. So it does not matter which of two facts came first, and no fact
//! of another tenant has a part in it. A fact keeps the most that one path brings, and paths are not added up:
//! neither the order of arrival nor the numbers of facts can change a result. The work is bounded by the
//! constants below.

use std::cmp::Reverse;

use super::{lexical::Lexical, names::named, view::View};
use crate::graph::Doc;

/// Facts that lead to others, at the most.
const SEEDS: usize = 8;
/// A subject or a tag that more facts and turns hold leads nowhere.
const MOST_EDGES: usize = 512;
/// A term that more of them hold leads nowhere.
const RARE: usize = 16;
/// Bytes of a body in which names of subjects are looked for.
const READ: usize = 2048;
/// Names of subjects in a body that lead on, at the most.
const MOST_NAMES: usize = 16;
/// What arrives from a fact that has the best words without any word of the query that is new.
const LEAST: f64 = 0.15;
/// What a shared term counts beside a shared thing.
const TERM: f64 = 0.5;

/// What reaches each fact, by its number; 0 to 1.
pub(super) struct Reached {
    pub(super) share: Vec<f64>,
    /// The facts and turns that are reached, none twice.
    pub(super) docs: Vec<u32>,
}

impl Reached {
    /// Nothing reaches anything.
    pub(super) fn none(view: &View<'_>) -> Self {
        Self { share: vec![0.0; view.graph.docs.numbers()], docs: Vec::new() }
    }

    fn give(&mut self, doc: u32, share: f64) {
        let has = &mut self.share[doc as usize];
        if *has == 0.0 && share > 0.0 {
            self.docs.push(doc);
        }
        *has = has.max(share);
    }
}

/// Walks from the facts that fit best. `subjects` are those that the query names: they have its words
/// already, so that the walk starts at their facts if any fits, and leads to none of them. It starts at
/// the facts `nearest` in meaning, too, each as strong as its cosine.
pub(super) fn walk(
    view: &View<'_>,
    lexical: &Lexical,
    subjects: &[u32],
    nearest: &[(u32, f64)],
) -> Reached {
    let (known, best) = (lexical.known(), lexical.best());
    let (open, reached) = (known - best, Reached::none(view));
    let mut walk = Walk { view, lexical, subjects, best, open, reached };
    if known == 0.0 {
        // A sign or an emoji is a subject without being a term.
        for posting in subjects.iter().flat_map(|subject| view.postings(*subject)) {
            walk.reached.give(posting.doc, 1.0);
        }
    }
    let seeds = walk.seeds();
    let most = seeds.first().map_or(1, |it| it.0);
    for (fit, doc) in seeds {
        walk.spread(doc, f64::from(fit) / f64::from(most));
    }
    nearest.iter().for_each(|(doc, cosine)| walk.spread(*doc, *cosine));
    walk.reached
}

struct Walk<'a> {
    view: &'a View<'a>,
    lexical: &'a Lexical,
    subjects: &'a [u32],
    /// The share of the query's terms that one fact holds at the most.
    best: f64,
    /// The share that facts hold beyond it.
    open: f64,
    reached: Reached,
}

impl Walk<'_> {
    /// The facts and turns that fit best, with how well, the best first. Of facts that fit as well as the
    /// first one that finds no place, none is in: what they have in common says little.
    fn seeds(&self) -> Vec<(u32, u32)> {
        let fit = |doc: u32| (self.lexical.fit(doc), doc);
        let mut seeds: Vec<_> = self
            .subjects
            .iter()
            .flat_map(|subject| self.view.postings(*subject))
            .map(|posting| fit(posting.doc))
            .filter(|it| it.0 > 0)
            .collect();
        if seeds.is_empty() {
            seeds.extend(self.lexical.found.iter().map(|doc| fit(*doc)));
        }
        seeds.extend(self.lexical.said.iter().map(|doc| fit(*doc)));
        if seeds.len() > SEEDS {
            let (_, next, _) = seeds.select_nth_unstable_by_key(SEEDS, |it| Reverse(it.0));
            let too_little = next.0;
            seeds.truncate(SEEDS);
            seeds.retain(|it| it.0 > too_little);
        }
        seeds.sort_unstable_by_key(|it| Reverse(it.0));
        seeds
    }

    /// Gives to all that a fact leads to, and to the fact what it leads to at the best.
    fn spread(&mut self, from: u32, strength: f64) {
        let Some(doc) = self.view.graph.docs.get(from) else { return };
        let held = self.lexical.held[from as usize];
        let mut leads = 0.0f64;
        for (hub, weight) in self.ways(doc) {
            for posting in self.view.postings(hub).filter(|it| it.doc != from) {
                let adds = self.adds(held | self.lexical.held[posting.doc as usize]);
                let together = (1.0 - LEAST) * adds;
                self.reached.give(posting.doc, strength * weight * (LEAST + together));
                leads = leads.max(strength * weight * together);
            }
        }
        self.reached.give(from, leads);
    }

    /// What facts that hold these terms together add to the best that one holds, of what is left; its
    /// fourth root, for one word of many is much already.
    fn adds(&self, terms: u64) -> f64 {
        let more = self.lexical.share(terms) - self.best;
        if more > 1e-9 { (more / self.open).min(1.0).sqrt().sqrt() } else { 0.0 }
    }

    /// The hubs that lead on from a fact, and how well: of the names in its body the first ones best.
    fn ways(&self, doc: &Doc) -> Vec<(u32, f64)> {
        let (things, terms) = doc.links.split_at(doc.untermed.into());
        let mut ways: Vec<_> = things.iter().map(|thing| (*thing, 1.0)).collect();
        let body = &doc.fact.body;
        let names = named(self.view, &body[..body.floor_char_boundary(READ)]);
        let names = names.into_iter().filter(|it| !things.contains(it)).take(MOST_NAMES);
        ways.extend(names.enumerate().map(|(at, name)| (name, 1.0 / (at as f64 + 1.0).sqrt())));
        ways.retain(|(thing, _)| {
            !self.subjects.contains(thing) && self.view.edges(*thing) <= MOST_EDGES
        });
        let is_rare = |term: &u32| self.view.edges(*term) <= RARE && !self.lexical.asks(*term);
        ways.extend(terms.iter().copied().filter(is_rare).map(|term| (term, TERM)));
        ways
    }
}
