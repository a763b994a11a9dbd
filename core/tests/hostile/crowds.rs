//! Many clients at once.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::scene::{PATIENCE, Scene, Socket, ask, close_code, resident};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connects_and_disconnects_leave_nothing() {
    let scene = Scene::open().await;
    let bystander = scene.bystander().await;
    let before = resident();
    for round in 0..10 {
        let mut visits = JoinSet::new();
        for visit in 0..100 {
            let (address, stream) = (scene.address, scene.stream().await);
            visits.spawn(async move {
                match visit % 4 {
                    0 => drop(stream),
                    1 => {
                        let upgraded =
                            tokio_tungstenite::client_async(format!("ws://{address}/"), stream);
                        drop(upgraded.await);
                    }
                    _ => {
                        let upgraded =
                            tokio_tungstenite::client_async(format!("ws://{address}/"), stream);
                        // Too many strangers at once are told so and closed.
                        if let Ok((mut socket, _)) = upgraded.await {
                            let _ = socket.close(None).await;
                        }
                    }
                }
            });
        }
        visits.join_all().await;
        bystander.is_answered(1).await;
        assert!(resident() < before + 32 * MIB, "round {round}");
    }
    scene.settles_at(1).await;
    bystander.dismiss().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_65th_stranger_and_the_connection_above_the_limit_are_told() {
    let scene = Scene::with(|it| it.transport.max_connections = 70).await;
    let mut strangers = Vec::new();
    for _ in 0..64 {
        strangers.push(scene.stranger().await);
    }
    scene.settles_at(64).await;
    assert_eq!(close_code(&mut scene.stranger().await).await, Some(1013));
    // Whoever proves an identity makes room for a stranger, until the daemon itself is full.
    let mut known = Vec::new();
    for mut stranger in strangers.drain(..) {
        ask(&mut stranger, "session.auth", r#"{"token":"token"}"#).await;
        known.push(stranger);
    }
    for _ in 64..70 {
        known.push(scene.client().await);
    }
    assert_eq!(close_code(&mut scene.stranger().await).await, Some(1013));
    known.pop();
    scene.settles_at(69).await;
    known.push(scene.client().await);
    drop(known);
    scene.settles_at(0).await;
    scene.close().await;
}

async fn subscriber(scene: &Scene) -> Socket {
    let mut socket = scene.client().await;
    let reply = ask(&mut socket, "host.subscribe", "{}").await;
    assert_eq!(reply["result"]["subscribed"], true);
    socket
}

/// The next text; on a slow machine the daemon's pings come in between.
async fn heard(socket: &mut Socket) -> Message {
    loop {
        let next = timeout(PATIENCE, socket.next()).await.expect("an event in time");
        let message = next.unwrap().unwrap();
        if message.is_text() {
            return message;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_never_reads_costs_the_hundred_others_nothing() {
    // Twice what the outbox of the deaf one holds.
    const EVENTS: u64 = 2000;
    let scene = Scene::open().await;
    let before = resident();
    let deaf = subscriber(&scene).await;
    let mut listeners = JoinSet::new();
    for _ in 0..100 {
        let mut socket = subscriber(&scene).await;
        listeners.spawn(async move {
            for expected in 1..=EVENTS {
                let frame = heard(&mut socket).await;
                // Reading 200,000 of them as JSON would be most of the work.
                let (event, number) =
                    (frame.to_text().unwrap(), format!("\"sequence\":{expected},"));
                assert!(event.contains(&number), "{expected}: {event}");
            }
        });
    }
    let mut source = scene.client().await;
    let pad = "x".repeat(2000);
    for _ in 0..EVENTS / 100 {
        // In step with the readers, so that only the deaf one falls behind.
        for _ in 0..100 {
            let params = json!({ "message": pad }).to_string();
            let reply = ask(&mut source, "host.notify", &params).await;
            assert!(reply["result"]["sequence"].is_u64(), "{reply}");
        }
        tokio::task::yield_now().await;
    }
    while let Some(heard) = listeners.join_next().await {
        heard.expect("every listener heard every event");
    }
    let held = resident().saturating_sub(before);
    assert!(held < 64 * MIB, "held {held} bytes");
    drop(deaf);
    scene.settles_at(1).await;
    drop(source);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_asks_at_once_is_answered_whole() {
    let scene = Scene::open().await;
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        let mut socket = scene.client().await;
        crowd.spawn(async move {
            for id in 0..200 {
                let text = json!({ "jsonrpc": "2.0", "id": id, "method": "server.ping" });
                socket.feed(Message::text(text.to_string())).await.unwrap();
            }
            socket.flush().await.unwrap();
            for id in 0..200 {
                let next = timeout(PATIENCE, socket.next()).await.expect("an answer in time");
                let text = next.unwrap().unwrap();
                let reply: Value = serde_json::from_str(text.to_text().unwrap()).unwrap();
                assert_eq!((&reply["id"], &reply["result"]["ok"]), (&json!(id), &json!(true)));
            }
        });
    }
    while let Some(answered) = crowd.join_next().await {
        answered.expect("everybody was answered");
    }
    scene.settles_at(0).await;
    scene.close().await;
}
