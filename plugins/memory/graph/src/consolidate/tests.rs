//! Tests of tidying up: against all pairs, twice in a row, and in any order.

use std::collections::HashSet;

use carport_memory_api::NewFact;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::samples::{any_facts, fact, snapshot, time};

/// Bodies of many words, so that some are nearly the same.
fn near_bodies() -> impl Strategy<Value = Vec<String>> {
    let body = vec(0..12u8, 8..14).prop_map(|words| {
        words
            .iter()
            .enumerate()
            .map(|(at, word)| format!("w{}", at * 2 + usize::from(*word == 0)))
            .collect::<Vec<_>>()
            .join(" ")
    });
    vec(body, 1..20)
}

/// As a reader of the contract would: the newest first, each compared with all that stay.
fn plain(bodies: &[String]) -> Vec<String> {
    let mut left: Vec<(HashSet<String>, String)> = Vec::new();
    for body in bodies {
        let terms = term_set(body);
        let is_like = |other: &HashSet<String>| {
            terms.intersection(other).count() as f64 / terms.union(other).count() as f64 >= 0.9
        };
        if !left.iter().any(|(other, _)| is_like(other)) {
            left.push((terms, body.clone()));
        }
    }
    left.into_iter().map(|it| it.1).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_nearly_the_same_becomes_one(bodies in near_bodies()) {
        let facts = bodies.iter().zip(0..).map(|(body, at)| {
            Fact { updated_at: time(-at), ..fact(&format!("{at:02}"), "s", body) }
        });
        let done = snapshot(facts).consolidate(None, time(0));
        let mut left: Vec<&Arc<Fact>> = done.facts.iter().collect();
        left.sort_by_key(|it| std::cmp::Reverse(it.updated_at));
        let expected = plain(&bodies);
        prop_assert_eq!(left.iter().map(|it| &it.body).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        prop_assert_eq!(done.merged, bodies.len() - expected.len());
    }

    #[test]
    fn twice_changes_nothing_and_the_order_of_arrival_neither(facts in any_facts(40)) {
        let later = time(100 * 86_400);
        let once = snapshot(facts.clone()).consolidate(None, later);
        let again = snapshot(once.facts.iter().map(|it| Fact::clone(it))).consolidate(None, later);
        prop_assert_eq!((again.merged, again.pruned), (0, 0));
        prop_assert_eq!(&again.facts, &once.facts);
        let backwards = snapshot(facts.iter().rev().cloned()).consolidate(None, later);
        prop_assert_eq!(backwards, once);
    }

    #[test]
    fn a_tenant_tidies_up_its_own_alone(facts in any_facts(40)) {
        let graph = snapshot(facts);
        let own = graph.consolidate(Some("red"), time(0));
        let is_own = |it: &&Arc<Fact>| it.tenant_id.as_deref() == Some("red");
        let of_all = graph.consolidate(None, time(0));
        prop_assert_eq!(own.facts.iter().collect::<Vec<_>>(), of_all.facts.iter().filter(is_own).collect::<Vec<_>>());
    }
}

#[test]
fn the_newest_takes_over_what_the_others_had() {
    let tagged = |id: &str, at: i64, tags: &[&str]| {
        let tags = tags.iter().map(|it| (*it).to_owned()).collect();
        let new = NewFact { tags, ..NewFact::new("cache", "Flush it, twice!") };
        let fact = Fact::from_new(new, time(at), || id.into());
        Fact { uses: 1, wins: 2, losses: 3, ..fact }
    };
    let older = Fact { is_constraint: true, confidence: 0.2, ..tagged("old", 1, &["a", "b"]) };
    let newer = Fact { body: "flush it twice".into(), ..tagged("new", 2, &["b", "c"]) };
    let done = snapshot([older, newer, tagged("other", 3, &[])].map(|mut it| {
        it.kind = if &*it.fact_id == "other" { "note".into() } else { it.kind };
        it
    }))
    .consolidate(None, time(9));
    assert_eq!((done.facts.len(), done.merged, done.pruned), (2, 1, 0));
    let left = &done.facts[0];
    assert_eq!(
        (&*left.fact_id, left.body.as_str(), left.confidence),
        ("new", "flush it twice", 1.0)
    );
    assert_eq!((left.tags.join(""), left.is_constraint), ("bca".into(), true));
    assert_eq!((left.uses, left.wins, left.losses), (2, 4, 6));
    assert_eq!((left.created_at, left.updated_at), (time(1), time(2)));
}

#[test]
fn what_nobody_believes_goes_after_ninety_days() {
    let doubtful = |id: &str| Fact { confidence: 0.04, ..fact(id, id, "b") };
    let facts = [
        doubtful("gone"),
        Fact { uses: 1, ..doubtful("used") },
        Fact { is_constraint: true, ..doubtful("rule") },
        Fact { confidence: 0.05, ..doubtful("believed") },
        Fact { updated_at: time(1), ..doubtful("fresh") },
    ];
    let done = snapshot(facts).consolidate(None, time(90 * 86_400));
    let left: Vec<&str> = done.facts.iter().map(|it| &*it.fact_id).collect();
    assert_eq!((left, done.pruned), (vec!["believed", "fresh", "rule", "used"], 1));
}

#[test]
fn many_of_one_subject_are_soon_tidied() {
    let facts = (0..3000).map(|at| {
        fact(&format!("{at:05}"), "s", &format!("number {} of the same kind of text", at % 1500))
    });
    let done = snapshot(facts).consolidate(None, time(0));
    assert_eq!((done.merged, done.facts.len()), (1500, 1500));
    let signs =
        ["!!!", "???", "!!!"].iter().enumerate().map(|(at, body)| fact(&at.to_string(), "s", body));
    assert_eq!(snapshot(signs).consolidate(None, time(0)).facts.len(), 2);
}

#[test]
fn the_newest_tags_stay_of_too_many() {
    let tagged = |id: &str, at: i64, tags: std::ops::Range<u32>| {
        let tags = tags.map(|it| format!("t{it}")).collect();
        Fact::from_new(NewFact { tags, ..NewFact::new("s", "b") }, time(at), || id.into())
    };
    let done = snapshot([tagged("a", 1, 0..20), tagged("b", 3, 20..40), tagged("c", 2, 39..60)])
        .consolidate(None, time(9));
    let [left] = &done.facts[..] else { panic!("{done:?}") };
    let expected: Vec<String> = (20..52).map(|it| format!("t{it}")).collect();
    assert_eq!((&*left.fact_id, &left.tags), ("b", &expected));
}

/// Bodies of 17 words, of which each pair shares many and none is nearly another.
fn tangled(count: usize) -> impl Iterator<Item = Fact> {
    let common = (0..10).map(|word| format!("x{word}")).collect::<Vec<_>>().join(" ");
    let picks = (0..1usize << 20).filter(|at| at.count_ones() == 7).take(count).enumerate();
    picks.map(move |(at, pick)| {
        let words = (0..20).filter(|word| (pick >> word) & 1 == 1);
        let words = words.map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        fact(&format!("{at:06}"), "s", &format!("{common} {words}"))
    })
}

#[test]
fn what_would_take_too_long_to_compare_stays() {
    let near = fact("y", "s", "x0 x1 x2 x3 x4 x5 x6 x7 x8 x9 w0 w1 w2 w3 w4 w5 w6 more");
    let same = fact("z", "s", "w6 w5 w4 w3 w2 w1 w0 x9 x8 x7 x6 x5 x4 x3 x2 x1 x0");
    let facts = || tangled(300).chain([near.clone(), same.clone()]).map(Arc::new).collect();
    let left = |steps: usize| {
        let (left, texts) = merge_same(facts());
        (left.len(), merge_similar(left, &texts, steps).len())
    };
    assert_eq!(left(STEPS), (301, 300), "one is nearly another");
    assert_eq!(left(10), (301, 301), "what is the same is one all the same");
}

/// What takes the most comparisons, as far as it may take them.
#[test]
#[ignore = "takes a graph of many thousand facts"]
fn many_thousand_tangled_facts_end_soon() {
    for facts in [tangled(20_000).collect::<Vec<_>>(), tangled(40_000).collect()] {
        let facts: Vec<Arc<Fact>> = facts.into_iter().map(Arc::new).collect();
        let start = std::time::Instant::now();
        let left = merge(facts.clone());
        eprintln!("{} of {} facts are left: {:?}", left.len(), facts.len(), start.elapsed());
        assert_eq!(left.len(), facts.len());
    }
}
