//! Tests of the walk: against a plain reference, what it leads to and what it leaves alone.

use proptest::prelude::*;

use super::{
    lexical::Lexical,
    names::named,
    reference::{Reference, doc},
    view::View,
    *,
};
use crate::{
    Line, Which,
    samples::{TENANTS, any_facts, ask, fact, graph, snapshot, turn, words},
};

fn found(graph: &Snapshot, text: &str) -> Vec<(String, f64)> {
    let hits = graph.rank(&ask(text), 100, |_| true);
    hits.into_iter().map(|hit| (hit.fact.fact_id.to_string(), hit.rel)).collect()
}

fn ids(graph: &Snapshot, text: &str) -> Vec<String> {
    found(graph, text).into_iter().map(|it| it.0).collect()
}

fn by_words(graph: &Snapshot, text: &str) -> Vec<(String, f64)> {
    let lexical = Weights { reached: 0.0, ..Weights::default() };
    let hits = graph.rank_by(lexical, &ask(text), 100);
    hits.into_iter().map(|hit| (hit.fact.fact_id.to_string(), hit.rel)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn it_brings_what_the_texts_say(facts in any_facts(8), query in words(4), who in 0..3usize) {
        let graph = snapshot(facts.clone());
        let view = View::new(&graph, TENANTS[who], false);
        let lexical = Lexical::of(&view, &Asked::of(&query));
        let reached = walk(&view, &lexical, &named(&view, &query), &[]);
        let reference = Reference::new(&facts, TENANTS[who]);
        for (fact, exact) in reference.facts.iter().zip(reference.reached(&query)) {
            let share = reached.share[doc(&graph, fact)];
            // Strength is in millionths, and roots of almost nothing are steep.
            prop_assert!((share - exact).abs() < 1e-4, "{share} is not {exact}: {fact:?}");
        }
        prop_assert!(reached.share.iter().all(|it| (0.0..=1.0).contains(it)));
    }
}

fn lesotho() -> [Fact; 6] {
    [
        fact("border", "Lesotho", "Border countries: South Africa 1106 km"),
        fact("own", "Lesotho", "Climate: temperate; cool dry winters"),
        fact("own-coins", "Lesotho", "Currency: maloti"),
        fact("far", "South Africa", "Climate: mostly semiarid"),
        fact("far-coins", "South Africa", "Currency: rand"),
        fact("other", "Chad", "Climate: tropical in south"),
    ]
}

#[test]
fn it_leads_to_the_fact_that_answers_what_is_left() {
    let query = "What is the climate of the only country that borders Lesotho?";
    let graph = snapshot(lesotho());
    let (walked, words) = (found(&graph, query), by_words(&graph, query));
    let place = |hits: &[(String, f64)], id: &str| hits.iter().position(|it| it.0 == id);
    assert!(place(&walked, "far") < place(&words, "far"), "{walked:?} {words:?}");
    assert!(place(&walked, "far") < place(&walked, "other"));
    let rel = |hits: &[(String, f64)], id: &str| hits.iter().find(|it| it.0 == id).map(|it| it.1);
    assert!(rel(&walked, "border") > rel(&words, "border"), "what led there rises with it");
    assert!(rel(&walked, "far-coins") < rel(&walked, "far").map(|it| it / 2.0));
    assert_eq!(rel(&walked, "own-coins"), rel(&words, "own-coins"), "no gain for being a sibling");
}

/// A subject that comes later is linked, one that goes is not, and a fact that takes another's place
/// names what it says now.
#[test]
fn names_in_bodies_are_those_of_the_moment() {
    let query = "who runs billing";
    let names = fact("a", "billing", "owned by team falcon");
    let lead = fact("b", "Team Falcon", "led by ana");
    let mut graph = graph([names.clone()]);
    assert_eq!(ids(&graph.snapshot(), query), ["a"]);
    graph.apply(Line::Add(lead.into()));
    assert_eq!(ids(&graph.snapshot(), query), ["a", "b"]);
    graph.apply(Line::Add(Fact { body: "owned by nobody".into(), ..names.clone() }.into()));
    assert_eq!(ids(&graph.snapshot(), query), ["a"]);
    graph.apply(Line::Add(names.into()));
    assert_eq!(ids(&graph.snapshot(), query), ["a", "b"]);
    graph.apply(Line::Del(Which::new("b".into(), None)));
    assert_eq!(ids(&graph.snapshot(), query), ["a"]);
}

#[test]
fn a_text_names_the_longest_subjects_in_whole_words() {
    let subjects = ["south", "South Sudan", "the", "sudan", "it is"];
    let facts = subjects.iter().enumerate().map(|(at, it)| fact(&format!("{at}"), it, "x"));
    let graph = snapshot(facts);
    let view = View::new(&graph, None, false);
    let names = |text: &str| -> Vec<String> {
        let key = |at: u32| view.postings(at).find_map(|it| graph.docs.get(it.doc));
        let names = named(&view, text).into_iter().filter_map(key);
        names.map(|it| it.fact.subject.clone()).collect()
    };
    assert_eq!(names("from the South-Sudan to Sudan and south Sudan"), ["South Sudan", "sudan"]);
    assert_eq!(names("southern Sudans, it is said"), [""; 0]);
    assert_eq!(names("the"), ["the"]);
}

/// Another tenant's longer subject neither leads anywhere nor hides a shorter one.
#[test]
fn nobody_elses_subject_is_named() {
    let facts = [fact("a", "billing", "owned by team falcon"), fact("b", "falcon", "led by ana")];
    let theirs = Fact { tenant_id: Some("red".into()), ..fact("c", "team falcon", "led by bo") };
    let graph = snapshot(facts.into_iter().chain([theirs]));
    assert_eq!(ids(&graph, "who runs billing"), ["a", "b"]);
    let red = graph.rank(&Ask { tenant: Some("red"), ..ask("who runs billing") }, 9, |_| true);
    assert!(red.iter().any(|hit| &*hit.fact.fact_id == "c"));
}

#[test]
fn what_one_fact_answers_alone_no_pair_answers_better() {
    let facts = [
        fact("a", "Japan", "Coastline: 29751 km"),
        fact("b", "Japan", "Export partners: China"),
        fact("c", "China", "Coastline: 14500 km"),
    ];
    let graph = snapshot(facts);
    let query = "coastline of Japan";
    let (walked, words) = (found(&graph, query), by_words(&graph, query));
    assert_eq!(walked[0], words[0]);
    assert_eq!(walked[0].0, "a");
    let rel =
        |hits: &[(String, f64)], id: &str| hits.iter().find(|it| it.0 == id).map_or(0.0, |it| it.1);
    assert!(rel(&walked, "c") - rel(&words, "c") <= 0.2 * 0.15 + 1e-6);
}

/// What so many facts hold leads nowhere, and of facts that fit alike too many lead nowhere.
#[test]
fn what_is_common_leads_nowhere() {
    let note = |at: usize| fact(&format!("n{at}"), "note", &format!("z{at}"));
    let leads = fact("a", "note", "about giraffes");
    let few = snapshot((0..20).map(note).chain([leads.clone()]));
    assert_eq!(ids(&few, "giraffe").len(), 21);
    let many = snapshot((0..512).map(note).chain([leads]));
    assert_eq!(ids(&many, "giraffe"), ["a"]);
    let alike = |at: usize| fact(&format!("s{at}"), &format!("service {at}"), "likes falcon");
    let falcon =
        |count: usize| snapshot((0..count).map(alike).chain([fact("x", "service 3", "old")]));
    assert!(ids(&falcon(8), "likes").contains(&"x".to_owned()));
    assert!(!ids(&falcon(9), "likes").contains(&"x".to_owned()));
}

/// A turn that says more of the query than any fact leads on as well.
#[test]
fn turns_name_subjects() {
    let mut graph = graph([fact("a", "striped zebra", "eats grass"), fact("b", "other", "thing")]);
    graph.apply(Line::Turn(turn("k", 0, "a giraffe met the striped zebra")));
    assert_eq!(ids(&graph.snapshot(), "giraffe"), ["a"]);
}
