//! Turns, with models that answer when a test says so.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use carport_core::{
    Result, RpcError, codes,
    testing::{TestClient, TestHost},
};
use carport_inference_api::{INFERENCE, Inference, Pieces, Request};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::{Lab, event, next, pass, start, until};

/// Models whose answers a test gives.
#[derive(Default)]
struct Models {
    slow_only: AtomicBool,
    asked: Mutex<Vec<Request>>,
    slow: Mutex<VecDeque<oneshot::Sender<Result<String>>>>,
    fast: Mutex<VecDeque<mpsc::Sender<Result<String>>>>,
    dropped: Arc<AtomicUsize>,
}

/// Counts calls that were let go of before their answer.
struct Going(Arc<AtomicUsize>);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Inference for Models {
    fn is_ready(&self, prefer_fast: bool) -> bool {
        !prefer_fast || !self.slow_only.load(Ordering::SeqCst)
    }

    async fn complete(&self, request: Request) -> Result<String> {
        if request.max_tokens == Some(1) {
            return Ok("y".into());
        }
        let (tell, told) = oneshot::channel();
        self.asked.lock().unwrap().push(request);
        self.slow.lock().unwrap().push_back(tell);
        let going = Going(self.dropped.clone());
        let answer = told.await.unwrap();
        std::mem::forget(going);
        answer
    }

    async fn stream(&self, request: Request) -> Result<Pieces> {
        let (tell, text) = mpsc::channel(8);
        self.asked.lock().unwrap().push(request);
        self.fast.lock().unwrap().push_back(tell);
        Ok(Pieces { text })
    }
}

impl Models {
    async fn slow(&self) -> oneshot::Sender<Result<String>> {
        until(async || !self.slow.lock().unwrap().is_empty()).await;
        self.slow.lock().unwrap().pop_front().unwrap()
    }

    async fn fast(&self) -> mpsc::Sender<Result<String>> {
        until(async || !self.fast.lock().unwrap().is_empty()).await;
        self.fast.lock().unwrap().pop_front().unwrap()
    }
}

async fn stage() -> (Lab, TestClient, Arc<Models>) {
    let models = Arc::new(Models::default());
    let provided = models.clone() as Arc<dyn Inference>;
    let lab = Lab::of(TestHost::builder().config(|it| it.provide(&INFERENCE, provided))).await;
    let client = lab.host.client().await;
    (lab, client, models)
}

async fn dispatch(client: &mut TestClient, utterance: &str) -> u64 {
    let reply = client.raw("voice.dispatch_turn", json!({ "utterance": utterance })).await.unwrap();
    reply["turn_id"].as_u64().unwrap()
}

fn brief(event: &Value) -> (&str, u64, u64) {
    let kind = event["type"].as_str().unwrap().trim_start_matches("voice.turn.");
    (kind, event["turn_id"].as_u64().unwrap(), event["seq"].as_u64().unwrap())
}

#[tokio::test]
async fn two_tracks_start_together_and_the_slow_one_waits_for_the_fast_one() {
    let (_lab, mut client, models) = stage().await;
    assert_eq!(dispatch(&mut client, "how are you").await, 1);
    let (fast, slow) = (models.fast().await, models.slow().await);
    fast.send(Ok("I am ".into())).await.unwrap();
    assert_eq!(brief(&next(&mut client, "").await), ("fast_delta", 1, 0));
    slow.send(Ok("The long answer.".into())).unwrap();
    fast.send(Ok("well.".into())).await.unwrap();
    assert_eq!(brief(&next(&mut client, "").await), ("fast_delta", 1, 1));
    drop(fast);
    let done = next(&mut client, "").await;
    assert_eq!(brief(&done), ("fast_done", 1, 2));
    assert!(done["first_delta_ms"].is_u64());
    let last = next(&mut client, "").await;
    assert_eq!((brief(&last), &last["text"]), (("sidecar", 1, 3), &json!("The long answer.")));
    let asked = models.asked.lock().unwrap();
    let facts = |it: &Request| (it.prefer_fast, it.remembers.is_some(), it.system.is_some());
    let mut facts: Vec<_> = asked.iter().map(facts).collect();
    facts.sort_unstable();
    assert_eq!(facts, [(false, true, true), (true, false, true)]);
}

#[tokio::test]
async fn a_fast_track_that_does_not_end_is_left_after_five_seconds() {
    let (_lab, mut client, models) = stage().await;
    dispatch(&mut client, "hello").await;
    let (fast, slow) = (models.fast().await, models.slow().await);
    slow.send(Ok("done".into())).unwrap();
    fast.send(Ok("a".into())).await.unwrap();
    next(&mut client, "").await;
    pass(Duration::from_secs(5)).await;
    assert_eq!(brief(&next(&mut client, "").await), ("fast_done", 1, 1));
    assert_eq!(brief(&next(&mut client, "").await), ("sidecar", 1, 2));
    until(async || fast.is_closed()).await;
}

#[tokio::test]
async fn what_a_model_has_not_seen_is_bridged() {
    let (_lab, mut client, models) = stage().await;
    dispatch(&mut client, "Any new email?").await;
    let bridge = next(&mut client, "").await;
    assert_eq!((brief(&bridge), &bridge["kind"]), (("bridge", 1, 0), &json!("email")));
    models.slow().await.send(Ok("None.".into())).unwrap();
    assert_eq!(brief(&next(&mut client, "").await), ("sidecar", 1, 1));
    models.slow_only.store(true, Ordering::SeqCst);
    dispatch(&mut client, "hello").await;
    assert_eq!(next(&mut client, "").await["kind"], "unknown");
    models.slow().await.send(Err(RpcError::internal("no luck"))).unwrap();
    let error = next(&mut client, "").await;
    assert_eq!((brief(&error), &error["error"]), (("error", 2, 1), &json!("no luck")));
    assert!(models.fast.lock().unwrap().is_empty(), "no fast track was started");
    let reply = client.raw("voice.prewarm_turn", json!({})).await.unwrap();
    assert_eq!((&reply["prewarmed"], reply["reason"].is_string()), (&json!(false), true));
    models.slow_only.store(false, Ordering::SeqCst);
    let reply = client.raw("voice.prewarm_turn", json!({})).await.unwrap();
    assert_eq!(reply, json!({ "prewarmed": true }));
}

#[tokio::test]
async fn a_failure_of_the_fast_track_ends_only_it_and_a_slow_sidecar_is_an_error() {
    let (_lab, mut client, models) = stage().await;
    let params = json!({ "utterance": "hello", "sidecar_timeout_ms": 1000 });
    client.raw("voice.dispatch_turn", params).await.unwrap();
    let fast = models.fast().await;
    let _slow = models.slow().await;
    fast.send(Err(RpcError::internal("no"))).await.unwrap();
    assert_eq!(brief(&next(&mut client, "").await), ("fast_done", 1, 0));
    pass(Duration::from_secs(1)).await;
    assert_eq!(brief(&next(&mut client, "").await), ("error", 1, 1));
    assert_eq!(models.dropped.load(Ordering::SeqCst), 1, "the call was let go of");
}

#[tokio::test]
async fn a_new_turn_or_a_cancel_ends_the_old_one_and_late_answers_go_nowhere() {
    let (lab, mut client, models) = stage().await;
    dispatch(&mut client, "one").await;
    let (fast, slow) = (models.fast().await, models.slow().await);
    fast.send(Ok("a".into())).await.unwrap();
    next(&mut client, "").await;
    assert_eq!(dispatch(&mut client, "two").await, 2);
    assert_eq!(brief(&next(&mut client, "").await), ("cancelled", 1, 1));
    drop(slow.send(Ok("late".into())));
    drop(fast.send(Ok("late".into())).await);
    let (_fast, slow) = (models.fast().await, models.slow().await);
    let reply = client.raw("voice.cancel_turn", json!({})).await.unwrap();
    assert_eq!(reply, json!({ "cancelled": true }));
    drop(slow.send(Ok("late".into())));
    assert_eq!(brief(&next(&mut client, "").await), ("cancelled", 2, 0));
    client.raw("voice.cancel_turn", json!({})).await.unwrap();
    assert!(!client.has_heard(|it| it["method"] == "voice.event").await);
    let mut other = lab.host.client().await;
    assert_eq!(dispatch(&mut other, "three").await, 3);
    let _slow = models.slow().await;
    other.vanish();
    until(async || models.dropped.load(Ordering::SeqCst) == 3).await;
}

#[tokio::test]
async fn a_turn_of_a_stream_bears_its_id_and_overlay() {
    let (lab, mut client, models) = stage().await;
    let options =
        json!({ "voice_prompt_overlay": "Be brief.", "barge_in": true, "provider": "remote" });
    start(&mut client, "a", options).await;
    event(&mut client, "a", "session_started").await;
    let ask = |overlay: Option<&str>| json!({ "utterance": "hi", "session_id": "a", "config_overlay": overlay });
    let mut held = Vec::new();
    for (overlay, expected) in [(None, Some("Be brief.")), (Some(""), None), (Some("x"), Some("x"))]
    {
        client.raw("voice.dispatch_turn", ask(overlay)).await.unwrap();
        held.push(models.slow().await);
        assert_eq!(models.asked.lock().unwrap().last().unwrap().system.as_deref(), expected);
    }
    client.raw("voice.dispatch_turn", ask(None)).await.unwrap();
    let _slow = models.slow().await;
    let ear = lab.knobs.ear();
    let text = String::from("stop");
    ear(carport_voice_api::Heard::Partial { utterance: 0, text, start_ms: 0, end_ms: 9 });
    assert_eq!(event(&mut client, "a", "barge_in").await["turn_id"], 4);
    let params = json!({ "utterance": "hi", "session_id": "nobody" });
    let error = client.raw("voice.dispatch_turn", params).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn without_models_there_are_no_turns() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let error = client.raw("voice.dispatch_turn", json!({ "utterance": "hi" })).await.unwrap_err();
    assert_eq!(
        (error.code, &error.data.unwrap()["missing"]),
        (codes::UNAVAILABLE, &json!("inference"))
    );
    let error = client.raw("voice.prepare", json!({ "what": "turn" })).await.unwrap_err();
    assert_eq!(error.code, codes::UNAVAILABLE);
    assert_eq!(client.raw("voice.prewarm_turn", json!({})).await.unwrap()["prewarmed"], false);
    assert_eq!(client.raw("voice.cancel_turn", json!({})).await.unwrap()["cancelled"], true);
}

#[tokio::test]
async fn a_cancel_ends_a_turn_whose_answer_is_held() {
    let (_lab, mut client, models) = stage().await;
    dispatch(&mut client, "hello").await;
    let (fast, slow) = (models.fast().await, models.slow().await);
    fast.send(Ok("a".into())).await.unwrap();
    next(&mut client, "").await;
    slow.send(Ok("held".into())).unwrap();
    client.raw("voice.cancel_turn", json!({})).await.unwrap();
    assert_eq!(brief(&next(&mut client, "").await), ("cancelled", 1, 1));
    until(async || fast.is_closed()).await;
    pass(Duration::from_secs(6)).await;
    assert!(!client.has_heard(|it| it["method"] == "voice.event").await);
}

#[tokio::test]
async fn a_failure_of_the_sidecar_waits_for_the_fast_track_too() {
    let (_lab, mut client, models) = stage().await;
    dispatch(&mut client, "hello").await;
    let (fast, slow) = (models.fast().await, models.slow().await);
    slow.send(Err(RpcError::internal("no luck"))).unwrap();
    fast.send(Ok("a".into())).await.unwrap();
    drop(fast);
    let kinds = ["fast_delta", "fast_done", "error"];
    for (seq, kind) in (0..).zip(kinds) {
        assert_eq!(brief(&next(&mut client, "").await), (kind, 1, seq));
    }
    assert!(!client.has_heard(|it| it["method"] == "voice.event").await);
}

#[tokio::test]
async fn models_that_panic_end_the_turn_and_nothing_else() {
    let (_lab, mut client, models) = stage().await;
    dispatch(&mut client, "mail me").await;
    assert_eq!(brief(&next(&mut client, "").await), ("bridge", 1, 0));
    // Nobody answers: these models panic.
    drop(models.slow().await);
    assert_eq!(brief(&next(&mut client, "").await), ("error", 1, 1));
    client.raw("voice.cancel_turn", json!({})).await.unwrap();
    assert_eq!(dispatch(&mut client, "mail me").await, 2);
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_turn_leaves_one_record_of_what_it_took() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let (_lab, mut client, models) = stage().await;
    dispatch(&mut client, "my secret wish").await;
    let (fast, slow) = (models.fast().await, models.slow().await);
    fast.send(Ok("Well.".into())).await.unwrap();
    drop(fast);
    slow.send(Ok("My answer.".into())).unwrap();
    event(&mut client, "", "voice.turn.sidecar").await;
    dispatch(&mut client, "mail me").await;
    let _slow = models.slow().await;
    client.raw("voice.cancel_turn", json!({})).await.unwrap();
    let records = || {
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|it| it.contains("a turn ended")).map(str::to_owned).collect::<Vec<_>>()
    };
    until(async || records().len() == 2).await;
    let records = records();
    for part in ["turn_id=1", "answered", "first_delta_ms=", "fast_ms=", "sidecar_ms=", "total_ms="]
    {
        assert!(records[0].contains(part), "{part}: {}", records[0]);
    }
    for part in ["turn_id=2", "cancelled", "email", "total_ms="] {
        assert!(records[1].contains(part), "{part}: {}", records[1]);
    }
    let all = records.concat();
    assert!(!["secret", "Well", "My answer"].iter().any(|it| all.contains(it)), "{all}");
}
