//! Tests of the ranking: against a plain reference, its rules, and what no order of arrival may change.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    lexical::Lexical,
    reference::{Reference, bag, doc},
    view::View,
    *,
};
use crate::{
    Graph, Limits, Line,
    samples::{TENANTS, any_facts, any_turn, ask, fact, graph, snapshot, time, turn, words},
    terms::subject_key,
};

fn ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.fact.fact_id.to_string()).collect()
}

fn find(graph: &Snapshot, text: &str) -> Vec<String> {
    ids(&graph.rank(&ask(text), 100, |_| true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn words_count_as_the_formulas_say(facts in any_facts(25), query in words(4), who in 0..3usize) {
        let graph = snapshot(facts.clone());
        let view = View::new(&graph, TENANTS[who], false);
        let lexical = Lexical::of(&view, &Asked::of(&query));
        let reference = Reference::new(&facts, TENANTS[who]);
        for (fact, (coverage, bm25)) in reference.facts.iter().zip(reference.lexical(&query)) {
            let at = doc(&graph, fact);
            prop_assert!((lexical.coverage[at] - coverage).abs() < 1e-9);
            prop_assert!((lexical.bm25[at] - bm25).abs() < 1e-9, "{} {}", lexical.bm25[at], bm25);
        }
    }

    #[test]
    fn the_same_facts_give_the_same_answer(
        facts in any_facts(30), shuffled in any::<u64>(), query in words(4), weight in 0..3u32,
        others in any_facts(10),
    ) {
        let utility = Utility { utility_weight: f64::from(weight) * 0.4, utility_exploration: 1.0 };
        let one = snapshot(facts.clone());
        // Another way to the same facts: in another order, over facts that went again.
        let mut sorted = facts.clone();
        sorted.sort_by_key(|fact| {
            use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
            BuildHasherDefault::<DefaultHasher>::default().hash_one((shuffled, &fact.fact_id, &fact.tenant_id))
        });
        let mut other = graph(others.clone());
        sorted.into_iter().for_each(|fact| other.apply(Line::Add(fact.into())));
        for gone in others {
            let is_kept = facts.iter().any(|it| it.fact_id == gone.fact_id && it.tenant_id == gone.tenant_id);
            if !is_kept {
                let which = crate::Which::new(gone.fact_id.clone(), gone.tenant_id.as_deref());
                other.apply(Line::Del(which));
            }
        }
        let other = other.snapshot();
        for tenant in TENANTS {
            let ask = Ask { tenant, utility, ..ask(&query) };
            let hits = one.rank(&ask, 100, |_| true);
            prop_assert_eq!(&hits, &other.rank(&ask, 100, |_| true));
            // A shorter answer is the beginning of a longer one.
            prop_assert_eq!(&hits[..hits.len().min(3)], &one.rank(&ask, 3, |_| true)[..]);
        }
    }

    #[test]
    fn the_order_is_total_and_nothing_weak_is_in(
        facts in any_facts(30), query in words(4), turns in any::<bool>(), said in any_turn(),
    ) {
        let mut graph = graph(facts);
        graph.apply(Line::Turn(said));
        let ask = Ask { turns, ..ask(&query) };
        let hits = graph.snapshot().rank(&ask, 1000, |_| true);
        let names: BTreeSet<_> = hits.iter().map(|it| (&it.fact.kind, &it.fact.fact_id)).collect();
        prop_assert_eq!(names.len(), hits.len(), "none is in twice");
        for hit in &hits {
            prop_assert!(hit.rel > 0.02 && hit.rel <= 1.0, "{}", hit.rel);
            prop_assert!(turns || hit.fact.kind != "conversation");
        }
        for pair in hits.windows(2) {
            let key = |hit: &Hit| (hit.score, Utility::default().of(&hit.fact), hit.fact.updated_at);
            let (first, second) = (key(&pair[0]), key(&pair[1]));
            let by_id = pair[0].fact.fact_id <= pair[1].fact.fact_id;
            prop_assert!(first > second || (first == second && by_id));
        }
    }

    #[test]
    fn all_words_beat_none(facts in any_facts(40), query in words(3)) {
        let graph = snapshot(facts);
        let asked: Vec<_> = Asked::of(&query).terms.into_keys().collect();
        let hits = graph.rank(&ask(&query), 1000, |_| true);
        let holds = |hit: &Hit| {
            let bag = bag(&hit.fact);
            asked.iter().filter(|term| bag.contains_key(*term)).count()
        };
        let last_full = hits.iter().rposition(|it| holds(it) == asked.len()).unwrap_or(0);
        let first_empty = hits.iter().position(|it| holds(it) == 0).unwrap_or(hits.len());
        prop_assert!(last_full <= first_empty);
        prop_assert!(hits.iter().filter(|it| holds(it) == 0).all(|it| it.rel <= 0.2));
        prop_assert!(hits.iter().filter(|it| holds(it) == asked.len()).all(|it| it.rel >= 0.5));
    }

    #[test]
    fn what_is_not_connected_is_not_found(facts in any_facts(12), query in words(2)) {
        let facts: Vec<Fact> = facts.into_iter().filter(|it| it.tenant_id.is_none()).collect();
        let hits = snapshot(facts.clone()).rank(&ask(&query), 1000, |_| true);
        let shared = |fact: &Fact| -> BTreeSet<String> {
            let mut shared: BTreeSet<String> = bag(fact).into_keys().collect();
            shared.insert(format!("s {}", subject_key(&fact.subject)));
            shared.extend(fact.tags.iter().map(|tag| format!("t {}", subject_key(tag))));
            shared
        };
        let mut reach: BTreeSet<String> = Asked::of(&query).terms.into_keys().collect();
        for _ in 0..facts.len() {
            for fact in &facts {
                let shared = shared(fact);
                if !shared.is_disjoint(&reach) {
                    reach.extend(shared);
                }
            }
        }
        for hit in hits {
            prop_assert!(!shared(&hit.fact).is_disjoint(&reach));
        }
    }

    /// Nothing that another tenant keeps changes an answer, a score or a count.
    #[test]
    fn tenants_never_leak(facts in any_facts(40), query in words(4)) {
        let all = snapshot(facts.clone());
        for tenant in TENANTS {
            let is_visible = |it: &&Fact| it.tenant_id.is_none() || it.tenant_id.as_deref() == tenant;
            let own = snapshot(facts.iter().filter(is_visible).cloned());
            let ask = Ask { tenant, ..ask(&query) };
            prop_assert_eq!(all.rank(&ask, 1000, |_| true), own.rank(&ask, 1000, |_| true));
            prop_assert_eq!(all.fact_count(tenant), own.facts_in_all());
            prop_assert_eq!(all.bank(tenant), own.bank(tenant));
        }
    }
}

#[test]
fn nothing_known_finds_nothing() {
    let graph = snapshot([fact("a", "mount everest", "8849 m"), fact("b", "🚀", "to orbit")]);
    for query in ["", "  ", "?!", "zebra", "\0", "\" OR NEAR(*", "🦀"] {
        assert_eq!(find(&graph, query), [""; 0], "{query}");
    }
    assert_eq!(find(&graph, "how tall is mount everest"), ["a"]);
    assert_eq!(find(&graph, "🚀"), ["b"], "a subject without a word is one, too");
    assert_eq!(find(&Graph::new(Limits::DISK).snapshot(), "everest"), [""; 0]);
}

#[test]
fn the_walk_finds_what_shares_no_word_with_the_query() {
    let facts = [
        fact("a", "billing service", "owned by team falcon"),
        fact("b", "falcon", "led by ana"),
        fact("c", "cafeteria", "closes at noon"),
    ];
    assert_eq!(find(&snapshot(facts), "who runs billing"), ["a", "b"]);
}

#[test]
fn turns_lead_to_facts_and_are_found_when_asked_for() {
    let mut graph = graph([fact("a", "zebra", "striped"), fact("b", "other", "thing")]);
    assert_eq!(find(&graph.snapshot(), "giraffe"), [""; 0]);
    graph.apply(Line::Turn(turn("k", 0, "the giraffe met a zebra")));
    assert_eq!(find(&graph.snapshot(), "giraffe"), ["a"]);
    let hits = graph.snapshot().rank(&Ask { turns: true, ..ask("giraffe") }, 9, |_| true);
    assert_eq!(ids(&hits), ["k", "a"]);
}

#[test]
fn usefulness_counts_as_much_as_it_is_told_to() {
    let useful = Fact { wins: 9, ..fact("b", "cache", "flush it") };
    let facts = [fact("a", "cache", "cache flush"), useful, fact("c", "x", "y")];
    let graph = snapshot(facts);
    let ranked = |weight| {
        let utility = Utility { utility_weight: weight, utility_exploration: 0.0 };
        ids(&graph.rank(&Ask { utility, ..ask("cache") }, 9, |_| true))
    };
    assert_eq!(
        (ranked(0.0), ranked(0.9)),
        (vec!["a".into(), "b".into()], vec!["b".into(), "a".into()])
    );
}

#[test]
fn ties_are_broken_by_usefulness_then_time_then_id() {
    let same = |id| fact(id, "cache", "flush");
    let facts = [
        same("c"),
        Fact { updated_at: time(1), ..same("d") },
        same("b"),
        Fact { wins: 1, losses: 1, ..same("z") },
    ];
    // One win and one loss leave less to explore than nothing does.
    assert_eq!(find(&snapshot(facts), "cache"), ["d", "b", "c", "z"]);
}

#[test]
fn utility_is_brought_within_its_bounds() {
    let with = |weight, exploration| {
        let it = Utility::default().with(weight, exploration);
        (it.utility_weight, it.utility_exploration)
    };
    assert_eq!(with(None, None), (0.0, 1.0));
    assert_eq!(with(Some(2.0), Some(-1.0)), (1.0, 0.0));
    assert_eq!(with(Some(f64::NAN), Some(f64::INFINITY)), (0.0, 0.0));
    assert_eq!(with(Some(0.5), Some(9.0)), (0.5, 4.0));
    let even = fact("a", "s", "b");
    let of =
        |exploration| Utility { utility_weight: 0.0, utility_exploration: exploration }.of(&even);
    assert!((of(1.0) - (0.5 + (1.0f64 / 12.0).sqrt())).abs() < 1e-12);
    assert!((of(4.0) - 1.0).abs() < 1e-12 && (of(0.0) - 0.5).abs() < 1e-12);
}

proptest! {
    #[test]
    fn without_the_walk_only_words_count(facts in any_facts(12), query in words(4)) {
        let graph = snapshot(facts);
        let lexical = Weights { reached: 0.0, ..Weights::default() };
        let hits = graph.rank_by(lexical, &ask(&query), 100);
        let asked: BTreeSet<String> = Asked::of(&query).terms.into_keys().collect();
        for hit in &hits {
            prop_assert!(bag(&hit.fact).keys().any(|term| asked.contains(term)), "{:?}", hit);
            prop_assert!(hit.rel <= 0.8, "{}", hit.rel);
        }
        let all = graph.rank(&ask(&query), 100, |_| true);
        let found = ids(&all);
        prop_assert!(ids(&hits).iter().all(|id| found.contains(id)));
        prop_assert_eq!(graph.rank_by(Weights::default(), &ask(&query), 100), all);
    }
}
