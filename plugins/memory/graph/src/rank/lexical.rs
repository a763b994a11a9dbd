//! How well the words of facts fit those of a query: coverage and BM25.
//!
//! BM25 as in S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"
//! (2009), over subject, body and tags as one text in which the subject stands twice. The graph's own
//! postings give it exactly, for the facts of one caller alone and for a snapshot; a full-text index
//! beside the graph could do neither. A test holds it against the `bm25()` of SQLite's FTS5.

use super::{Weights, millionths, view::View};
use crate::{
    graph::{HubKind, List, Posting},
    terms::Asked,
};

/// How fast more of a term stops counting more.
const K1: f64 = 1.2;
/// How much the length of a fact counts.
const B: f64 = 0.75;

/// What the words say of each fact, by its number.
pub(super) struct Lexical {
    /// The share of the query's terms that a fact holds, each weighted by its idf; 0 to 1.
    pub(super) coverage: Vec<f64>,
    /// BM25.
    pub(super) bm25: Vec<f64>,
    /// Which terms a fact holds: a bit for each of the first 64 of [`Self::terms`].
    pub(super) held: Vec<u64>,
    /// The facts that hold a term of the query, none twice.
    pub(super) found: Vec<u32>,
    /// As `found`, the turns where they are not ranked.
    pub(super) said: Vec<u32>,
    /// The query's terms that some fact or turn holds, in the order of their letters, each with its
    /// share of all.
    terms: Vec<(u32, f64)>,
    /// The most BM25 that a fact has.
    most_bm25: f64,
}

/// A term's part of BM25, without its idf.
pub(super) fn saturation(posting: Posting, average: f64) -> f64 {
    let count = f64::from(posting.count);
    let length = f64::from(posting.length) / average;
    count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length))
}

impl Lexical {
    pub(super) fn of(view: &View<'_>, asked: &Asked) -> Self {
        let numbers = view.graph.docs.numbers();
        let mut sums = Self {
            coverage: vec![0.0; numbers],
            bm25: vec![0.0; numbers],
            held: vec![0; numbers],
            found: Vec::new(),
            said: Vec::new(),
            terms: Vec::new(),
            most_bm25: 0.0,
        };
        let mut asked_for = 0.0;
        // In the order of their letters: sums of fractions depend on the order.
        for term in asked.terms.keys() {
            asked_for += sums.add(view, term);
        }
        for doc in sums.found.iter().chain(&sums.said) {
            sums.coverage[*doc as usize] /= asked_for;
        }
        sums.terms.iter_mut().for_each(|it| it.1 /= asked_for);
        let bm25 = sums.found.iter().map(|doc| sums.bm25[*doc as usize]);
        sums.most_bm25 = bm25.fold(0.0, f64::max);
        sums
    }

    /// Adds what a term counts for, and returns its idf.
    fn add(&mut self, view: &View<'_>, term: &str) -> f64 {
        let known = view.graph.hubs.find(HubKind::Term, term);
        let hub = known.and_then(|hub| view.graph.hubs.get(hub).map(|it| (hub, it)));
        let Some((number, hub)) = hub else { return view.idf(0) };
        let idf = view.idf(view.holders(number));
        if view.edges(number) == 0 {
            return idf;
        }
        let bit = 1u64.checked_shl(self.terms.len() as u32).unwrap_or(0);
        self.terms.push((number, idf));
        for part in &view.conducts {
            let met = if view.parts.contains(part) { &mut self.found } else { &mut self.said };
            for posting in hub.list(*part).into_iter().flat_map(List::pieces).flatten() {
                let doc = posting.doc as usize;
                // Nothing that was met has a coverage of zero: idf is above it.
                if self.coverage[doc] == 0.0 {
                    met.push(posting.doc);
                }
                self.coverage[doc] += idf;
                self.bm25[doc] += idf * saturation(*posting, view.average);
                self.held[doc] |= bit;
            }
        }
        idf
    }

    /// BM25 of the most that a fact has; 0 to 1.
    pub(super) fn relative_bm25(&self, doc: u32) -> f64 {
        match self.most_bm25 > 0.0 {
            true => (self.bm25[doc as usize] / self.most_bm25).min(1.0),
            false => 0.0,
        }
    }

    /// How well the words of a fact or a turn fit, in millionths.
    pub(super) fn fit(&self, doc: u32) -> u32 {
        let weights = Weights::default();
        let coverage = weights.coverage * self.coverage[doc as usize];
        millionths(coverage + weights.bm25 * self.relative_bm25(doc))
    }

    /// The share of the query's terms that some fact or turn holds at all.
    pub(super) fn known(&self) -> f64 {
        self.terms.iter().map(|it| it.1).sum()
    }

    /// The most that one fact holds.
    pub(super) fn best(&self) -> f64 {
        self.found.iter().map(|doc| self.coverage[*doc as usize]).fold(0.0, f64::max)
    }

    /// The share of the query's terms that these are.
    pub(super) fn share(&self, held: u64) -> f64 {
        let terms = self.terms.iter().take(64).enumerate();
        terms.filter(|(at, _)| held >> at & 1 == 1).map(|(_, it)| it.1).sum()
    }

    /// Whether a term is one of the query's.
    pub(super) fn asks(&self, term: u32) -> bool {
        self.terms.iter().any(|it| it.0 == term)
    }
}
