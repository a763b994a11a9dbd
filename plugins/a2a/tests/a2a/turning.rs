//! Turns: they outlive whoever asked, come one after the other, and end when their task does.

use std::time::Duration;

use carport_core::testing::TestClient;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::scene::{at_once, go_on, say, send, state, with_obedient, words};

fn id(task: &Value) -> String {
    task["id"].as_str().expect("an id").to_owned()
}

/// Waits until there are so many messages of the task.
async fn has_said(client: &mut TestClient, task: &str, messages: usize) {
    loop {
        let got = client.raw("GetTask", json!({ "id": task })).await.unwrap();
        if got["history"].as_array().unwrap().len() == messages {
            return;
        }
    }
}

#[tokio::test]
async fn a_turn_outlives_the_connection_that_asked() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    client.send("SendMessage", say("wait")).await;
    obedient.waits.acquire().await.unwrap().forget();
    client.vanish();
    host.emptied().await;
    let mut client = host.client().await;
    let list = client.raw("ListTasks", json!({ "status": "working" })).await.unwrap();
    assert_eq!(list["totalSize"], 1);
    let id = id(&list["tasks"][0]);
    obedient.go.add_permits(1);
    loop {
        let task = client.raw("GetTask", json!({ "id": id })).await.unwrap();
        match state(&task) {
            "WORKING" => tokio::task::yield_now().await,
            ended => break assert_eq!((ended, words(&task)), ("COMPLETED", "did wait as client")),
        }
    }
}

#[tokio::test]
async fn a_call_waits_unless_it_says_otherwise() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    let task = send(&mut client, at_once(say("wait"))).await;
    assert!(["SUBMITTED", "WORKING"].contains(&state(&task)));
    let waiting = client.send("message/send", go_on(&id(&task), "then")).await;
    obedient.waits.acquire().await.unwrap().forget();
    let cancelled = other.raw("CancelTask", json!({ "id": task["id"] })).await.unwrap();
    assert_eq!(state(&cancelled), "CANCELED");
    let answered = client.reply(waiting).await;
    match answered {
        Ok(task) => assert_eq!(task["status"]["state"], "canceled"),
        Err(error) => assert_eq!(error.code, -32004),
    }
}

#[tokio::test]
async fn cancelling_drops_the_turn_and_is_final() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let task = send(&mut client, at_once(say("wait"))).await;
    obedient.waits.acquire().await.unwrap().forget();
    let dropped = obedient.dropped.clone();
    let cancelled = client.raw("CancelTask", json!({ "id": task["id"] })).await.unwrap();
    assert_eq!(state(&cancelled), "CANCELED");
    timeout(Duration::from_secs(60), dropped.notified()).await.expect("the executor is told");
    obedient.go.add_permits(1);
    for (method, params, code) in [
        ("CancelTask", json!({ "id": task["id"] }), -32002),
        ("SendMessage", go_on(&id(&task), "more"), -32004),
    ] {
        assert_eq!(client.raw(method, params).await.unwrap_err().code, code, "{method}");
    }
    let task = client.raw("GetTask", json!({ "id": task["id"] })).await.unwrap();
    assert_eq!(state(&task), "CANCELED");
}

#[tokio::test]
async fn a_task_that_asks_goes_on_with_the_next_message() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let asks = send(&mut client, say("ask")).await;
    assert_eq!((state(&asks), words(&asks)), ("INPUT_REQUIRED", "what?"));
    let mut elsewhere = go_on(&id(&asks), "done");
    elsewhere["message"]["contextId"] = "another".into();
    let error = client.raw("SendMessage", elsewhere).await.unwrap_err();
    assert_eq!(error.data.unwrap()[1]["fieldViolations"][0]["field"], "message.contextId");
    let again = send(&mut client, go_on(&id(&asks), "ask again")).await;
    assert_eq!(state(&again), "INPUT_REQUIRED");
    let done = send(&mut client, go_on(&id(&asks), "enough")).await;
    assert_eq!((state(&done), words(&done)), ("COMPLETED", "did enough as client"));
    let said: Vec<_> = done["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["parts"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["ask", "what?", "ask again", "what?", "enough", "did enough as client"]);
    assert_eq!(done["contextId"], asks["contextId"]);
}

#[tokio::test]
async fn messages_to_a_working_task_wait_for_their_turns_and_not_without_bound() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let task = id(&send(&mut client, at_once(say("wait-and-ask"))).await);
    obedient.waits.acquire().await.unwrap().forget();
    for n in 0..15 {
        send(&mut client, at_once(go_on(&task, &format!("ask {n}")))).await;
    }
    let last = client.send("SendMessage", go_on(&task, "ask last")).await;
    has_said(&mut client, &task, 17).await;
    let error = client.raw("SendMessage", go_on(&task, "one more")).await.unwrap_err();
    assert_eq!(error.code, -32603);
    assert_eq!(error.data.unwrap()[0]["reason"], "RESOURCE_EXHAUSTED");
    obedient.go.add_permits(1);
    let answered = client.reply(last).await.unwrap();
    assert_eq!(state(&answered["task"]), "INPUT_REQUIRED");
    assert_eq!(answered["task"]["history"].as_array().unwrap().len(), 17 + 17);
    let done = send(&mut client, go_on(&task, "finish")).await;
    assert_eq!(state(&done), "COMPLETED");
}

#[tokio::test]
async fn a_message_whose_turn_never_came_gets_no_task_for_an_answer() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    let task = id(&send(&mut client, at_once(say("wait-and-fail"))).await);
    obedient.waits.acquire().await.unwrap().forget();
    let waiting = client.send("SendMessage", go_on(&task, "then")).await;
    has_said(&mut other, &task, 2).await;
    obedient.go.add_permits(1);
    let refused = client.reply(waiting).await.unwrap_err();
    assert_eq!(
        (refused.code, &refused.data.unwrap()[0]["metadata"]["taskId"]),
        (-32004, &json!(task))
    );
    let ended = client.raw("GetTask", json!({ "id": task })).await.unwrap();
    assert_eq!((state(&ended), words(&ended)), ("FAILED", "no"));
}

#[tokio::test]
async fn a_task_with_messages_that_wait_is_completed_by_the_last_of_them() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    let first = client.send("SendMessage", say("wait")).await;
    obedient.waits.acquire().await.unwrap().forget();
    let list = other.raw("ListTasks", json!({})).await.unwrap();
    let task = id(&list["tasks"][0]);
    send(&mut other, at_once(go_on(&task, "wait again"))).await;
    let last = other.send("SendMessage", go_on(&task, "and then")).await;
    has_said(&mut host.client().await, &task, 3).await;
    obedient.go.add_permits(1);
    let first = client.reply(first).await.unwrap();
    let turn = (state(&first["task"]), words(&first["task"]));
    assert_eq!(turn, ("INPUT_REQUIRED", "did wait as client"), "it has the input already");
    obedient.go.add_permits(1);
    let last = other.reply(last).await.unwrap();
    assert_eq!(
        (state(&last["task"]), words(&last["task"])),
        ("COMPLETED", "did and then as client")
    );
    let said = last["task"]["history"].as_array().unwrap().iter();
    let said: Vec<_> = said.map(|it| it["parts"][0]["text"].as_str().unwrap()).collect();
    let [_, _, _, answers @ ..] = &said[..] else { panic!("{said:?}") };
    assert_eq!(
        answers,
        ["did wait as client", "did wait again as client", "did and then as client"]
    );
}

#[tokio::test]
async fn a_panic_fails_its_task_only() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let task = send(&mut client, say("panic")).await;
    assert_eq!((state(&task), words(&task)), ("FAILED", "the executor failed inside"));
    assert_eq!(state(&send(&mut client, say("go on")).await), "COMPLETED");
}

#[tokio::test]
async fn a_task_that_makes_too_much_fails_and_stays_readable() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let mut params = say("flood");
    params["configuration"]["historyLength"] = 1.into();
    let task = send(&mut client, params).await;
    assert_eq!(state(&task), "FAILED");
    assert!(words(&task).contains("more than 8388608 bytes of artifacts"), "{}", words(&task));
    let parts = task["artifacts"][0]["parts"].as_array().unwrap().len();
    assert_eq!(parts, 7);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_too_long_answers_with_the_task_as_it_is() {
    let (builder, obedient) = with_obedient();
    let section = json!({ "blocking_limit_s": 5, "store": "memory" });
    let host = builder.plugin("a2a", section).start().await;
    let mut client = host.client().await;
    let task = send(&mut client, say("wait")).await;
    assert_eq!(state(&task), "WORKING");
    obedient.go.add_permits(1);
    let task = send(&mut client, say("next")).await;
    assert_eq!(state(&task), "COMPLETED");
}

#[tokio::test]
async fn many_tasks_at_once_all_end() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(host.client().await);
    }
    for client in &mut clients {
        for _ in 0..12 {
            send(client, at_once(say("wait"))).await;
        }
    }
    obedient.go.add_permits(60);
    loop {
        let done = json!({ "pageSize": 1, "status": "completed" });
        if clients[0].raw("ListTasks", done).await.unwrap()["totalSize"] == 60 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_caller_has_1024_turns_at_most_and_takes_none_from_another_one() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    for _ in 0..1024 {
        send(&mut client, at_once(say("wait"))).await;
    }
    let error = client.raw("SendMessage", at_once(say("wait"))).await.unwrap_err();
    let info = &error.data.unwrap()[0];
    assert_eq!((error.code, &info["reason"]), (-32603, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(
        (&info["metadata"]["field"], &info["metadata"]["limit"]),
        (&json!("message"), &json!("1024"))
    );
    let list = client.raw("ListTasks", json!({ "pageSize": 1 })).await.unwrap();
    assert_eq!(list["totalSize"], 1024, "no task was made");
    let done = send(&mut host.agent("other").await, say("it")).await;
    assert_eq!(state(&done), "COMPLETED");
    obedient.go.add_permits(1024);
    loop {
        let list = client.raw("ListTasks", json!({ "pageSize": 1, "status": "completed" })).await;
        if list.unwrap()["totalSize"] == 1024 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(state(&send(&mut client, say("it")).await), "COMPLETED");
}

#[tokio::test]
async fn a_message_that_makes_a_task_too_large_ends_it_and_the_turn_that_runs() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let task = id(&send(&mut client, at_once(say("wait"))).await);
    obedient.waits.acquire().await.unwrap().forget();
    let mut large = at_once(go_on(&task, &"x".repeat(7 << 20)));
    large["configuration"]["historyLength"] = 0.into();
    for _ in 0..4 {
        send(&mut client, large.clone()).await;
    }
    let error = client.raw("SendMessage", large).await.unwrap_err();
    let info = &error.data.unwrap()[0];
    assert_eq!((error.code, &info["reason"]), (-32603, &json!("RESOURCE_EXHAUSTED")));
    assert_eq!(info["metadata"]["limit"], "33554432");
    timeout(Duration::from_secs(60), obedient.dropped.notified()).await.expect("the turn is over");
    let failed = client.raw("GetTask", json!({ "id": task, "historyLength": 0 })).await.unwrap();
    assert_eq!(state(&failed), "FAILED");
    assert!(words(&failed).contains("more than 33554432 bytes"), "{}", words(&failed));
}
