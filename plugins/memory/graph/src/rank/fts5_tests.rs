//! BM25 held against the `bm25()` of SQLite's FTS5, on the same terms.

use proptest::prelude::*;
use rusqlite::{Connection, params};

use super::{lexical::saturation, view::View, *};
use crate::{
    graph::HubKind,
    samples::{any_facts, snapshot, words},
    terms::terms,
};

/// A term in letters that no tokenizer changes.
fn token(term: &str) -> String {
    term.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn tokens(texts: &[&str]) -> String {
    let mut tokens = Vec::new();
    texts.iter().for_each(|text| terms(text, |term| tokens.push(token(term))));
    tokens.join(" ")
}

/// What FTS5 makes of the facts, each under its number: numbers and scores, the best first.
fn fts5(facts: &[(u32, &Fact)], asked: &[&String]) -> Vec<(u32, f64)> {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE VIRTUAL TABLE facts USING fts5(text, tokenize = 'ascii')").unwrap();
    for (number, fact) in facts {
        let mut texts = vec![fact.subject.as_str(), &fact.subject, &fact.body];
        texts.extend(fact.tags.iter().map(String::as_str));
        db.execute("INSERT INTO facts(rowid, text) VALUES (?, ?)", params![number, tokens(&texts)])
            .unwrap();
    }
    let query = asked.iter().map(|term| token(term)).collect::<Vec<_>>().join(" OR ");
    let mut select = db
        .prepare("SELECT rowid, bm25(facts) FROM facts WHERE facts MATCH ? ORDER BY bm25(facts)")
        .unwrap();
    let rows = select.query_map([query], |row| Ok((row.get(0)?, -row.get::<_, f64>(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sqlite_computes_the_same(facts in any_facts(40), query in words(4)) {
        let graph = snapshot(facts.into_iter().filter(|it| it.tenant_id.is_none()));
        let view = View::new(&graph, None, false);
        let numbered: Vec<(u32, &Fact)> = (0..graph.docs.numbers() as u32)
            .filter_map(|at| Some((at, &*graph.docs.get(at)?.fact)))
            .collect();
        prop_assume!(!numbered.is_empty());
        let asked = Asked::of(&query);

        // All terms together: with the idf of FTS5, which is cut off at a millionth, the sums are equal.
        let sum = |doc: u32| -> f64 {
            let held = asked.terms.keys().filter_map(|term| {
                let hub = graph.hubs.get(graph.hubs.find(HubKind::Term, term)?)?;
                let (all, holders) = (view.count as f64, hub.count(&view.parts) as f64);
                let idf = ((all - holders + 0.5) / (holders + 0.5)).ln();
                let posting = hub.list(0)?.pieces().flatten().find(|it| it.doc == doc)?;
                Some(if idf > 0.0 { idf } else { 1e-6 } * saturation(*posting, view.average))
            });
            held.sum()
        };
        for (doc, score) in fts5(&numbered, &asked.terms.keys().collect::<Vec<_>>()) {
            prop_assert!((score - sum(doc)).abs() < 1e-9, "{} is not {}", sum(doc), score);
        }

        // Each term alone: the idf is a factor, so that the order is the same.
        for term in asked.terms.keys() {
            let lexical = Lexical::of(&view, &Asked::of(&asked.terms[term].1));
            let found = fts5(&numbered, &[term]);
            prop_assert_eq!(found.len(), lexical.found.len());
            for pair in found.windows(2) {
                let ours = |at: usize| lexical.bm25[pair[at].0 as usize];
                prop_assert!(ours(0) - ours(1) > -1e-9, "{:?}", pair);
            }
        }
    }
}
