//! Facts, turns and graphs for tests: few words, so that they meet often.

use std::sync::Arc;

use carport_core::Time;
use carport_memory_api::{Entry, NewFact, Turn};
use chrono::{DateTime, TimeDelta};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::{Ask, Fact, Graph, Limits, Line, Snapshot, Utility, Which};

pub(crate) const WORDS: [&str; 14] = [
    "ana", "billing", "cache", "deploy", "falcon", "the", "owner", "server", "team", "tests",
    "東京", "2024", "caches", "is",
];
pub(crate) const TENANTS: [Option<&str>; 3] = [None, Some("red"), Some("blue")];

pub(crate) fn time(seconds: i64) -> Time {
    (DateTime::UNIX_EPOCH + TimeDelta::seconds(1_700_000_000 + seconds)).into()
}

/// A fact of everybody's.
pub(crate) fn fact(id: &str, subject: &str, body: &str) -> Fact {
    Fact::from_new(NewFact::new(subject, body), time(0), || id.into())
}

pub(crate) fn turn(key: &str, seconds: i64, text: &str) -> Turn {
    let (speaker, origin) = ("Bo".into(), "m".into());
    Turn { key: key.into(), speaker, text: text.into(), at: time(seconds), origin }
}

pub(crate) fn graph(facts: impl IntoIterator<Item = Fact>) -> Graph {
    Graph::replay(Limits::DISK, facts.into_iter().map(|fact| Line::Add(fact.into())))
}

pub(crate) fn snapshot(facts: impl IntoIterator<Item = Fact>) -> Snapshot {
    graph(facts).snapshot()
}

pub(crate) fn ask(text: &str) -> Ask<'_> {
    Ask { text, tenant: None, turns: false, utility: Utility::default(), meaning: None }
}

pub(crate) fn words(most: usize) -> impl Strategy<Value = String> {
    vec(select(&WORDS[..]), 1..=most).prop_map(|words| words.join(" "))
}

fn kind() -> impl Strategy<Value = String> {
    const KINDS: [&str; 6] =
        ["pattern", "constraint", "identity", "environment", "question", "note"];
    select(&KINDS[..]).prop_map(str::to_owned)
}

pub(crate) fn tenant() -> impl Strategy<Value = Option<String>> {
    select(&TENANTS[..]).prop_map(|it| it.map(str::to_owned))
}

prop_compose! {
    /// A fact that is everybody's or a tenant's, with one of few ids.
    pub(crate) fn any_fact()(
        id in 0..40u32,
        subject in words(2),
        body in words(6),
        tags in vec(select(&WORDS[..]), 0..3),
        tenant_id in tenant(),
        (kind, entry) in (kind(), option::of(select(&[Entry::Knowledge, Entry::Procedural][..]))),
        (created, updated) in (0..50i64, 0..50i64),
        (wins, losses) in (0..4u64, 0..4u64),
    ) -> Fact {
        let new = NewFact {
            fact_id: Some(format!("f{id}")),
            kind,
            entry,
            tags: tags.into_iter().map(str::to_owned).collect(),
            tenant_id,
            ..NewFact::new(subject, body)
        };
        let fact = Fact::from_new(new, time(created), String::new);
        Fact { updated_at: time(created + updated), wins, losses, ..fact }
    }
}

/// Facts of several tenants, each id once a tenant.
pub(crate) fn any_facts(most: usize) -> impl Strategy<Value = Vec<Fact>> {
    vec(any_fact(), 0..=most).prop_map(|mut facts| {
        let mut seen = std::collections::HashSet::new();
        facts.retain(|fact| seen.insert((fact.fact_id.clone(), fact.tenant_id.clone())));
        facts
    })
}

pub(crate) fn any_turn() -> impl Strategy<Value = Turn> {
    (0..6u32, 0..20i64, words(5)).prop_map(|(key, at, text)| Turn {
        origin: format!("m{}", at % 3),
        ..turn(&format!("t{key}"), at, &text)
    })
}

pub(crate) fn any_line() -> impl Strategy<Value = Line> {
    let which =
        || (0..40u32, tenant()).prop_map(|(id, tenant)| (Arc::from(format!("f{id}")), tenant));
    prop_oneof![
        5 => any_fact().prop_map(|fact| Line::Add(fact.into())),
        2 => which().prop_map(|(id, tenant)| Line::Del(Which::new(id, tenant.as_deref()))),
        1 => (which(), 0..9u64).prop_map(|((id, tenant_id), wins)| {
            Line::Use(crate::Uses { id, tenant_id, uses: wins + 1, wins, losses: 2 })
        }),
        2 => any_turn().prop_map(Line::Turn),
        1 => (0..3u32).prop_map(|at| Line::Forget(format!("m{at}"))),
    ]
}
