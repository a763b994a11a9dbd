//! How well the words of facts fit those of a query: coverage and BM25.
//!
//! BM25 as in S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond"
//! (2009), over subject, body and tags as one text in which the subject stands twice. The graph's own
//! postings give it exactly, for the facts of one caller alone and for a snapshot; a full-text index
//! beside the graph could do neither. A test holds it against the `bm25()` of SQLite's FTS5.

use super::view::View;
use crate::{
    graph::{HubKind, Posting},
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
    /// The facts that hold a term of the query, none twice.
    pub(super) found: Vec<u32>,
    /// The query's terms that some fact or turn holds, with their idf.
    pub(super) known: Vec<(u32, f64)>,
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
            found: Vec::new(),
            known: Vec::new(),
        };
        let mut asked_for = 0.0;
        // In the order of their letters: sums of fractions depend on the order.
        for term in asked.terms.keys() {
            asked_for += sums.add(view, term);
        }
        for doc in &sums.found {
            sums.coverage[*doc as usize] /= asked_for;
        }
        sums
    }

    /// Adds what a term counts for, and returns its idf.
    fn add(&mut self, view: &View<'_>, term: &str) -> f64 {
        let known = view.graph.hubs.find(HubKind::Term, term);
        let hub = known.and_then(|hub| view.graph.hubs.get(hub).map(|it| (hub, it)));
        let Some((number, hub)) = hub else { return view.idf(0) };
        let idf = view.idf(view.holders(number));
        if view.edges(number) > 0 {
            self.known.push((number, idf));
        }
        for list in view.parts.iter().filter_map(|part| hub.list(*part)) {
            for posting in list.pieces().flatten() {
                let doc = posting.doc as usize;
                // No fact that was found has a coverage of zero: idf is above it.
                if self.coverage[doc] == 0.0 {
                    self.found.push(posting.doc);
                }
                self.coverage[doc] += idf;
                self.bm25[doc] += idf * saturation(*posting, view.average);
            }
        }
        idf
    }
}
