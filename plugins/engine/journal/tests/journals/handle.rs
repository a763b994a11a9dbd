//! What the handle promises beside the file: order, room, retention by age, sums that only grow.

use std::sync::Arc;

use carport_core::{Clock, Durability, ManualClock, SystemClock, codes};
use carport_engine_journal::{
    Journals, Kind, NewEvent,
    log::{Query, Retention},
    metrics::{AlertKind, Thresholds},
};
use chrono::TimeDelta;
use serde_json::json;

use crate::{Scene, append, lines};

#[tokio::test]
async fn a_full_queue_makes_appenders_wait_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (journals, writer) =
        Journals::new(root.path().into(), Durability::Process, Arc::new(SystemClock));
    let journal = journals.open("c-1").await.unwrap();
    let appender = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, 6000).await }
    });
    let given_up = tokio::spawn({
        let journal = journal.clone();
        async move { append(&journal, 6000).await }
    });
    // Nobody writes yet: both stop at a full queue, however often they get their turn.
    while journal.count() < 4096 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(journal.count(), 4096);
    given_up.abort();
    given_up.await.unwrap_err();
    tokio::spawn(writer.run());
    appender.await.unwrap();
    let count = journal.count();
    journal.close().await.unwrap();
    assert!(count >= 6000);
    assert_eq!(lines(&root.path().join("c-1.jsonl")).len(), count);
}

#[tokio::test]
async fn without_a_writer_nothing_is_lost() {
    let root = tempfile::tempdir().unwrap();
    let (journals, writer) =
        Journals::new(root.path().into(), Durability::Process, Arc::new(SystemClock));
    let journal = journals.open("c-1").await.unwrap();
    append(&journal, 2).await;
    drop(writer);
    append(&journal, 2).await;
    assert_eq!(lines(&root.path().join("c-1.jsonl")).len(), 4);
}

#[tokio::test]
async fn one_connection_has_one_journal() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    let other = journal.clone();
    append(&journal, 2).await;
    journal.close().await.unwrap();
    assert_eq!(scene.journals.open("c-1").await.err().unwrap().code, codes::CONFLICT);
    drop(other);
    assert_eq!(scene.open("c-1").await.count(), 2);
    let error = scene.journals.open(&"X".repeat(100)).await.err().unwrap();
    assert_eq!(error.field(), Some("client_id"));
}

#[tokio::test]
async fn two_connections_share_nothing() {
    let scene = Scene::new();
    let (one, two) = (scene.open("c-1").await, scene.open("c-2").await);
    append(&one, 3).await;
    append(&two, 1).await;
    assert_eq!((one.count(), two.count()), (3, 1));
    let ids = |events: Vec<Arc<carport_engine_journal::Event>>| {
        events.iter().map(|event| event.id.clone()).collect::<Vec<_>>()
    };
    let (one, two) = (one.query(Query::default()).await, two.query(Query::default()).await);
    assert_eq!(ids(one.unwrap()), ["c-1-3", "c-1-2", "c-1-1"]);
    assert_eq!(ids(two.unwrap()), ["c-2-1"]);
}

#[tokio::test]
async fn age_counts_from_the_event_and_costs_stay_counted() {
    let clock = ManualClock::at(SystemClock.now());
    let scene = Scene::with(Durability::Process, clock.clone());
    let journal = scene.open("c-1").await;
    let spend = |cost: f64| {
        let data = json!({ "agent": "a", "tokens_in": 1, "tokens_out": 1, "cost_usd": cost });
        NewEvent::new(Kind::InferenceMetered, data)
    };
    journal.append(spend(2.0)).await;
    clock.advance(TimeDelta::seconds(50));
    journal.append(spend(1.0)).await;
    let policy = Retention { max_events: None, max_age_secs: Some(60) };
    assert_eq!(journal.set_retention(policy).await, 0);
    assert_eq!(journal.retention(), policy);
    clock.advance(TimeDelta::seconds(20));
    assert_eq!(journal.count(), 1, "without another append");
    let than = Thresholds { max_cost_usd: Some(2.5), ..Thresholds::default() };
    let (sum, alerts) = journal.alerts(&than).await.unwrap();
    assert_eq!((sum.total_events, sum.cost_usd, sum.cumulative_cost_usd), (1, 1.0, 3.0));
    assert_eq!(alerts.iter().map(|it| it.kind).collect::<Vec<_>>(), [AlertKind::CostOverage]);
    let costs = journal.cost_by_agent().await.unwrap();
    assert_eq!((costs.len(), costs[0].calls, costs[0].cost_usd), (1, 1, 1.0));
}
