//! Peers that stream: well, badly, without end, of something else, or not at all although their card says so.

use std::{sync::Arc, time::Duration};

use carport_core::testing::TestClient;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::TcpListener,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{
    asking::{host, read_request, send},
    peer::create,
    scene::{state, with_obedient, words},
    sheet::with_sheet,
};

/// What follows the beginning of an answer.
enum Then {
    /// Its end.
    Ends,
    /// The connection breaks.
    Breaks,
    /// Nothing, for as long as anybody listens.
    Hangs,
    /// The same again and again, for as long as anybody listens.
    Floods(String),
    /// The rest, when it is time.
    Goes(Arc<Notify>, String),
}

type Answer = (&'static str, String, Then);

/// What was asked, and how many bytes were taken of floods.
type Serving = JoinHandle<(Vec<String>, usize)>;

/// A peer whose card says that it streams, and that gives each request after that for the card the next answer: a
/// media type, a body, and what follows.
async fn streaming(card: Value, answers: Vec<Answer>) -> (String, Serving) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let card = card.to_string().replace("OWN", &url);
    let first: Answer = ("application/json", card, Then::Ends);
    let serving = tokio::spawn(async move {
        let (mut asked, mut taken) = (Vec::new(), 0);
        for (media_type, body, then) in std::iter::once(first).chain(answers) {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.push(read_request(&mut stream).await);
            let more = if matches!(then, Then::Breaks) { "Content-Length: 999999\r\n" } else { "" };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{more}Connection: close\r\n\r\n"
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            match then {
                Then::Ends | Then::Breaks => {}
                Then::Hangs => {
                    let mut byte = [0];
                    let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await;
                }
                Then::Floods(piece) => {
                    while taken < 200 << 20 && stream.write_all(piece.as_bytes()).await.is_ok() {
                        taken += piece.len();
                    }
                }
                Then::Goes(when, rest) => {
                    when.notified().await;
                    stream.write_all(rest.as_bytes()).await.unwrap();
                }
            }
        }
        (asked, taken)
    });
    (url, serving)
}

fn newer() -> Value {
    let interface =
        json!({ "url": "OWN/rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" });
    json!({ "name": "p", "description": "", "version": "1", "capabilities": { "streaming": true },
        "supportedInterfaces": [interface] })
}

const SSE: &str = "text/event-stream; charset=utf-8";
const JSON: &str = "application/json";

fn envelope(member: &str, value: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, member: value }).to_string()
}

/// Events from a number on.
fn events(from: usize, all: &[Value]) -> String {
    let event = |(at, it): (usize, &Value)| {
        format!("id: {}\ndata: {}\n\n", from + at, envelope("result", it))
    };
    all.iter().enumerate().map(event).collect()
}

fn refusal(code: i32) -> String {
    envelope("error", &json!({ "code": code, "message": "no" }))
}

fn status(state: &str) -> Value {
    let said = json!({ "messageId": state, "role": "ROLE_AGENT", "parts": [{ "text": state }] });
    json!({ "state": format!("TASK_STATE_{state}"), "message": said })
}

fn task(state: &str) -> Value {
    json!({ "task": { "id": "t", "contextId": "c", "status": status(state) } })
}

fn update(task: &str, state: &str) -> Value {
    json!({ "statusUpdate": { "taskId": task, "contextId": "c", "status": status(state) } })
}

fn made(task: &str, id: &str, part: &Value) -> Value {
    let artifact = json!({ "artifactId": id, "parts": [part] });
    json!({ "artifactUpdate": { "taskId": task, "contextId": "c", "artifact": artifact } })
}

fn surface(id: &str) -> Value {
    json!({ "data": [create(id)], "mediaType": "application/a2ui+json" })
}

/// The method of each request after that for the card, and the event after which a stream was to go on.
async fn methods(serving: Serving) -> Vec<String> {
    let (asked, _) =
        timeout(Duration::from_secs(10), serving).await.expect("it is hung up on").unwrap();
    let method = |request: &String| {
        let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let after = request.lines().find_map(|it| it.strip_prefix("last-event-id: "));
        let after = after.map(|it| format!(" after {it}")).unwrap_or_default();
        format!("{}{after}", body["method"].as_str().unwrap())
    };
    asked[1..].iter().map(method).collect()
}

async fn sent(client: &mut TestClient, url: &str) -> Value {
    client.raw("a2a.send", send(url)).await.unwrap()["result"]["task"].take()
}

#[tokio::test]
async fn what_a_peer_draws_is_drawn_as_it_comes_and_once() {
    let when = Arc::new(Notify::new());
    let first = events(1, &[task("WORKING"), made("t", "a", &surface("s1"))]);
    let mut end = update("t", "COMPLETED");
    end["statusUpdate"]["status"]["message"]["parts"] = json!([surface("s2")]);
    let rest = events(3, &[made("other", "a", &surface("s3")), end]);
    let answers = vec![(SSE, first, Then::Goes(when.clone(), rest))];
    let (url, serving) = streaming(newer(), answers).await;
    let (builder, sheet) = with_sheet(with_obedient().0);
    let host = builder.plugin("a2a", json!({ "allow": ["127.0.0.1"] })).start().await;
    let mut client = host.client().await;
    let sending = tokio::spawn(async move { client.raw("a2a.send", send(&url)).await });
    let began = Instant::now();
    while sheet.given.lock().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(10), "nothing is drawn before the end");
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished());
    when.notify_one();
    let sent = sending.await.unwrap().unwrap();
    let applied = sent["a2ui"]["applied"].as_array().unwrap();
    let ids: Vec<_> = applied.iter().map(|it| &it["surfaceId"]).collect();
    assert_eq!(ids, ["s1", "s2"], "of its own task");
    let given = std::mem::take(&mut *sheet.given.lock());
    let about = |at: usize| (given[at].task_id.as_deref(), given[at].context_id.as_deref());
    assert_eq!(
        (given.len(), about(0), about(1)),
        (2, (Some("t"), Some("c")), (Some("t"), Some("c")))
    );
    assert_eq!(state(&sent["result"]["task"]), "COMPLETED");
    assert_eq!(methods(serving).await, ["SendStreamingMessage"]);
}

#[tokio::test]
async fn a_stream_that_never_ends_is_left_when_its_turn_is_over() {
    let host = host().await;
    let mut client = host.client().await;
    for end in ["COMPLETED", "INPUT_REQUIRED", "REJECTED"] {
        let told = events(1, &[task("SUBMITTED"), update("t", "WORKING"), update("t", end)]);
        let (url, serving) = streaming(newer(), vec![(SSE, told, Then::Hangs)]).await;
        let task = sent(&mut client, &url).await;
        assert_eq!((state(&task), words(&task)), (end, end));
        assert_eq!(task["history"].as_array().unwrap().len(), 2);
        assert_eq!(methods(serving).await, ["SendStreamingMessage"]);
    }
    let said = json!({ "message": { "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "hi" }] } });
    let (url, _) =
        streaming(newer(), vec![(SSE, events(1, std::slice::from_ref(&said)), Then::Hangs)]).await;
    assert_eq!(client.raw("a2a.send", send(&url)).await.unwrap()["result"], said);
}

#[tokio::test]
async fn a_hundred_megabytes_of_events_are_not_read() {
    let host = host().await;
    let mut client = host.client().await;
    let big = json!({ "text": "x".repeat(1 << 16) });
    for piece in [
        events(2, &[made("t", "a", &big)]),
        ": nothing\n".repeat(1000),
        "data: and on\n".repeat(1000),
        "x".repeat(1 << 16),
    ] {
        let answers = vec![(SSE, events(1, &[task("WORKING")]), Then::Floods(piece))];
        let (url, serving) = streaming(newer(), answers).await;
        let error = client.raw("a2a.send", send(&url)).await.unwrap_err();
        let data = error.data.unwrap();
        assert_eq!((&data["reason"], &data["limit"]), (&json!("peer_error"), &json!(8 << 20)));
        assert_eq!(data["taskId"], "t");
        let (_, taken) = timeout(Duration::from_secs(20), serving).await.unwrap().unwrap();
        assert!(taken < 50 << 20, "{taken} bytes were taken");
    }
    let many = events(2, &[update("other", "WORKING")]);
    let answers = vec![(SSE, events(1, &[task("WORKING")]), Then::Floods(many))];
    let (url, _) = streaming(newer(), answers).await;
    let error = client.raw("a2a.send", send(&url)).await.unwrap_err();
    assert_eq!(error.data.unwrap()["limit"], 10_000);
}

#[tokio::test]
async fn events_of_another_task_are_left_out() {
    let told = [
        task("WORKING"),
        made("other", "a", &json!({ "text": "theirs" })),
        update("other", "FAILED"),
        made("t", "a", &json!({ "text": "own" })),
        update("t", "COMPLETED"),
    ];
    let (url, _) = streaming(newer(), vec![(SSE, events(1, &told), Then::Ends)]).await;
    let host = host().await;
    let task = sent(&mut host.client().await, &url).await;
    assert_eq!((state(&task), &task["id"]), ("COMPLETED", &json!("t")));
    assert_eq!(task["artifacts"], json!([{ "artifactId": "a", "parts": [{ "text": "own" }] }]));
}

#[tokio::test]
async fn a_card_that_lies_about_streams_costs_one_more_request() {
    let host = host().await;
    let mut client = host.client().await;
    let done = || (JSON, envelope("result", &task("COMPLETED")), Then::Ends);
    let older = || (JSON, refusal(-32601), Then::Ends);
    for (answers, asked) in [
        (
            vec![(JSON, refusal(-32601), Then::Ends), older(), done()],
            vec!["SendStreamingMessage", "message/stream", "SendMessage"],
        ),
        (
            vec![(JSON, refusal(-32004), Then::Ends), done()],
            vec!["SendStreamingMessage", "SendMessage"],
        ),
        (vec![done()], vec!["SendStreamingMessage"]),
        (
            vec![
                (JSON, envelope("result", &task("WORKING")), Then::Ends),
                older(),
                (JSON, envelope("result", &task("COMPLETED")["task"]), Then::Ends),
            ],
            vec!["SendStreamingMessage", "SubscribeToTask", "GetTask"],
        ),
    ] {
        let (url, serving) = streaming(newer(), answers).await;
        assert_eq!(state(&sent(&mut client, &url).await), "COMPLETED", "{asked:?}");
        assert_eq!(methods(serving).await, asked);
    }
    for answer in [
        (SSE, String::new(), Then::Ends),
        (SSE, "data: {}\n\n".into(), Then::Ends),
        (SSE, "data: {\"result\":{\"task\":7}}\n\n".into(), Then::Ends),
        (JSON, "no JSON".into(), Then::Ends),
        (JSON, refusal(-32001), Then::Ends),
        (SSE, format!("data: {}\n\n", refusal(-32004)), Then::Ends),
        (SSE, format!("data: {}\n\n", refusal(-32601)), Then::Ends),
    ] {
        let (url, serving) = streaming(newer(), vec![answer]).await;
        let error = client.raw("a2a.send", send(&url)).await.unwrap_err();
        let data = error.data.unwrap();
        assert_eq!((error.code, &data["reason"]), (-32603, &json!("peer_error")));
        assert_eq!(methods(serving).await, ["SendStreamingMessage"], "it may have been done");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_taken_up_twice_and_then_the_task_is_looked_at() {
    let host = host().await;
    let mut client = host.client().await;
    let half = json!({ "text": "half" });
    let first = || (SSE, events(1, &[task("WORKING"), made("t", "a", &half)]), Then::Breaks);
    let mut whole = task("WORKING");
    whole["task"]["artifacts"] = json!([{ "artifactId": "a", "parts": [half] }]);
    let mut done = task("COMPLETED");
    done["task"]["artifacts"] = whole["task"]["artifacts"].clone();
    let resumed = (SSE, events(2, &[whole.clone(), update("t", "COMPLETED")]), Then::Hangs);
    let looked = || (JSON, envelope("result", &done["task"]), Then::Ends);
    let again = |then| (SSE, events(2, std::slice::from_ref(&whole)), then);
    for (answers, asked) in [
        (vec![first(), resumed], vec!["SendStreamingMessage", "SubscribeToTask after 2"]),
        (
            vec![first(), again(Then::Breaks), again(Then::Ends), looked()],
            vec![
                "SendStreamingMessage",
                "SubscribeToTask after 2",
                "SubscribeToTask after 2",
                "GetTask",
            ],
        ),
        (
            vec![first(), (JSON, refusal(-32004), Then::Ends), looked()],
            vec!["SendStreamingMessage", "SubscribeToTask after 2", "GetTask"],
        ),
    ] {
        let (url, serving) = streaming(newer(), answers).await;
        let task = sent(&mut client, &url).await;
        assert_eq!(state(&task), "COMPLETED", "{asked:?}");
        assert_eq!(task["artifacts"], whole["task"]["artifacts"], "{asked:?}");
        assert_eq!(methods(serving).await, asked);
    }
    // Where nobody is there any more the answer is the task as it was heard last.
    let (url, serving) = streaming(newer(), vec![first()]).await;
    let task = sent(&mut client, &url).await;
    assert_eq!((state(&task), &task["artifacts"]), ("WORKING", &whole["task"]["artifacts"]));
    assert_eq!(methods(serving).await, ["SendStreamingMessage"]);
}

#[tokio::test]
async fn what_was_missed_is_looked_for_before_the_answer() {
    let host = host().await;
    let mut client = host.client().await;
    let looked = |state: &str| (JSON, envelope("result", &task(state)["task"]), Then::Ends);
    let first = || (SSE, events(1, &[task("WORKING")]), Then::Breaks);
    let news = |at: usize| {
        (
            SSE,
            events(at, &[task("WORKING"), made("t", &at.to_string(), &json!({ "text": "x" }))]),
            Then::Breaks,
        )
    };
    let end = |then| (SSE, events(9, &[update("t", "COMPLETED")]), then);
    let unread = format!("{}data: {{}}\n\n", events(1, &[task("WORKING")]));
    let failing = || {
        (SSE, format!("{}data: {}\n\n", events(1, &[task("WORKING")]), refusal(-32603)), Then::Ends)
    };
    let (sends, looks) = ("SendStreamingMessage", "GetTask");
    let after = |n: usize| format!("SubscribeToTask after {n}");
    for (answers, asked) in [
        // It does not begin with the task.
        (
            vec![first(), end(Then::Hangs), looked("COMPLETED")],
            vec![sends.into(), after(1), looks.into()],
        ),
        // Each that tells something is followed by two more.
        (
            vec![first(), news(1), news(3), news(5), end(Then::Ends), looked("COMPLETED")],
            vec![sends.into(), after(1), after(2), after(4), after(6), looks.into()],
        ),
        // One event does not read.
        (
            vec![(SSE, unread + &end(Then::Ends).1, Then::Ends), looked("COMPLETED")],
            vec![sends.into(), looks.into()],
        ),
        // What the stream says is wrong is not wrong with the task.
        (vec![failing(), looked("COMPLETED")], vec![sends.into(), looks.into()]),
    ] {
        let (url, serving) = streaming(newer(), answers).await;
        assert_eq!(state(&sent(&mut client, &url).await), "COMPLETED", "{asked:?}");
        assert_eq!(methods(serving).await, asked);
    }
    let (url, _) = streaming(newer(), vec![failing(), looked("WORKING")]).await;
    let data = client.raw("a2a.send", send(&url)).await.unwrap_err().data.unwrap();
    assert_eq!((&data["peer"]["code"], &data["taskId"]), (&json!(-32603), &json!("t")));
}

#[tokio::test]
async fn a_task_that_goes_on_does_not_end_with_the_question_before() {
    let host = host().await;
    let asks = || task("INPUT_REQUIRED");
    let told = [asks(), update("t", "WORKING"), update("t", "INPUT_REQUIRED")];
    let answers =
        vec![(SSE, events(1, &[asks()]), Then::Breaks), (SSE, events(1, &told), Then::Hangs)];
    let (url, serving) = streaming(newer(), answers).await;
    let mut params = send(&url);
    params["message"]["taskId"] = "t".into();
    let sent = host.client().await.raw("a2a.send", params).await.unwrap();
    let history = sent["result"]["task"]["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "the question before, and what followed: {history:?}");
    assert_eq!(methods(serving).await, ["SendStreamingMessage", "SubscribeToTask after 1"]);
}

#[tokio::test]
async fn a_peer_of_the_older_version_streams_in_its_own_words() {
    let card = json!({ "name": "old", "description": "", "version": "1", "url": "OWN/rpc",
        "capabilities": { "streaming": true }, "protocolVersion": "0.3.0", "skills": [] });
    let told = [
        json!({ "kind": "task", "id": "t", "contextId": "c", "status": { "state": "submitted" } }),
        json!({ "kind": "artifact-update", "taskId": "t", "contextId": "c", "append": false, "lastChunk": true,
            "artifact": { "artifactId": "a", "parts": [{ "kind": "text", "text": "it" }] } }),
        json!({ "kind": "status-update", "taskId": "t", "contextId": "c", "final": true,
            "status": { "state": "completed" } }),
    ];
    let answers = vec![(JSON, refusal(-32601), Then::Ends), (SSE, events(1, &told), Then::Hangs)];
    let (url, serving) = streaming(card, answers).await;
    let host = host().await;
    let sent = host.client().await.raw("a2a.send", send(&url)).await.unwrap();
    let task = &sent["result"]["task"];
    assert_eq!((&sent["version"], state(task)), (&json!("0.3"), "COMPLETED"));
    assert_eq!(task["artifacts"][0]["parts"], json!([{ "text": "it" }]));
    assert_eq!(methods(serving).await, ["SendStreamingMessage", "message/stream"]);
}

#[tokio::test]
async fn what_does_not_wait_for_the_work_is_not_streamed() {
    let host = host().await;
    let answers = vec![(JSON, envelope("result", &task("WORKING")), Then::Ends)];
    let (url, serving) = streaming(newer(), answers).await;
    let mut params = send(&url);
    params["blocking"] = false.into();
    let sent = host.client().await.raw("a2a.send", params).await.unwrap();
    assert_eq!(state(&sent["result"]["task"]), "WORKING");
    assert_eq!(methods(serving).await, ["SendMessage"]);
}
