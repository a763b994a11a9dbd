//! One bad client at a time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    raw::{self, CLOSE, CONTINUATION, FIN, TEXT},
    scene::{PATIENCE, Scene, ask, close_code, resident},
};

const MIB: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_of_64_mib_is_refused_by_its_header() {
    let scene = Scene::open().await;
    let bystander = scene.bystander().await;
    let mut client = scene.client().await;
    let before = resident();
    let stream = client.get_mut();
    stream.write_all(&raw::header(FIN | TEXT, 64 * MIB, true)).await.unwrap();
    stream.write_all(&[0; 4]).await.unwrap();
    assert_eq!(close_code(&mut client).await, Some(1009));
    assert!(resident() < before + 4 * MIB, "nothing was reserved for it");
    bystander.is_answered(10).await;
    bystander.dismiss().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_without_reading_a_reply_hold_little_memory() {
    let scene = Scene::open().await;
    let bystander = scene.bystander().await;
    let (mut requests, mut replies) = scene.client().await.split();
    let before = resident();
    let sending = tokio::spawn(async move {
        for id in 0..10_000 {
            let text = json!({ "jsonrpc": "2.0", "id": id, "method": "rpc.discover" });
            requests.send(Message::text(text.to_string())).await.unwrap();
        }
        requests
    });
    // The daemon stops reading once its outbox for this client is full.
    bystander.is_answered(1000).await;
    let held = resident() - before;
    assert!(held < 64 * MIB, "held {held} bytes: an outbox of 32 MiB and the rest");
    // Nothing is lost: once the client reads, every reply is there, in order.
    for id in 0..10_000 {
        let next = timeout(PATIENCE, replies.next()).await.expect("a reply in time");
        let text = next.unwrap().unwrap();
        let start = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},");
        assert!(text.to_text().unwrap().starts_with(&start), "reply {id}");
    }
    bystander.dismiss().await;
    drop((sending.await.unwrap(), replies));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_nesting_is_an_error_and_the_connection_lives() {
    let scene = Scene::open().await;
    let mut client = scene.client().await;
    for depth in [200, 100_000] {
        let params = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(ask(&mut client, "server.ping", &params).await["error"]["code"], -32700);
        let params = "{\"a\":".repeat(depth);
        assert_eq!(ask(&mut client, "server.ping", &params).await["error"]["code"], -32700);
    }
    assert_eq!(ask(&mut client, "server.ping", "{}").await["result"]["ok"], true);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_websocket_close_with_the_code_that_says_why() {
    let scene = Scene::open().await;
    let bystander = scene.bystander().await;
    let unmasked = [raw::header(FIN | TEXT, 2, false), b"{}".to_vec()].concat();
    let long_ping = raw::frame(FIN | 0x9, &[b'x'; 126]);
    for (what, bytes, code) in [
        ("invalid UTF-8", raw::frame(FIN | TEXT, &[0xff, 0xfe]), 1007),
        ("an unmasked frame", unmasked, 1002),
        ("a reserved bit", raw::frame(FIN | 0x40 | TEXT, b"{}"), 1002),
        ("a reserved opcode", raw::frame(FIN | 0x3, b"{}"), 1002),
        ("a continuation of nothing", raw::frame(FIN | CONTINUATION, b"{}"), 1002),
        ("a fragmented ping", raw::frame(0x9, b""), 1002),
        ("a ping that is too long", long_ping, 1002),
        ("a close code of nobody's", raw::frame(FIN | CLOSE, &999u16.to_be_bytes()), 1002),
        ("a close frame of one byte", raw::frame(FIN | CLOSE, &[3]), 1002),
    ] {
        let mut stream = raw::upgraded(&scene).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(raw::read_close(&mut stream).await, Some(code), "{what}");
    }
    bystander.is_answered(10).await;
    bystander.dismiss().await;
    scene.settles_at(0).await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_fragments_of_one_byte_is_one_message() {
    let scene = Scene::open().await;
    let mut stream = raw::upgraded(&scene).await;
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#;
    for (at, byte) in text.iter().enumerate() {
        let opcode = if at == 0 { TEXT } else { CONTINUATION };
        let fin = if at + 1 == text.len() { FIN } else { 0 };
        stream.write_all(&raw::frame(fin | opcode, &[*byte])).await.unwrap();
    }
    let mut reply = vec![0; 64];
    timeout(PATIENCE, stream.read_exact(&mut reply)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&reply).contains(r#""id":1,"result""#));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fragments_that_never_end_are_bounded_by_the_message_limit() {
    let scene = Scene::with(|it| it.transport.max_message_bytes = 65_536).await;
    let mut client = scene.client().await;
    let before = resident();
    let stream = client.get_mut();
    stream.write_all(&raw::frame(TEXT, &[b' '; 1000])).await.unwrap();
    for _ in 0..100 {
        // The daemon closes in the middle of it, so that a write may fail.
        let _ = stream.write_all(&raw::frame(CONTINUATION, &[b' '; 1000])).await;
    }
    assert_eq!(close_code(&mut client).await, Some(1009));
    assert!(resident() < before + 4 * MIB);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_that_trickles_a_frame_is_closed_after_its_grace() {
    let scene = Scene::with(|it| it.auth.grace_secs = 1).await;
    let bystander = scene.bystander().await;
    let mut stream = raw::upgraded(&scene).await;
    stream.write_all(&raw::header(FIN | TEXT, 60_000, true)).await.unwrap();
    let trickle = async {
        loop {
            if stream.write_all(b"x").await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("the daemon ends it");
    bystander.is_answered(10).await;
    bystander.dismiss().await;
    scene.settles_at(0).await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_is_refused_with_its_reason() {
    let scene = Scene::open().await;
    let host = format!("Host: {}\r\n", scene.address);
    let large = format!("{host}X-Large: {}\r\n", "x".repeat(64 * 1024));
    let foreign = format!("{host}Origin: https://evil.example\r\n");
    let plain = format!("GET /health HTTP/1.1\r\n{host}\r\n");
    for (what, request, status) in [
        ("a foreign origin", raw::request(&foreign), "403"),
        ("a rebound host", raw::request("Host: evil.example\r\n"), "403"),
        ("no host", raw::request(""), "403"),
        ("headers of 64 KiB", raw::request(&large), "431"),
        ("a plain request", plain, "426"),
        ("no HTTP", "\x16\x03\x01\x02garbage\r\n\r\n".to_owned(), "400"),
    ] {
        let mut stream = scene.stream().await;
        // The daemon may answer before it has read everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = raw::read_head(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer:?}");
    }
    assert_eq!(scene.host.open_sessions(), 0);
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_on_the_list_may_upgrade() {
    let scene = Scene::with(|it| {
        it.transport.allowed_origins.insert("https://desk.example".into());
        it.transport.allowed_hosts.insert("desk.example".into());
    })
    .await;
    let mut stream = scene.stream().await;
    let request = raw::request("Host: desk.example\r\nOrigin: https://desk.example\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert!(raw::read_head(&mut stream).await.starts_with("HTTP/1.1 101"));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unexpected_binary_frames_are_dropped_and_counted() {
    let scene = Scene::open().await;
    let mut client = scene.client().await;
    for size in [0, 1, 25, 26, 4096] {
        client.send(Message::binary(vec![0x01; size])).await.unwrap();
    }
    assert_eq!(ask(&mut client, "server.ping", "{}").await["result"]["ok"], true);
    assert!(scene.host.metrics().render().contains("carport_ignored_frames_total 5"));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_calls_in_flight_leave_256_waiting_and_44_refused() {
    let scene = Scene::with(|it| {
        it.approvals.also.insert("server.ping".into());
        // More may be parked than a connection may have in flight.
        it.approvals.wait_secs = 3600;
    })
    .await;
    let mut client = scene.client().await;
    for id in 0..300 {
        let text = json!({ "jsonrpc": "2.0", "id": id, "method": "server.ping" });
        client.send(Message::text(text.to_string())).await.unwrap();
    }
    let mut refused = 0;
    while refused < 284 {
        let next = timeout(PATIENCE, client.next()).await.expect("an answer in time");
        let reply: Value = serde_json::from_str(next.unwrap().unwrap().to_text().unwrap()).unwrap();
        assert_eq!(reply["error"]["code"], -32009, "{reply}");
        refused += 1;
    }
    scene.close().await;
}
