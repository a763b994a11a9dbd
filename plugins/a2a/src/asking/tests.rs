//! Peers that take their time: each costs no more than that of one call.

use carport_a2a_outbound::{AllowList, Screen, Target};
use carport_a2a_types::TaskState;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
    time::Instant,
};

use super::*;

/// A peer that shows a card and then begins a stream so, and sends a comment every 15 s for as long as anybody
/// listens.
async fn idle(begins: String) -> (Target, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let interface = json!({ "url": format!("{url}/rpc"), "protocolBinding": "JSONRPC", "protocolVersion": "1.0" });
    let card = json!({ "name": "p", "description": "", "version": "1",
        "capabilities": { "streaming": true }, "supportedInterfaces": [interface] });
    let target = Target::parse(&url).unwrap();
    let serving = tokio::spawn(async move {
        let head = |kind: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n")
        };
        let answer = format!("{}{card}", head("application/json"));
        for (answer, is_last) in
            [(answer, false), (format!("{}{begins}", head("text/event-stream")), true)]
        {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
            while is_last && stream.write_all(b": still here\n").await.is_ok() {
                sleep(Duration::from_secs(15)).await;
            }
        }
    });
    (target, serving)
}

/// The clock goes on by itself whenever nothing else does.
#[tokio::test(start_paused = true)]
async fn a_stream_without_news_is_left_when_the_time_is_up() {
    let allow = AllowList::parse(&["127.0.0.1"]).unwrap();
    let outgoing = Outgoing::new(Screen::new(allow)).unwrap();
    let task = json!({ "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_WORKING" } });
    let event = json!({ "jsonrpc": "2.0", "id": 1, "result": { "task": task } });
    let message = Message::of_agent("m", "hello");
    for begins in [format!("data: {event}\n\n"), String::new()] {
        let is_known = !begins.is_empty();
        let (url, serving) = idle(begins).await;
        let peer = Asking::new(&outgoing, None, true).find(&url).await.unwrap();
        let (began, mut told) = (Instant::now(), 0);
        let heard = hear(&peer, &message, |_| told += 1).await;
        assert!(began.elapsed() <= BLOCKING + Duration::from_secs(1), "{:?}", began.elapsed());
        match heard {
            Ok((SendResult::Task(task), Version::V1)) if is_known => {
                assert_eq!((task.status.state, told), (TaskState::Working, 1));
            }
            Err(error) if !is_known => assert_eq!(error.data.unwrap()["reason"], "peer_timeout"),
            other => panic!("{other:?}"),
        }
        serving.await.unwrap();
    }
}

/// Each request alone is within its time; the card is at the second place that is asked for it.
#[tokio::test(start_paused = true)]
async fn finding_a_peer_counts_as_asking_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let interface = json!({ "url": format!("{url}/rpc"), "protocolBinding": "JSONRPC", "protocolVersion": "1.0" });
    let card = json!({ "name": "p", "description": "", "version": "1", "capabilities": {},
        "supportedInterfaces": [interface] });
    let serving = tokio::spawn(async move {
        for (status, body) in [(404, String::new()), (200, card.to_string()), (200, String::new())]
        {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            sleep(Duration::from_secs(25)).await;
            let head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{body}");
            let _ = stream.write_all(head.as_bytes()).await;
        }
    });
    let outgoing = Outgoing::new(Screen::new(AllowList::parse(&["127.0.0.1"]).unwrap())).unwrap();
    let began = Instant::now();
    let asking = Asking::new(&outgoing, None, false);
    let peer = asking.find(&Target::parse(&url).unwrap()).await.unwrap();
    let error = hear(&peer, &Message::of_agent("m", "hello"), |_| {}).await.unwrap_err();
    let took = began.elapsed();
    assert!(AT_ONCE <= took && took <= AT_ONCE + Duration::from_secs(1), "{took:?}");
    assert_eq!(error.data.unwrap()["reason"], "peer_timeout");
    serving.await.unwrap();
}
