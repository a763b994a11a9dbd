//! Many at once.

use carport_core::{Time, testing::TestHost};
use carport_memory_api::{GraphRef, MEMORY, Turn};
use serde_json::json;

use crate::{bodies, bound, call, count};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_write_at_once_and_nothing_is_lost() {
    let host = TestHost::start().await;
    let mut writers = Vec::new();
    for who in 0..2 {
        let host = host.clone();
        writers.push(tokio::spawn(async move {
            let mut client = bound(&host, "team").await;
            let mut open = Vec::new();
            for at in 0..100 {
                let fact = json!({ "subject": format!("w{who}"), "body": format!("fact {at}") });
                open.push(client.send("memory.add_fact", fact).await);
            }
            for id in open {
                client.reply(id).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut client = bound(&host, "team").await;
    assert_eq!((count(&mut client).await, bodies(&mut client, "w1").await.len()), (200, 100));
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(count(&mut bound(&next, "team").await).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_and_facts_survive_what_replaces_the_graph() {
    let host = TestHost::start().await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Namespace("team".into()));
    let ingesting = {
        let (memory, graph) = (memory.clone(), graph.clone());
        tokio::spawn(async move {
            for at in 0..60 {
                let turn = Turn {
                    key: format!("k{at}"),
                    speaker: "Bo".into(),
                    text: format!("turn {at}"),
                    at: Time::default(),
                    origin: "m".into(),
                };
                memory.ingest(&graph, turn).await.unwrap();
            }
        })
    };
    let mut client = bound(&host, "team").await;
    for at in 0..20 {
        crate::add(&mut client, "s", &format!("fact number {at} {at}")).await;
        call(&mut client, "consolidate", json!({})).await;
    }
    ingesting.await.unwrap();
    let facts = count(&mut client).await;
    let turns = |found: serde_json::Value| found.as_array().unwrap().len();
    let ask = json!({ "query": "turn", "k": 100, "kinds": ["conversation"] });
    assert_eq!(turns(call(&mut client, "query", ask.clone()).await), 60);
    let next = TestHost::builder().on_root_of(&host).start().await;
    let mut client = bound(&next, "team").await;
    assert_eq!(
        (count(&mut client).await, turns(call(&mut client, "query", ask).await)),
        (facts, 60)
    );
}

#[tokio::test]
async fn a_call_that_was_given_up_leaves_a_whole_file() {
    let host = TestHost::builder()
        .settings(|it| it.durability = carport_core::Durability::Record)
        .start()
        .await;
    for at in 0..10 {
        let mut client = bound(&host, "team").await;
        for fact in 0..5 {
            let fact = json!({ "subject": "s", "body": format!("{at} {fact}") });
            client.send("memory.add_fact", fact).await;
        }
        client.vanish();
    }
    host.emptied().await;
    let mut client = bound(&host, "team").await;
    let facts = count(&mut client).await;
    crate::add(&mut client, "last", "one").await;
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(count(&mut bound(&next, "team").await).await, facts + 1);
}
