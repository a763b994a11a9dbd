//! The ranking by what facts mean, with directions that are made up.

use proptest::{collection::vec, prelude::*};

use crate::{
    Ask, Fact, Graph, Hit, Limits, Line, Meaning, Weights, Which,
    rank::LEAST,
    samples::{any_facts, ask, fact, graph, words},
};

const WIDTH: usize = 24;

fn meaning(seed: u64) -> Meaning {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let number = |_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    Meaning::of(&(0..WIDTH).map(number).collect::<Vec<_>>()).unwrap()
}

/// A direction that only depends on what a fact says.
fn of(fact: &Fact) -> Meaning {
    let sum = |text: &str| text.bytes().fold(7u64, |sum, byte| sum * 31 % 9973 + u64::from(byte));
    meaning(sum(&fact.subject) * 10_007 + sum(&fact.body))
}

fn understand(graph: &mut Graph) {
    for (at, fact) in graph.snapshot().without_meaning(usize::MAX) {
        graph.understand(at, &fact, &of(&fact));
    }
}

fn ids(graph: &Graph, ask: &Ask<'_>) -> Vec<String> {
    graph.snapshot().rank(ask, 200, |_| true).iter().map(|it| it.fact.fact_id.to_string()).collect()
}

#[test]
fn what_means_the_same_is_found_without_a_common_word() {
    let mut graph = graph([fact("a", "car", "has four wheels"), fact("b", "cat", "has four paws")]);
    let axis = |at: usize| {
        let mut vector = [0.0; 3];
        vector[at] = 2.0;
        Meaning::of(&vector).unwrap()
    };
    let asked = axis(0);
    let meant = Ask { meaning: Some(&asked), ..ask("automobile") };
    assert!(ids(&graph, &meant).is_empty(), "nobody knows yet what the facts mean");
    for (at, fact) in graph.snapshot().without_meaning(9) {
        graph.understand(at, &fact, &axis(usize::from(&*fact.fact_id == "b")));
    }
    assert_eq!(ids(&graph, &meant)[0], "a");
    assert!(ids(&graph, &ask("automobile")).is_empty(), "by words it is not found");
    // A fact that says something else means something else.
    graph.apply(Line::Add(fact("a", "car", "was sold").into()));
    assert_eq!(graph.snapshot().without_meaning(9)[0].1.body, "was sold");
    assert!(ids(&graph, &meant).is_empty());
}

#[test]
fn a_direction_that_is_late_is_not_kept() {
    let mut graph = graph([fact("a", "car", "red")]);
    let (at, old) = graph.snapshot().without_meaning(1)[0].clone();
    graph.apply(Line::Add(fact("a", "car", "blue").into()));
    graph.understand(at, &old, &meaning(1));
    assert_eq!(graph.snapshot().understood(), 0);
    graph.apply(Line::Del(Which::new("a".into(), None)));
    graph.understand(at, &old, &meaning(1));
    assert_eq!((graph.snapshot().understood(), graph.bytes()), (0, 0));
}

#[test]
fn directions_count_as_memory_and_stop_at_its_limit() {
    let mut large = graph((0..200).map(|at| fact(&format!("f{at}"), "s", &format!("b{at}"))));
    let bare = large.bytes();
    understand(&mut large);
    assert!(large.bytes() >= bare + 200 * WIDTH && large.snapshot().understood() == 200);
    let lines: Vec<Line> = large.snapshot().lines().collect();
    let mut full = Graph::replay(Limits { bytes: bare, ..Limits::DISK }, lines);
    understand(&mut full);
    assert_eq!((full.snapshot().understood(), full.bytes()), (0, bare));
}

#[test]
fn vectors_without_a_direction_are_none() {
    for vector in [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY], &vec![1.0; 70_000]] {
        assert_eq!(Meaning::of(vector), None);
    }
    assert_eq!(meaning(1).cosine(&Meaning::of(&[1.0]).unwrap()), 0.0, "of two encoders");
}

proptest! {
    #[test]
    fn eight_bits_are_near_the_cosine(
        a in vec(-1.0..1.0f32, 384), b in vec(-1.0..1.0f32, 384), scale in 0.001..1000.0f32,
    ) {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let exact = dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt();
        let larger: Vec<f32> = a.iter().map(|it| it * scale).collect();
        let (a, b) = (Meaning::of(&larger).unwrap(), Meaning::of(&b).unwrap());
        prop_assert!((f64::from(a.cosine(&b)) - exact).abs() < 0.005);
        prop_assert!((a.cosine(&a) - 1.0).abs() < 1e-6);
    }

    /// The order in which facts came changes nothing, no tenant's facts show in another's answers, and what
    /// holds every term comes before what holds none.
    #[test]
    fn the_promises_of_the_ranking_hold(facts in any_facts(40), text in words(3), seed in 0..500u64) {
        let asked = meaning(seed);
        let mut one = graph(facts.clone());
        understand(&mut one);
        let mut other = graph(facts.iter().rev().cloned());
        understand(&mut other);
        for tenant in [None, Some("red")] {
            let ask = Ask { tenant, meaning: Some(&asked), ..ask(&text) };
            let hits = one.snapshot().rank(&ask, 200, |_| true);
            prop_assert_eq!(&hits, &other.snapshot().rank(&ask, 200, |_| true));
            let is_own = |it: &&Fact| it.tenant_id.is_none() || it.tenant_id.as_deref() == tenant;
            let mut own = graph(facts.iter().filter(is_own).cloned());
            understand(&mut own);
            prop_assert_eq!(&hits, &own.snapshot().rank(&ask, 200, |_| true));
            let words = Weights { reached: 0.0, ..Weights::default() };
            let plain = one.snapshot().rank_by(words, &Ask { meaning: None, ..ask }, 200);
            let by_words = |hit: &Hit| {
                let same = |it: &&Hit| it.fact == hit.fact;
                plain.iter().find(same).map_or(0.0, |it| it.rel)
            };
            let rels: Vec<f64> = hits.iter().map(by_words).collect();
            let last_full = rels.iter().rposition(|rel| *rel >= 0.5).unwrap_or_default();
            prop_assert!(rels[..last_full].iter().all(|rel| *rel > 0.0), "{:?}", rels);
            prop_assert!(hits.iter().all(|hit| hit.rel * 1e6 > f64::from(LEAST) && hit.rel <= 1.0));
        }
    }

    /// Facts without directions are ranked as ever, whatever the query means.
    #[test]
    fn without_directions_nothing_changes(facts in any_facts(30), text in words(3)) {
        let (asked, graph) = (meaning(3), graph(facts));
        let plain = graph.snapshot().rank(&ask(&text), 100, |_| true);
        let meant = Ask { meaning: Some(&asked), ..ask(&text) };
        prop_assert_eq!(plain, graph.snapshot().rank(&meant, 100, |_| true));
    }
}
