//! Tests of what a graph keeps: against a plain model, and that its lines make it again.

use std::collections::BTreeMap;

use carport_memory_api::{NewFact, Turn};
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::samples::{TENANTS, any_line, any_turn, ask, time, turn};

/// What a graph is, in the plainest way.
#[derive(Default)]
struct Model {
    facts: BTreeMap<(Option<String>, Arc<str>), Fact>,
    /// With the number of arrival.
    turns: Vec<(u64, Turn)>,
    arrived: u64,
}

impl Model {
    fn apply(&mut self, line: Line) {
        let key = |id: &Arc<str>, tenant: Option<&str>| (tenant.map(str::to_owned), id.clone());
        match line {
            Line::V(_) => {}
            Line::Add(fact) => {
                let key = key(&fact.fact_id, fact.tenant_id.as_deref());
                self.facts.insert(key, Arc::unwrap_or_clone(fact));
            }
            Line::Del(which) => drop(self.facts.remove(&key(which.id(), which.tenant()))),
            Line::Use(it) => {
                if let Some(fact) = self.facts.get_mut(&key(&it.id, it.tenant_id.as_deref())) {
                    (fact.uses, fact.wins, fact.losses) = (it.uses, it.wins, it.losses);
                }
            }
            Line::Turn(turn) => {
                self.arrived += 1;
                match self.turns.iter_mut().find(|it| it.1.key == turn.key) {
                    Some(old) => old.1 = turn,
                    None => self.turns.push((self.arrived, turn)),
                }
                self.turns.sort_by_key(|(arrived, turn)| (turn.at, *arrived));
            }
            Line::Forget(origin) => self.turns.retain(|it| it.1.origin != origin),
        }
    }
}

/// Everything that can be seen of a graph, in a form that is compared.
fn seen(graph: &Graph) -> impl PartialEq + std::fmt::Debug + use<> {
    let now = graph.snapshot();
    let answers = TENANTS.map(|tenant| {
        now.rank(&crate::Ask { tenant, turns: true, ..ask("cache owner 東京") }, 50, |_| true)
    });
    let turns: Vec<Turn> = now.turns().map(|it| it.to_turn()).collect();
    (now.facts(), turns, answers, TENANTS.map(|it| now.bank(it)), graph.bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_graph_keeps_what_its_lines_say(lines in vec(any_line(), 0..80)) {
        let (mut graph, mut model) = (Graph::new(Limits::DISK), Model::default());
        for line in lines {
            graph.apply(line.clone());
            model.apply(line);
        }
        let now = graph.snapshot();
        let mut expected: Vec<Fact> = model.facts.values().cloned().collect();
        expected.sort_by(|a, b| (a.created_at, &a.fact_id, &a.tenant_id).cmp(&(b.created_at, &b.fact_id, &b.tenant_id)));
        let facts: Vec<Fact> = now.facts().iter().map(|it| Fact::clone(it)).collect();
        prop_assert_eq!(&facts, &expected);
        let turns: Vec<Turn> = now.turns().map(|it| it.to_turn()).collect();
        prop_assert_eq!(turns, model.turns.into_iter().map(|it| it.1).collect::<Vec<_>>());
        for tenant in TENANTS {
            let is_visible = |it: &&Fact| it.tenant_id.is_none() || it.tenant_id.as_deref() == tenant;
            prop_assert_eq!(now.fact_count(tenant), expected.iter().filter(is_visible).count());
        }
    }

    #[test]
    fn its_own_lines_make_it_again(lines in vec(any_line(), 0..60), after in vec(any_line(), 0..10)) {
        let mut graph = Graph::replay(Limits::DISK, lines);
        let texts: Vec<String> = graph.snapshot().lines().map(|line| line.encode()).collect();
        let lines = texts.iter().map(|text| Line::decode(text.as_bytes()).unwrap());
        let mut again = Graph::replay(Limits::DISK, lines);
        prop_assert_eq!(seen(&again), seen(&graph));
        // And it goes on as the first does.
        for line in after {
            graph.apply(line.clone());
            again.apply(line);
        }
        prop_assert_eq!(seen(&again), seen(&graph));
    }

    #[test]
    fn a_snapshot_stays_as_it_is(lines in vec(any_line(), 0..40), after in vec(any_line(), 1..20)) {
        let mut graph = Graph::replay(Limits::DISK, lines.clone());
        let before = graph.snapshot();
        after.into_iter().for_each(|line| graph.apply(line));
        let same = Graph::replay(Limits::DISK, lines).snapshot();
        prop_assert_eq!(before.facts(), same.facts());
        for tenant in TENANTS {
            let ask = crate::Ask { tenant, turns: true, ..ask("cache team falcon") };
            prop_assert_eq!(before.rank(&ask, 50, |_| true), same.rank(&ask, 50, |_| true));
        }
    }

    #[test]
    fn an_emptied_graph_takes_no_memory(lines in vec(any_line(), 0..40)) {
        let mut graph = Graph::replay(Limits::DISK, lines);
        for fact in graph.snapshot().facts() {
            graph.apply(Line::Del(Which::new(fact.fact_id.clone(), fact.tenant_id.as_deref())));
        }
        let turns: Vec<u32> = graph.snapshot().turn_docs().collect();
        for at in turns {
            prop_assert!(graph.drop_turn(at).is_some());
        }
        prop_assert_eq!(graph.bytes(), 0);
        prop_assert_eq!(graph.now.facts_in_all() + graph.indexes.values().map(|it| it.ids.len() + it.contents.len()).sum::<usize>(), 0);
    }

    #[test]
    fn turns_keep_their_order(turns in vec(any_turn(), 0..20)) {
        let mut graph = Graph::new(Limits::DISK);
        turns.iter().for_each(|turn| graph.apply(Line::Turn(turn.clone())));
        let now = graph.snapshot();
        let times: Vec<_> = now.turns().map(|it| it.created_at).collect();
        prop_assert!(times.is_sorted());
        let keys: std::collections::HashSet<_> = turns.iter().map(|it| &it.key).collect();
        prop_assert_eq!(now.turn_count(), keys.len());
    }
}

fn plan(graph: &Graph, new: NewFact, at: i64) -> Planned {
    graph.plan_add(new, time(at), || format!("minted-{at}")).unwrap()
}

fn add(graph: &mut Graph, new: NewFact, at: i64) -> Planned {
    let planned = plan(graph, new, at);
    graph.apply(planned.line.clone());
    planned
}

#[test]
fn the_same_again_without_an_id_only_refreshes() {
    let mut graph = Graph::new(Limits::DISK);
    let first = add(&mut graph, NewFact::new("s", "b"), 1);
    let again = NewFact { tags: vec!["t".into()], confidence: 0.1, ..NewFact::new("s", "b") };
    let second = add(&mut graph, again, 2);
    assert_eq!((second.fact_id, second.is_new, first.is_new), (first.fact_id, false, true));
    let fact = graph.get("minted-1", None).unwrap();
    assert_eq!((fact.created_at, fact.updated_at), (time(1), time(2)));
    assert_eq!((fact.confidence, fact.tags.len()), (1.0, 0));
    // Anything that differs is another fact, and so is another tenant's.
    add(&mut graph, NewFact { kind: "note".into(), ..NewFact::new("s", "b") }, 3);
    add(&mut graph, NewFact { tenant_id: Some("t".into()), ..NewFact::new("s", "b") }, 4);
    add(&mut graph, NewFact::new("s", "c"), 5);
    assert_eq!(graph.snapshot().facts_in_all(), 4);
}

#[test]
fn an_id_that_is_there_is_replaced_and_keeps_its_history() {
    let mut graph = Graph::new(Limits::DISK);
    let named = |body: &str| NewFact { fact_id: Some("a".into()), ..NewFact::new("s", body) };
    add(&mut graph, named("old words"), 1);
    for _ in 0..2 {
        graph.apply(graph.plan_use("a", None).unwrap());
    }
    graph.apply(graph.plan_credit("a", None, true).unwrap());
    graph.apply(graph.plan_credit("a", None, false).unwrap());
    add(&mut graph, named("new text"), 2);
    let fact = graph.get("a", None).unwrap();
    assert_eq!(
        (fact.body.as_str(), fact.created_at, fact.updated_at),
        ("new text", time(1), time(2))
    );
    assert_eq!((fact.uses, fact.wins, fact.losses), (2, 1, 1));
    let now = graph.snapshot();
    assert_eq!(
        (now.rank(&ask("old"), 9, |_| true).len(), now.rank(&ask("new"), 9, |_| true).len()),
        (0, 1)
    );
}

#[test]
fn a_tenant_changes_its_own_facts_only() {
    let mut graph = Graph::new(Limits::DISK);
    let of = |tenant: Option<&str>, body: &str| NewFact {
        fact_id: Some("a".into()),
        tenant_id: tenant.map(str::to_owned),
        ..NewFact::new("s", body)
    };
    add(&mut graph, of(None, "everybody's"), 1);
    add(&mut graph, of(Some("red"), "red's"), 2);
    add(&mut graph, of(Some("blue"), "blue's"), 3);
    assert_eq!(
        TENANTS.map(|it| graph.get("a", it).unwrap().body.as_str()),
        ["everybody's", "red's", "blue's"]
    );
    assert_eq!(graph.plan_delete("a", Some("green")), None);
    graph.apply(graph.plan_delete("a", Some("red")).unwrap());
    assert_eq!(TENANTS.map(|it| graph.get("a", it).is_some()), [true, false, true]);
    assert_eq!(TENANTS.map(|it| graph.snapshot().fact_count(it)), [1, 1, 2]);
    for nothing in [graph.plan_use("a", Some("red")), graph.plan_credit("x", None, true)] {
        assert_eq!(nothing, None);
    }
}

#[test]
fn a_full_graph_takes_no_more_facts() {
    let mut graph = Graph::new(Limits { facts: 2, bytes: 1 << 20 });
    for at in 0..2 {
        add(&mut graph, NewFact::new("s", format!("body {at}")), at);
    }
    let more = |body: &str| graph.plan_add(NewFact::new("s", body), time(9), || "x".into());
    assert_eq!(more("another"), Err(crate::Full::Facts(2)));
    let none = Graph::new(graph.limits());
    let all = |count: usize| {
        let new = (0..count).map(|at| NewFact::new("s", at.to_string()));
        none.plan_add_all(new, time(0), || "x".into()).map(|planned| planned.len())
    };
    assert_eq!((all(2), all(3)), (Ok(2), Err(crate::Full::Facts(2))), "all or none");
    assert!(more("body 1").is_ok(), "what is there may be said again");

    let mut graph = Graph::new(Limits { facts: 100, bytes: 50_000 });
    let mut taken = 0;
    let full = loop {
        match graph.plan_add(
            NewFact::new("s", format!("{taken} {}", "x".repeat(5000))),
            time(0),
            || taken.to_string(),
        ) {
            Ok(planned) => graph.apply(planned.line),
            Err(full) => break full,
        }
        taken += 1;
    };
    assert_eq!(full, crate::Full::Memory(50_000));
    assert!((4..10).contains(&taken), "{taken}");
    let error = carport_core::RpcError::from(full);
    assert_eq!((error.code, error.data.unwrap()["limit"].as_u64()), (-32012, Some(50_000)));
}

#[test]
fn the_oldest_turns_go_first() {
    let mut graph = Graph::new(Limits::DISK);
    for at in 0..2003 {
        graph.apply(Line::Turn(turn(&format!("k{at}"), at, "hi")));
    }
    assert_eq!(graph.snapshot().turn_count(), 2000);
    assert_eq!(&*graph.snapshot().turns().next().unwrap().fact_id, "k3");
    assert_eq!((graph.take_dropped_turns(), graph.take_dropped_turns()), (3, 0));
    // One that is older than all that are there does not stay.
    graph.apply(Line::Turn(turn("late", -1, "hi")));
    assert_eq!(&*graph.snapshot().turns().next().unwrap().fact_id, "k3");

    let mut graph = Graph::new(Limits::DISK);
    for at in 0..1000 {
        graph.apply(Line::Turn(turn(&format!("{at:04}"), at, &format!("{at:04}-").repeat(3276))));
    }
    let bytes: usize = graph.snapshot().turns().map(|it| it.body.len()).sum();
    assert!((8_300_000..8 * 1024 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn a_corrected_turn_keeps_its_place() {
    let mut graph = Graph::new(Limits::DISK);
    for (key, text) in [("a", "frist"), ("b", "second"), ("a", "first")] {
        graph.apply(Line::Turn(turn(key, 0, text)));
    }
    let now = graph.snapshot();
    assert_eq!(now.turns().map(|it| it.body.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    let turns = |text| now.rank(&crate::Ask { turns: true, ..ask(text) }, 1, |_| true);
    assert_eq!((turns("frist").len(), &*turns("first")[0].fact.fact_id), (0, "a"));
}
