//! Streams: what they tell, that all tell the same, where they end, and that they can be taken up again.

use serde_json::{Value, json};

use crate::{
    http::Listener,
    scene::{at_once, go_on, say, state, with_engine, with_obedient, words},
};

/// What an event of v1.0 is, in a word.
fn word(result: &Value) -> String {
    match result.as_object().and_then(|it| it.iter().next()) {
        Some((kind, value)) if kind == "statusUpdate" => state(value).to_owned(),
        Some((kind, value)) if kind == "artifactUpdate" => {
            format!("made {}", value["artifact"]["parts"][0]["text"].as_str().unwrap_or_default())
        }
        Some((kind, _)) => kind.clone(),
        None => "nothing".into(),
    }
}

fn told(results: &[Value]) -> Vec<String> {
    results.iter().map(word).collect()
}

#[tokio::test]
async fn a_stream_tells_of_each_change_and_ends_with_its_turn() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let results =
        listener.stream("SendStreamingMessage", say("make it"), &[]).await.results().await;
    assert_eq!(told(&results), ["task", "WORKING", "made it", "COMPLETED"]);
    assert_eq!(results[2]["artifactUpdate"]["lastChunk"], true);
    assert!(results[2]["artifactUpdate"].get("append").is_none());

    let results = listener.stream("SendStreamingMessage", say("ask"), &[]).await.results().await;
    assert_eq!(told(&results), ["task", "WORKING", "INPUT_REQUIRED"]);
    let id = results[0]["task"]["id"].as_str().unwrap();
    let mut params = go_on(id, "make more");
    params["configuration"]["historyLength"] = 1.into();
    let more = listener.stream("SendStreamingMessage", params, &[]).await.results().await;
    let history = more[0]["task"]["history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["parts"][0]["text"]), (1, &json!("make more")));
    assert_eq!(told(&more), ["task", "WORKING", "made more", "COMPLETED"]);
    assert_eq!(words(&more[3]["statusUpdate"]), "true");

    let direct =
        listener.stream("SendStreamingMessage", say("answer 42"), &[]).await.results().await;
    assert_eq!(told(&direct), ["message"]);
}

#[tokio::test]
async fn what_an_executor_lets_go_of_half_way_holds_up_nobody() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let stream = listener.stream("SendStreamingMessage", say("drop-and-ask"), &[]).await;
    let results = stream.results().await;
    // The first one had begun; those behind it were still waiting for it.
    assert_eq!(told(&results), ["task", "WORKING", "made 0", "INPUT_REQUIRED"]);
}

#[tokio::test]
async fn the_older_version_marks_the_last_event() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let results = listener.stream("message/stream", say("make it"), &[]).await.results().await;
    let kinds: Vec<_> = results.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["task", "status-update", "artifact-update", "status-update"]);
    assert_eq!((&results[1]["final"], &results[3]["final"]), (&json!(false), &json!(true)));
    assert_eq!((&results[2]["append"], &results[2]["lastChunk"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn what_fails_before_the_first_event_is_no_stream() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let ended = listener.call("SendMessage", say("it")).await["result"]["task"]["id"].clone();
    for (method, params, code) in [
        ("SendStreamingMessage", json!({}), -32602),
        ("SubscribeToTask", json!({ "id": "none" }), -32001),
        ("SubscribeToTask", json!({ "id": ended }), -32004),
        ("tasks/resubscribe", json!({ "id": ended }), -32004),
        ("SendStreamingMessage", go_on("none", "it"), -32001),
    ] {
        let answer = listener.call(method, params).await;
        assert_eq!(answer["error"]["code"], code, "{method}");
    }
    let host = with_engine().plugin("a2a", json!({ "streaming": false })).start().await;
    let listener = Listener::of(&host, json!({})).await;
    assert_eq!(listener.call("SendStreamingMessage", say("it")).await["error"]["code"], -32004);
}

#[tokio::test]
async fn all_streams_of_a_task_tell_the_same_and_one_that_leaves_changes_nothing() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let mut first = listener.stream("SendStreamingMessage", say("wait-and-ask"), &[]).await;
    let task = first.event().await.unwrap().data["result"]["task"].clone();
    assert_eq!(word(&first.event().await.unwrap().data["result"]), "WORKING");
    obedient.waits.acquire().await.unwrap().forget();
    let mut followers = Vec::new();
    for _ in 0..3 {
        let mut follower =
            listener.stream("SubscribeToTask", json!({ "id": task["id"] }), &[]).await;
        let begins = follower.event().await.unwrap();
        assert_eq!((begins.id, state(&begins.data["result"]["task"])), (1, "WORKING"));
        followers.push(follower);
    }
    drop(followers.pop());
    obedient.go.add_permits(1);
    assert_eq!(told(&first.results().await), ["INPUT_REQUIRED"]);
    let more = go_on(task["id"].as_str().unwrap(), "make more");
    listener.call("SendMessage", more).await;
    let heard: Vec<_> =
        [followers.pop().unwrap().results().await, followers.pop().unwrap().results().await].into();
    assert_eq!(heard[0], heard[1]);
    assert_eq!(told(&heard[0]), ["INPUT_REQUIRED", "WORKING", "made more", "COMPLETED"]);
}

#[tokio::test]
async fn a_stream_is_taken_up_where_it_was_left() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let asked = listener.call("SendMessage", say("ask")).await["result"]["task"].clone();
    let id = asked["id"].as_str().unwrap();
    listener.call("SendMessage", at_once(go_on(id, "wait"))).await;
    obedient.waits.acquire().await.unwrap().forget();
    // 1 WORKING, 2 INPUT_REQUIRED, 3 the message, 4 WORKING.
    let mut streams = Vec::new();
    for (after, seq, begins) in
        [("1", 1, "WORKING"), ("2", 2, "INPUT_REQUIRED"), ("99", 4, "WORKING"), ("x", 4, "WORKING")]
    {
        let headers = [("Last-Event-ID", after)];
        let mut stream = listener.stream("SubscribeToTask", json!({ "id": id }), &headers).await;
        let first = stream.event().await.unwrap();
        assert_eq!((first.id, state(&first.data["result"]["task"])), (seq, begins), "{after}");
        streams.push(stream);
    }
    obedient.go.add_permits(1);
    let mut heard = Vec::new();
    for stream in streams {
        heard.push(told(&stream.results().await));
    }
    assert_eq!(heard[0], ["INPUT_REQUIRED", "WORKING", "COMPLETED"]);
    assert_eq!(heard[1], ["WORKING", "COMPLETED"]);
    assert_eq!(
        (&heard[2], &heard[3]),
        (&vec!["COMPLETED".to_owned()], &vec!["COMPLETED".to_owned()])
    );
    // The task ended as the fifth change.
    let missed = listener.stream("SubscribeToTask", json!({ "id": id }), &[("Last-Event-ID", "2")]);
    assert_eq!(told(&missed.await.results().await), ["task", "WORKING", "COMPLETED"]);
    let headers = [("A2A-Version", "1.0"), ("Last-Event-ID", "5")];
    let heard = listener.post("SubscribeToTask", json!({ "id": id }), &headers).await;
    assert_eq!(heard.json().await["error"]["code"], -32004);
}

#[tokio::test]
async fn a_dropped_stream_leaves_the_task_at_work() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let mut stream = listener.stream("SendStreamingMessage", say("wait"), &[]).await;
    let task = stream.event().await.unwrap().data["result"]["task"].clone();
    obedient.waits.acquire().await.unwrap().forget();
    drop(stream);
    obedient.go.add_permits(1);
    loop {
        let task = listener.call("GetTask", json!({ "id": task["id"] })).await;
        if state(&task["result"]) == "COMPLETED" {
            break;
        }
    }
}

#[tokio::test]
async fn cancelling_ends_every_stream() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let mut stream = listener.stream("SendStreamingMessage", say("wait"), &[]).await;
    let task = stream.event().await.unwrap().data["result"]["task"].clone();
    obedient.waits.acquire().await.unwrap().forget();
    let follower = listener.stream("SubscribeToTask", json!({ "id": task["id"] }), &[]).await;
    listener.call("CancelTask", json!({ "id": task["id"] })).await;
    assert_eq!(told(&stream.results().await), ["WORKING", "CANCELED"]);
    assert_eq!(told(&follower.results().await), ["task", "CANCELED"]);
}

#[tokio::test]
async fn the_test_executor_does_as_the_kit_asks() {
    let host = with_engine().plugin("a2a", json!({ "test_executor": true })).start().await;
    let listener = Listener::of(&host, json!({})).await;
    let params = |id: &str| {
        let mut params = say("x");
        params["message"]["messageId"] = id.into();
        params
    };
    for (id, ends, says) in [
        ("tck-complete-task-1", "COMPLETED", "Hello from TCK"),
        ("tck-input-required-1", "INPUT_REQUIRED", "Input is needed"),
        ("tck-reject-task-1", "REJECTED", "rejected"),
        ("else", "COMPLETED", "Unhandled messageId prefix: else"),
    ] {
        let task = listener.call("SendMessage", params(id)).await["result"]["task"].clone();
        assert_eq!((state(&task), words(&task)), (ends, says), "{id}");
    }
    let direct = listener.call("SendMessage", params("tck-message-response")).await;
    assert_eq!(
        direct["result"]["message"]["parts"],
        json!([{ "text": "Direct message response" }])
    );
    let chunked = params("tck-stream-artifact-chunked-1");
    let results = listener.stream("SendStreamingMessage", chunked, &[]).await.results().await;
    assert_eq!(told(&results), ["task", "WORKING", "made chunk-1 ", "made chunk-2", "COMPLETED"]);
    assert_eq!(results[3]["artifactUpdate"]["append"], true);
    let file = listener.call("SendMessage", params("tck-artifact-file-1")).await;
    let part = json!({ "raw": "dGNr", "filename": "output.txt", "mediaType": "text/plain" });
    assert_eq!(file["result"]["task"]["artifacts"][0]["parts"], json!([part]));
}
