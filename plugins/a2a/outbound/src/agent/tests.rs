//! Agents as a script says them: what is asked in which version, and what is read of answers and streams.

use bytes::Bytes;
use carport_a2a_types::{Message, SendResult, Task};
use carport_core::Guarded;

use super::*;
use crate::card::CARD_BYTES;

/// A status, whether a stream follows, and the pieces of the body.
type Said = (u16, bool, Vec<Result<Bytes, Unmet>>);

/// A path, headers and a body.
type Asked = (String, Vec<(String, String)>, Value);

/// Answers with one reply after the other, and remembers what was asked.
#[derive(Default)]
struct Script {
    replies: Guarded<VecDeque<Said>>,
    asked: Guarded<Vec<Asked>>,
}

impl Script {
    fn new<const N: usize>(replies: [(u16, &str); N]) -> Self {
        let script = Self::default();
        let replies = replies.map(|(status, text)| {
            let is_stream = text.starts_with("id:") || text.starts_with("data:");
            (status, is_stream, vec![Ok(Bytes::copy_from_slice(text.as_bytes()))])
        });
        script.replies.lock().extend(replies);
        script
    }

    fn methods(&self) -> Vec<String> {
        let asked = self.asked.lock();
        let method = |it: &Value| it["method"].as_str().unwrap_or_default().to_owned();
        asked.iter().map(|(_, _, body)| method(body)).collect()
    }
}

impl Carrier for &Script {
    async fn carry(&self, request: Request<'_>) -> Result<Reply, Unmet> {
        let body = request.body.map(|it| serde_json::from_slice(&it).unwrap()).unwrap_or_default();
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let headers = request.headers.into_iter().map(own).collect();
        self.asked.lock().push((request.to.url().path().to_owned(), headers, body));
        let next = self.replies.lock().pop_front();
        let (status, is_stream, pieces) = next.ok_or(Unmet::Unreachable)?;
        Ok(Reply { status, is_stream, length: None, pieces: stream::iter(pieces).boxed() })
    }

    fn clean(&self, answer: &mut Value) {
        if let Some(text) = answer.pointer_mut("/error/message") {
            *text = text.as_str().unwrap().replace("s3cret", "***").into();
        }
    }
}

async fn agent(script: &Script) -> Agent<&Script> {
    let url = Target::parse("https://a.example/rpc").unwrap();
    Agent::find(script, &url).await.unwrap()
}

fn error(code: i32) -> String {
    json!({ "error": { "code": code, "message": "s3cret" } }).to_string()
}

const TASK: &str =
    r#"{"result":{"task":{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}}"#;
const OLDER: &str =
    r#"{"result":{"kind":"task","id":"t","contextId":"c","status":{"state":"working"}}}"#;

#[tokio::test]
async fn only_who_did_nothing_is_asked_again() {
    let message = Message::of_agent("m", "hello");
    let send = Ask::Send { message: &message, wait: true };
    for (status, text, again) in [
        (404, "", true),
        (405, "{}", true),
        (404, r#"{"error":"not found"}"#, true),
        (200, &*error(-32601), true),
        (200, &*error(-32009), true),
        (404, &*error(-32001), false),
        (500, "", false),
        (200, "{}", false),
        (302, "", false),
        (401, &*error(-32601), false),
        (200, "data: x\n\n", false),
    ] {
        let script = Script::new([(status, text), (200, OLDER)]);
        let answered: Result<(SendResult, _), _> = agent(&script).await.call(&send).await;
        assert_eq!(answered.is_ok(), again, "{status} {text}");
        let asked = if again { vec!["SendMessage", "message/send"] } else { vec!["SendMessage"] };
        assert_eq!(script.methods(), asked, "{status} {text}");
        if let Err(failure) = answered {
            assert!(!failure.to_string().contains("s3cret"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_heard_event_by_event_and_taken_up_after_the_last_one() {
    let events = format!(": hello\n\nid: 7\ndata: {TASK}\n\ndata: {}\n\n", error(-32603));
    let script = Script::new([(200, &error(-32601)), (200, "data:")]);
    script.replies.lock()[1].2 = events.bytes().map(|it| Ok(Bytes::from(vec![it]))).collect();
    let agent = agent(&script).await.with_extensions(Some("urn:x"));
    let newer = agent.stream(&Ask::Follow { id: "t", after: Some("3") }).await.unwrap();
    assert_eq!(newer.version(), Version::V03);
    assert_eq!(script.methods(), ["SubscribeToTask", "tasks/resubscribe"]);
    let headers = script.asked.lock()[0].1.clone();
    for header in [("last-event-id", "3"), ("a2a-version", "1.0"), ("a2a-extensions", "urn:x")] {
        assert!(headers.contains(&(header.0.into(), header.1.into())), "{header:?}");
    }
    let mut events = Events { version: Version::V1, ..newer };
    assert!(matches!(events.next().await, Ok(Some(StreamResponse::Task(_)))));
    assert_eq!(events.last_id().as_deref(), Some("7"));
    assert!(matches!(events.next().await, Err(Failure::Refused(error)) if error.message == "***"));
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_heard_like_one_of_one_event() {
    let script = Script::new([(200, TASK)]);
    let agent = agent(&script).await;
    let message = Message::of_agent("m", "hello");
    let mut events = agent.stream(&Ask::SendStreaming(&message)).await.unwrap();
    assert!(matches!(events.next().await, Ok(Some(StreamResponse::Task(_)))));
    assert_eq!(events.next().await, Ok(None));
}

#[tokio::test]
async fn a_task_with_a_name_that_is_too_long_is_refused() {
    for (id, context) in [(257, 1), (1, 257), (256, 256)] {
        let [id, context] = [id, context].map(|it| "x".repeat(it));
        let task =
            json!({ "id": id, "contextId": context, "status": { "state": "TASK_STATE_WORKING" } });
        let text = json!({ "result": { "task": task } }).to_string();
        let script = Script::new([(200, &format!("data: {text}\n\n")), (200, &text)]);
        let agent = agent(&script).await;
        for _ in 0..2 {
            let mut events = agent.stream(&Ask::Follow { id: "t", after: None }).await.unwrap();
            match events.next().await {
                Ok(Some(_)) => assert_eq!((id.len(), context.len()), (256, 256)),
                refused => assert_eq!(refused, Err(Failure::LongName(256))),
            }
        }
    }
}

#[tokio::test]
async fn what_is_too_much_is_not_read() {
    let script = Script::new([(200, "data:"), (200, "data: x"), (200, "{}")]);
    let comment = || Ok(Bytes::from_static(b": and on\n"));
    script.replies.lock()[0].2 = vec![comment(), comment(), comment(), Err(Unmet::Broken)];
    let huge = Bytes::from(vec![b'x'; ANSWER_BYTES]);
    script.replies.lock()[1].2.push(Ok(huge.clone()));
    script.replies.lock()[2].2.push(Ok(huge));
    let agent = agent(&script).await;
    let long = Failure::Unmet(Unmet::Long(ANSWER_BYTES));
    for room in [20, usize::MAX] {
        let events = agent.stream(&Ask::Follow { id: "t", after: None }).await.unwrap();
        assert_eq!(events.with_room(room).next().await, Err(long.clone()));
    }
    assert_eq!(agent.call::<Task>(&Ask::Get("t")).await, Err(long));
}

#[tokio::test]
async fn a_card_is_looked_for_at_both_places_and_says_where_to_post() {
    let card = |url: &str| {
        json!({ "name": "a", "description": "", "version": "1", "capabilities": { "streaming": true },
            "url": url, "protocolVersion": "0.3.0", "skills": [] })
        .to_string()
    };
    let url = Target::parse("https://a.example").unwrap();
    let own = Script::new([(404, ""), (200, &card("https://a.example/rpc"))]);
    let found = Agent::find(&own, &url).await.unwrap();
    assert_eq!((found.posted().url().path(), found.declares_streams()), ("/rpc", true));
    assert_eq!(own.asked.lock()[1].0, "/.well-known/agent.json");
    let page = Script::new([(200, "<html>"), (200, &card("https://a.example/rpc"))]);
    assert_eq!(Agent::find(&page, &url).await.unwrap().posted().url().path(), "/rpc");
    for (replies, failure) in [
        ([(200, card("https://b.example/rpc")), (404, String::new())], Failure::Elsewhere),
        ([(200, "{}".into()), (404, String::new())], Failure::BadCard),
        ([(404, String::new()), (200, "<html>".into())], Failure::BadCard),
        ([(404, String::new()), (301, String::new())], Failure::NoCard),
        ([(200, "x".repeat(CARD_BYTES + 1)), (404, String::new())], Unmet::Long(CARD_BYTES).into()),
    ] {
        let script = Script::new(replies.each_ref().map(|(status, text)| (*status, text.as_str())));
        assert_eq!(Agent::find(&script, &url).await.err(), Some(failure));
    }
}
