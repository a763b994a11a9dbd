//! What the listener bounds: connections, streams, how far a stream may be behind, and its own end.

use std::{sync::Arc, time::Duration};

use carport_core::testing::TestHost;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, pause, resume},
};

use crate::{
    http::{Answer, Listener},
    scene::{Obedient, at_once, say, state, with_engine, with_obedient},
};

/// A task that a turn waits in; its id.
async fn waiting(listener: &Listener, obedient: &Obedient, text: &str) -> Value {
    let sent = listener.call("SendMessage", at_once(say(text))).await;
    obedient.waits.acquire().await.unwrap().forget();
    sent["result"]["task"]["id"].clone()
}

/// A host with a listener, and a task that a turn waits in.
async fn with_task(text: &str) -> (TestHost, Listener, Arc<Obedient>, Value) {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let id = waiting(&listener, &obedient, text).await;
    (host, listener, obedient, id)
}

async fn subscribe(listener: &Listener, id: &Value) -> Answer {
    let headers = [("A2A-Version", "1.0")];
    listener.post("SubscribeToTask", json!({ "id": id }), &headers).await
}

async fn until_completed(host: &TestHost, id: &Value) {
    let mut client = host.host().await;
    while state(&client.raw("GetTask", json!({ "id": id })).await.unwrap()) != "COMPLETED" {}
}

#[tokio::test]
async fn the_257th_connection_is_told_to_come_again() {
    let host = with_engine().start().await;
    let listener = Listener::of(&host, json!({})).await;
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(TcpStream::connect(&listener.0).await.unwrap());
    }
    let mut more = TcpStream::connect(&listener.0).await.unwrap();
    let mut told = String::new();
    more.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("Retry-After: 1"), "{told}");
    // One of the 256 is as good as before, and its place is free when it is gone.
    let mut one = held.pop().unwrap();
    let request =
        format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", listener.0);
    one.write_all(request.as_bytes()).await.unwrap();
    let mut told = String::new();
    one.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    while listener.raw("GET", "/healthz", &[], "").await.status != 200 {}
}

#[tokio::test]
async fn a_connection_is_kept_only_while_there_are_places() {
    let host = with_engine().start().await;
    let listener = Listener::of(&host, json!({})).await;
    let connect = || TcpStream::connect(&listener.0);
    let mut held = Vec::new();
    for _ in 0..128 {
        held.push(connect().await.unwrap());
    }
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", listener.0);
    let mut kept = held.pop().unwrap();
    let mut answer = [0; 1024];
    for _ in 0..2 {
        kept.write_all(request.as_bytes()).await.unwrap();
        let length = kept.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "it goes on");
    }
    held.push(connect().await.unwrap());
    let mut last = connect().await.unwrap();
    last.write_all(request.as_bytes()).await.unwrap();
    let mut told = String::new();
    last.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 200 ") && told.contains("connection: close"), "{told}");
}

#[tokio::test]
async fn the_65th_stream_is_told_to_come_again() {
    let (_host, listener, obedient, id) = with_task("wait").await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = subscribe(&listener, &id).await;
        assert!(stream.event().await.is_some());
        streams.push(stream);
    }
    let refused = subscribe(&listener, &id).await;
    assert_eq!((refused.status, refused.headers["retry-after"].as_str()), (503, "1"));
    let calls = listener.call("GetTask", json!({ "id": id })).await;
    assert_eq!(state(&calls["result"]), "WORKING", "calls have places of their own");
    drop(streams.pop());
    while subscribe(&listener, &id).await.status != 200 {}
    obedient.go.add_permits(1);
    for stream in streams {
        assert_eq!(stream.results().await.len(), 1, "the others are told the end");
    }
}

#[tokio::test]
async fn a_stream_that_is_1024_events_behind_is_closed_and_can_be_taken_up() {
    let (host, listener, obedient, id) = with_task("wait-and-chunk 2500").await;
    // The id of the request stands in each event: so few of them fill what the kernel holds for a reader who
    // does not read.
    let long = "i".repeat(128 * 1024);
    let body = json!({
        "jsonrpc": "2.0", "id": long, "method": "SubscribeToTask", "params": { "id": id },
    });
    let headers = [("A2A-Version", "1.0"), ("Content-Type", "application/json")];
    let mut stream = listener.raw("POST", "/", &headers, &body.to_string()).await;
    assert_eq!(stream.event().await.unwrap().id, 1);
    // The first 200 are more than the kernel holds; the others come while nothing can be sent.
    for _ in 0..2 {
        obedient.go.add_permits(1);
        obedient.waits.acquire().await.unwrap().forget();
    }
    until_completed(&host, &id).await;
    let mut last = 1;
    while let Some(event) = stream.event().await {
        assert_eq!(event.id, last + 1, "none is missing before the end");
        last = event.id;
    }
    assert!((2..2502 - 1024).contains(&last), "{last}");
    let headers = [("Last-Event-ID", &*last.to_string())];
    let rest = listener.stream("SubscribeToTask", json!({ "id": id }), &headers).await;
    let rest = rest.results().await;
    assert_eq!(rest.len() as u64, 1 + 2502 - last);
    assert_eq!(state(&rest.last().unwrap()["statusUpdate"]), "COMPLETED");
}

#[tokio::test]
async fn a_stream_with_nothing_to_tell_says_so_every_15_seconds() {
    let (_host, listener, obedient, id) = with_task("wait").await;
    let before = Instant::now();
    let mut stream = subscribe(&listener, &id).await;
    assert!(stream.event().await.is_some());
    // From here on time goes to what is waited for next.
    pause();
    let mut since = Instant::now();
    for round in 0..3 {
        loop {
            let line = stream.line().await;
            assert!(!line.is_empty(), "the stream goes on");
            if line == ":\n" {
                break;
            }
        }
        let begun = if round == 0 { before } else { since };
        assert!(since.elapsed().as_secs() <= 15 && begun.elapsed().as_secs() >= 15, "{round}");
        since = Instant::now();
    }
    resume();
    obedient.go.add_permits(1);
    assert_eq!(stream.results().await.len(), 1);
}

#[tokio::test]
async fn a_stop_lets_running_calls_end() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let calling = listener.clone();
    let call = tokio::spawn(async move { calling.call("SendMessage", say("wait")).await });
    obedient.waits.acquire().await.unwrap().forget();
    let mut client = host.client().await;
    let stop = client.send("a2a.stop", json!({})).await;
    while TcpStream::connect(&listener.0).await.is_ok() {}
    obedient.go.add_permits(1);
    assert_eq!(state(&call.await.unwrap()["result"]["task"]), "COMPLETED");
    assert_eq!(client.reply(stop).await.unwrap(), json!({ "stopped": true }));
}

#[tokio::test]
async fn a_stop_waits_5_seconds_for_calls_and_no_longer() {
    let (host, listener, obedient, id) = with_task("wait").await;
    let mut stream = subscribe(&listener, &id).await;
    assert!(stream.event().await.is_some());
    let mut client = host.client().await;
    pause();
    let since = Instant::now();
    client.raw("a2a.stop", json!({})).await.unwrap();
    let passed = since.elapsed();
    assert!(passed >= Duration::from_secs(5) && passed < Duration::from_secs(6), "{passed:?}");
    resume();
    assert!(stream.event().await.is_none(), "it is cut off");
    let mut owner = host.host().await;
    let task = owner.raw("GetTask", json!({ "id": id })).await.unwrap();
    assert_eq!(state(&task), "WORKING", "the task goes on");
    obedient.go.add_permits(1);
    until_completed(&host, &id).await;
}
