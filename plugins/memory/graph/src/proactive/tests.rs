//! Tests of learning from events, of reminding, and of measuring it.

use carport_memory_api::{Entry, Event, NewFact, Observed};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    Fact, Snapshot, check,
    samples::{any_facts, snapshot, time, words},
};

fn failed(tool: &str, error: &str) -> Event {
    let observed = Observed::ActionFailed { tool: tool.into(), error: error.into() };
    Event { tenant_id: None, observed }
}

fn saved(id: &str, entry: Option<Entry>, subject: &str, body: &str, is_constraint: bool) -> Fact {
    let new = NewFact { entry, is_constraint, ..NewFact::new(subject, body) };
    Fact::from_new(new, time(0), || id.into())
}

#[test]
fn each_event_teaches_what_the_table_says() {
    let texts = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    let (tool, error) = texts("shell", "exit 1");
    let (source, reason) = texts("planner", "no way");
    let (goal, why) = texts("ship", "tests fail");
    for (observed, kind, entry, subject, body) in [
        (
            Observed::ActionFailed { tool: tool.clone(), error: error.clone() },
            "procedural",
            Entry::Procedural,
            "shell",
            "exit 1",
        ),
        (
            Observed::RetriesUsedUp { tool, error },
            "procedural",
            Entry::Procedural,
            "shell",
            "every retry failed: exit 1",
        ),
        (
            Observed::ReplansUsedUp { source: source.clone(), reason: reason.clone() },
            "procedural",
            Entry::Procedural,
            "planner",
            "every replan failed: no way",
        ),
        (
            Observed::GoalOpen { goal, reason: why },
            "knowledge",
            Entry::Knowledge,
            "ship",
            "open goal: tests fail",
        ),
        (
            Observed::TurnStopped { source, reason },
            "procedural",
            Entry::Procedural,
            "planner",
            "a turn was stopped: no way",
        ),
    ] {
        let learned = learn(&[Event { tenant_id: None, observed }], None);
        assert_eq!(learned.trigger, Trigger::default());
        let [fact] = &learned.facts[..] else { panic!("{learned:?}") };
        assert_eq!((fact.kind.as_str(), fact.entry), (kind, Some(entry)));
        assert_eq!((fact.subject.as_str(), fact.body.as_str()), (subject, body));
    }
}

#[test]
fn a_tool_that_fails_again_is_one_lesson_and_a_trigger() {
    let events = [
        failed("shell", "exit 1"),
        failed("web", "404"),
        failed("shell", "exit 2"),
        failed("shell", "exit 2"),
    ];
    let learned = learn(&events, None);
    let trigger = Trigger { repeated_failures: 2, tool_error: true, ..Trigger::default() };
    assert_eq!(learned.trigger, trigger);
    let lessons: Vec<_> =
        learned.facts.iter().map(|it| (it.subject.as_str(), it.body.as_str())).collect();
    assert_eq!(lessons, [("web", "404"), ("shell", "exit 2")]);
    assert_eq!(learn(&events, None), learned, "the same events, the same ids");
    assert_eq!(learn(&events, Some("red")), Learned::default(), "another tenant's");
    assert_ne!(learned.facts[0].fact_id, learned.facts[1].fact_id);
}

#[test]
fn a_reminder_is_the_best_match_above_the_threshold() {
    let graph = snapshot([
        saved("p", Some(Entry::Procedural), "deploy", "run the migration first", false),
        saved("k", Some(Entry::Knowledge), "billing", "owned by falcon", false),
        saved("c", None, "production", "never deploy on friday", true),
        saved("x", None, "deploy", "no memory that may be brought up", false),
    ]);
    let moment = Moment {
        query: "deploy to production",
        recent: &[],
        trigger: Trigger::default(),
        tenant: None,
        max_candidates: 8,
        threshold: 0.35,
        force: false,
    };
    let Intervention::Inject { reminder, selected, candidates, bank } = graph.intervene(&moment)
    else {
        panic!("silent")
    };
    assert_eq!((reminder.as_str(), &*selected.id), ("production: never deploy on friday", "c"));
    assert_eq!((bank.knowledge, bank.procedural, bank.constraints), (1, 1, 1));
    assert_eq!(candidates.iter().map(|it| &*it.id).collect::<Vec<_>>(), ["c", "p"]);

    let trigger = Trigger { tool_error: true, ..Trigger::default() };
    let with = graph.intervene(&Moment { trigger, max_candidates: 1, ..moment.clone() });
    let Intervention::Inject { candidates: boosted, .. } = with else { panic!("silent") };
    assert_eq!(boosted.len(), 1);

    let high = Moment { threshold: 1.5, ..moment.clone() };
    assert!(
        matches!(graph.intervene(&high), Intervention::Silent { candidates, .. } if candidates.len() == 2)
    );
    let forced = graph.intervene(&Moment { force: true, ..high });
    assert!(matches!(forced, Intervention::Inject { .. }));
    let nothing = Moment { query: "zebra", force: true, ..moment.clone() };
    assert!(
        matches!(graph.intervene(&nothing), Intervention::Silent { candidates, .. } if candidates.is_empty())
    );
    let recent = ["what about billing?".to_owned()];
    let earlier = graph.intervene(&Moment { query: "", recent: &recent, ..moment });
    assert!(matches!(earlier, Intervention::Inject { selected, .. } if &*selected.id == "k"));
}

#[test]
fn a_trigger_speaks_for_what_it_should() {
    let score = |fact: Fact, trigger: Trigger| {
        let moment = Moment {
            query: "cache",
            recent: &[],
            trigger,
            tenant: None,
            max_candidates: 8,
            threshold: 0.35,
            force: true,
        };
        snapshot([fact]).candidates(&moment)[0].score
    };
    let none = Trigger::default();
    let procedural = || saved("a", Some(Entry::Procedural), "cache", "b", false);
    let knowledge = || saved("a", Some(Entry::Knowledge), "cache", "b", false);
    let rule = || saved("a", None, "cache", "b", true);
    for (fact, trigger, adds) in [
        (procedural(), Trigger { tool_error: true, ..none }, 0.2),
        (procedural(), Trigger { repeated_failures: 2, ..none }, 0.2),
        (procedural(), Trigger { repeated_failures: 1, high_risk_action: true, ..none }, 0.0),
        (rule(), Trigger { high_risk_action: true, tool_error: true, ..none }, 0.2),
        (knowledge(), Trigger { explicit_uncertainty: true, context_shift: true, ..none }, 0.1),
        (knowledge(), Trigger { context_shift: true, ..none }, 0.1),
        (knowledge(), Trigger { tool_error: true, high_risk_action: true, ..none }, 0.0),
    ] {
        let added = score(fact.clone(), trigger) - score(fact, none);
        assert!((added - adds).abs() < 1e-9, "{trigger:?} added {added}");
    }
}

#[test]
fn decisions_have_this_shape() {
    let shape = |graph: &Snapshot, query: &str| -> Value {
        let moment = Moment {
            query,
            recent: &[],
            trigger: Trigger::default(),
            tenant: None,
            max_candidates: 8,
            threshold: 0.35,
            force: false,
        };
        serde_json::to_value(graph.intervene(&moment)).unwrap()
    };
    let graph = snapshot([saved("a", Some(Entry::Knowledge), "cache", "warm", false)]);
    let bank = json!({ "knowledge": 1, "procedural": 0, "constraints": 0 });
    let inject = json!({
        "decision": "inject", "reminder": "cache: warm", "bank": bank,
        "selected": { "id": "a", "subject": "cache", "body": "warm", "kind": "pattern", "score": 0.8 },
        "candidates": [{ "id": "a", "score": 0.8 }],
    });
    assert_eq!(shape(&graph, "cache"), inject);
    let silent = json!({ "decision": "silent", "reason": "nothing that is kept matches", "candidates": [], "bank": bank });
    assert_eq!(shape(&graph, "zebra"), silent);
}

#[test]
fn an_evaluation_counts_facts() {
    let graph = snapshot([
        saved("a", Some(Entry::Knowledge), "cache", "warm", false),
        saved(
            "b",
            Some(Entry::Knowledge),
            "cache",
            "store that is cold and far away from here",
            false,
        ),
        saved("c", Some(Entry::Knowledge), "team falcon", "owns the billing server", false),
    ]);
    let case = |id: &str, request: &str, relevant: &[&str]| Case {
        id: id.into(),
        request: request.into(),
        relevant_fact_ids: relevant.iter().map(|it| (*it).to_owned()).collect(),
    };
    let cases = [
        case("1", "warm cache", &["a"]),
        case("2", "cache", &["b", "gone", "gone"]),
        case("3", "zebra", &["a"]),
        case("4", "zebra", &[]),
    ];
    let done = graph.evaluate(&cases, None, 8, 0.9, || true).unwrap();
    let counts = |arm: &Arm| {
        (arm.interventions, arm.true_positives, arm.false_positives, arm.false_negatives)
    };
    assert_eq!(done.cases, 4);
    assert_eq!(counts(&done.no_memory), (0, 0, 0, 4));
    assert_eq!(counts(&done.passive_retrieval), (2, 2, 2, 2));
    assert_eq!(counts(&done.always_inject), (2, 1, 1, 3));
    assert_eq!((done.passive_retrieval.precision, done.passive_retrieval.recall), (0.5, 0.5));
    assert_eq!(
        (done.passive_retrieval.interruption_rate, done.passive_retrieval.avg_candidates_exposed),
        (0.5, 1.0)
    );
    assert_eq!((done.no_memory.precision, done.no_memory.recall), (0.0, 0.0));
    let selective = |cases: &[Case], least: f64| {
        graph.evaluate(cases, None, 8, least, || true).unwrap().selective
    };
    assert_eq!(selective(&cases, 2.0), done.no_memory);
    assert_eq!(selective(&cases, 0.0), done.always_inject);
    assert_eq!(selective(&[], 0.35), Arm::default());
    let asked = std::cell::Cell::new(0);
    let twice = || asked.replace(asked.get() + 1) < 2;
    assert_eq!(graph.evaluate(&cases, None, 8, 0.9, twice), None, "nobody waits any more");
    assert_eq!(asked.get(), 3, "it ends there");
}

#[test]
fn an_id_of_two_owners_is_one_fact_that_helps() {
    let own = |tenant: Option<&str>| Fact {
        tenant_id: tenant.map(str::to_owned),
        ..saved("a", Some(Entry::Knowledge), "cache", "warm", false)
    };
    let graph = snapshot([own(None), own(Some("red"))]);
    let relevant_fact_ids = vec!["a".to_owned()];
    let case = Case { id: "1".into(), request: "cache".into(), relevant_fact_ids };
    let done = graph.evaluate(&[case], Some("red"), 8, 0.35, || true).unwrap().passive_retrieval;
    assert_eq!((done.true_positives, done.false_negatives, done.recall), (2, 0, 1.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is learned can always be kept.
    #[test]
    fn lessons_are_within_the_bounds(tool in ".{0,300}", text in any::<String>(), long in 1..200usize) {
        let (tool, error) = (tool.repeat(2), text.repeat(long));
        let events = [
            failed(&tool, &error),
            Event { tenant_id: None, observed: Observed::GoalOpen { goal: error, reason: tool } },
        ];
        for fact in learn(&events, None).facts {
            prop_assert!(check("", &fact).is_ok(), "{:?}", check("", &fact));
        }
    }

    #[test]
    fn a_reminder_never_shows_what_is_not_seen(facts in any_facts(30), query in words(4), force in any::<bool>()) {
        let graph = snapshot(facts.clone());
        let moment = Moment {
            query: &query,
            recent: &[],
            trigger: Trigger::default(),
            tenant: Some("red"),
            max_candidates: 3,
            threshold: 0.35,
            force,
        };
        let (shown, candidates) = match graph.intervene(&moment) {
            Intervention::Inject { selected, candidates, .. } => (Some(selected), candidates),
            Intervention::Silent { candidates, .. } => (None, candidates),
        };
        prop_assert!(candidates.len() <= 3);
        prop_assert_eq!(shown.is_some(), candidates.first().is_some_and(|it| force || it.score >= 0.35));
        if let Some(shown) = shown {
            let is = |it: &&Fact| it.fact_id == shown.id && it.body == shown.body && it.subject == shown.subject;
            let fact = facts.iter().find(|it| is(it) && it.tenant_id.as_deref().is_none_or(|it| it == "red"));
            prop_assert!(fact.is_some_and(|it| it.entry.is_some() || it.is_constraint));
        }
    }
}
