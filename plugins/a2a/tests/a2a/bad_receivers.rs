//! Receivers that hang, refuse, ask for patience or send elsewhere: they delay no task, get what they asked
//! for, and nobody else gets their credentials.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    pushing::{Receiver, host, status_of, told_to},
    scene::{at_once, go_on, send, state},
};

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    send(&mut client, at_once(told_to(&receiver, "ask"))).await;
    let first = receiver.answer("429 Too Many Requests\r\nRetry-After: 2").await;
    let refused = Instant::now();
    assert_eq!(receiver.answer("200 OK").await, first);
    // By itself it would have come again after 1.2 s at the most.
    assert!(refused.elapsed() >= Duration::from_secs(2), "{:?}", refused.elapsed());
    assert_eq!(status_of(&receiver.answer("200 OK").await), "INPUT_REQUIRED");
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_posted_again_and_the_next_one_is() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    let task = send(&mut client, at_once(told_to(&receiver, "ask"))).await;
    let mut posted = Vec::new();
    for status in ["400 Bad Request", "401 Unauthorized"] {
        posted.push(status_of(&receiver.answer(status).await).to_owned());
    }
    let params = go_on(task["id"].as_str().unwrap(), "make it");
    client.send("SendMessage", params).await;
    for status in
        ["404 Not Found", "422 Unprocessable Content", "302 Found\r\nLocation: http://10.0.0.1/"]
    {
        let body = receiver.answer(status).await;
        let made = body.get("artifactUpdate").is_some();
        posted.push(if made { "made" } else { status_of(&body) }.to_owned());
    }
    assert_eq!(posted, ["WORKING", "INPUT_REQUIRED", "WORKING", "made", "COMPLETED"]);
}

#[tokio::test]
async fn no_redirect_of_any_kind_carries_credentials_elsewhere() {
    let (host, receiver, elsewhere) = (host().await, Receiver::new().await, Receiver::new().await);
    let mut client = host.client().await;
    let port = elsewhere.listener.local_addr().unwrap().port();
    let places = [
        elsewhere.url(),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("//127.0.0.1:{port}/"),
    ];
    for (status, place) in
        ["301 Moved", "302 Found", "303 See Other", "308 Permanent"].into_iter().zip(places)
    {
        send(&mut client, at_once(told_to(&receiver, "it"))).await;
        for _ in 0..2 {
            let mut posted = receiver.next().await;
            assert!(posted.headers.contains("cr3dentials") && posted.headers.contains("t0ken"));
            let answer = format!(
                "HTTP/1.1 {status}\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            posted.stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
    let connected = timeout(Duration::from_millis(100), elsewhere.listener.accept()).await;
    assert!(connected.is_err(), "nothing was posted elsewhere");
}

#[tokio::test]
async fn a_hundred_receivers_that_hang_delay_no_task_and_are_posted_to_16_at_a_time() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    for _ in 0..100 {
        let task = send(&mut client, told_to(&receiver, "it")).await;
        assert_eq!(state(&task), "COMPLETED");
    }
    let mut held = Vec::new();
    while held.len() < 16 {
        held.push(receiver.next().await);
    }
    let another = timeout(Duration::from_millis(200), receiver.listener.accept()).await;
    assert!(another.is_err(), "no more of one caller are posted to at a time");
    // Whoever answers makes room for another one, which would come by the same connection if it were kept.
    let mut first = held.pop().unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    first.stream.write_all(answer).await.unwrap();
    receiver.next().await;
}

#[tokio::test]
async fn what_a_receiver_shows_in_its_answer_is_nobodys() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    let task = send(&mut client, at_once(told_to(&receiver, "it"))).await;
    for _ in 0..2 {
        let mut posted = receiver.next().await;
        let answer =
            "HTTP/1.1 400 No\r\nX-Echo: cr3dentials\r\nContent-Length: 11\r\n\r\ncr3dentials";
        posted.stream.write_all(answer.as_bytes()).await.unwrap();
    }
    let mut said = String::new();
    for (method, params) in [
        ("GetTask", json!({ "id": task["id"] })),
        ("ListTasks", json!({ "includeArtifacts": true })),
        ("ListTaskPushNotificationConfigs", json!({ "taskId": task["id"] })),
        ("tasks/pushNotificationConfig/get", json!({ "id": task["id"] })),
    ] {
        said.push_str(&client.raw(method, params).await.unwrap_or(Value::Null).to_string());
    }
    assert!(
        said.contains("/hook") && !said.contains("cr3dentials") && !said.contains("t0ken"),
        "{said}"
    );
}

#[tokio::test]
#[ignore = "takes half a minute: the waits between posts are those of the contract"]
async fn a_receiver_that_fails_five_times_more_is_given_up_for_that_change_only() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    send(&mut client, at_once(told_to(&receiver, "ask"))).await;
    let began = Instant::now();
    for _ in 0..6 {
        assert_eq!(status_of(&receiver.answer("500 Broken").await), "WORKING");
    }
    let waited = began.elapsed().as_secs_f64();
    assert!((31.0 * 0.8..31.0 * 1.2 + 5.0).contains(&waited), "{waited}");
    assert_eq!(status_of(&receiver.answer("200 OK").await), "INPUT_REQUIRED");
}
