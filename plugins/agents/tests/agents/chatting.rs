//! Chats: two ends, their order, their limits.

use carport_agents::{AskApprove, AskChat};
use carport_core::{codes, testing::TestClient};
use serde_json::{Value, json};

use crate::{attach, host, host_with, to_the_end};

/// Asks an agent for a turn and lets it accept.
pub(crate) async fn begin(client: &mut TestClient, agent: &mut TestClient, chat: &str) -> AskChat {
    let call = json!({ "agent_id": "helper", "prompt": "hello", "session_id": chat });
    let id = client.send("agents.chat", call).await;
    let ask = accept(agent).await;
    let begun = client.reply(id).await.unwrap();
    assert_eq!(begun, json!({ "accepted": true, "session_id": chat }));
    ask
}

async fn accept(agent: &mut TestClient) -> AskChat {
    let (id, ask) = agent.asked::<AskChat>().await;
    agent.answer(&id, json!({ "accepted": true })).await;
    ask
}

pub(crate) async fn say(agent: &mut TestClient, chat: &str, kind: &str, members: Value) -> bool {
    let mut event = json!({ "session_id": chat, "kind": kind });
    event.as_object_mut().unwrap().extend(members.as_object().cloned().unwrap_or_default());
    agent.raw("agent.chat.event", event).await.unwrap()["ok"] == true
}

#[tokio::test]
async fn two_hosts_chat_with_one_agent_and_hear_each_their_own() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let (mut one, mut two) = (host.client().await, host.host().await);
    let ask = begin(&mut one, &mut agent, "c1").await;
    assert_eq!((ask.prompt.as_str(), ask.stream, ask.goal), ("hello", true, None));
    begin(&mut two, &mut agent, "c2").await;
    for (chat, delta) in [("c1", "a"), ("c2", "x"), ("c1", "b")] {
        assert!(say(&mut agent, chat, "token", json!({ "delta": delta, "seq": 99 })).await);
    }
    assert!(say(&mut agent, "c1", "done", json!({})).await);
    assert!(say(&mut agent, "c2", "done", json!({ "delta": "whole", "usage": 7 })).await);
    let heard = to_the_end(&mut one).await;
    let seqs: Vec<_> = heard.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3]);
    let last = json!({
        "session_id": "c1", "agent_id": "helper", "seq": 3, "kind": "done", "text": "ab",
        "finish_reason": "stop",
    });
    assert_eq!(heard[2], last);
    let other = to_the_end(&mut two).await;
    assert_eq!(other.len(), 2);
    assert_eq!((&other[1]["text"], &other[1]["usage"]), (&json!("whole"), &json!(7)));
    assert!(!say(&mut agent, "c1", "token", json!({})).await, "an ended chat hears nothing");
}

#[tokio::test]
async fn what_an_agent_says_before_it_accepts_follows_the_reply() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let call = json!({ "agent_id": "helper", "prompt": "p", "session_id": "early" });
    let id = client.send("agents.chat", call).await;
    let (ask, _) = agent.asked::<AskChat>().await;
    for n in 0..3 {
        assert!(say(&mut agent, "early", "token", json!({ "delta": n.to_string() })).await);
    }
    assert!(say(&mut agent, "early", "done", json!({})).await);
    assert!(!client.has_heard(|frame| frame["method"] == "agents.chat.event").await);
    agent.answer(&ask, json!({ "accepted": true })).await;
    // The first frame that comes is the reply.
    let first = client.frame(|it| it["id"] == id || it["method"] == "agents.chat.event").await;
    assert_eq!(first["result"]["session_id"], "early");
    let heard = to_the_end(&mut client).await;
    assert_eq!(heard.len(), 4);
    assert_eq!(heard[3]["text"], "012");
}

#[tokio::test]
async fn without_streaming_only_the_whole_text_comes() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let call =
        json!({ "agent_id": "helper", "prompt": "p", "session_id": "quiet", "stream": false });
    let id = client.send("agents.chat", call).await;
    assert!(!accept(&mut agent).await.stream);
    client.reply(id).await.unwrap();
    for word in ["so ", "it ", "is"] {
        say(&mut agent, "quiet", "token", json!({ "delta": word })).await;
    }
    say(&mut agent, "quiet", "done", json!({ "goal_unevaluated": true })).await;
    let heard = to_the_end(&mut client).await;
    assert_eq!(heard.len(), 1);
    assert_eq!((&heard[0]["text"], &heard[0]["seq"]), (&json!("so it is"), &json!(1)));
}

#[tokio::test]
async fn an_agent_that_is_not_there_or_does_not_want_to_is_an_error() {
    let host = host().await;
    let mut client = host.client().await;
    let call = json!({ "agent_id": "helper", "prompt": "p", "session_id": "c" });
    let unknown = client.raw("agents.chat", call.clone()).await.unwrap_err();
    assert_eq!(unknown.code, codes::NOT_FOUND);
    let mut agent = attach(&host, "helper").await;
    for answer in [json!({ "accepted": false }), json!(7)] {
        let id = client.send("agents.chat", call.clone()).await;
        let (ask, _) = agent.asked::<AskChat>().await;
        agent.answer(&ask, answer).await;
        assert_eq!(client.reply(id).await.unwrap_err().code, codes::GONE);
        assert_eq!(agent.notification("agent.chat.cancel").await["session_id"], "c");
    }
    let id = client.send("agents.chat", call.clone()).await;
    let (ask, _) = agent.asked::<AskChat>().await;
    let busy = carport_core::RpcError::new(-32050, "busy");
    agent.answer_error(&ask, &busy).await;
    let error = client.reply(id).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["agent_error"]), (codes::GONE, &json!("busy")));
    agent.close().await;
    host.emptied_but(&client).await;
    let gone = client.raw("agents.chat", call).await.unwrap_err();
    assert_eq!(gone.code, codes::GONE);
}

#[tokio::test(start_paused = true)]
async fn an_agent_has_five_seconds_to_accept() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let before = tokio::time::Instant::now();
    let call = json!({ "agent_id": "helper", "prompt": "p" });
    let error = client.raw("agents.chat", call).await.unwrap_err();
    assert_eq!(error.code, codes::GONE);
    assert!(before.elapsed().as_secs_f64() >= 5.0, "{:?}", before.elapsed());
    let cancelled = agent.notification("agent.chat.cancel").await;
    assert!(cancelled["session_id"].as_str().unwrap().starts_with("chat-"));
}

#[tokio::test]
async fn a_running_id_a_foreign_agent_and_a_large_event_are_refused() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut other = attach(&host, "other").await;
    let mut client = host.client().await;
    begin(&mut client, &mut agent, "c1").await;
    let again = json!({ "agent_id": "other", "prompt": "p", "session_id": "c1" });
    assert_eq!(client.raw("agents.chat", again).await.unwrap_err().code, codes::CONFLICT);
    assert!(!say(&mut other, "c1", "done", json!({})).await);
    assert!(!say(&mut client, "c1", "done", json!({})).await);
    let huge = json!({ "session_id": "c1", "kind": "token", "delta": "x".repeat(1 << 20) });
    let error = agent.raw("agent.chat.event", huge).await.unwrap_err();
    assert_eq!(error.code, codes::LIMIT);
    let heard = to_the_end(&mut client).await;
    assert_eq!((heard.len(), &heard[0]["kind"]), (1, &json!("error")));
}

#[tokio::test]
async fn sixteen_chats_run_with_one_agent_and_no_more() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    for n in 0..16 {
        begin(&mut client, &mut agent, &format!("c{n}")).await;
    }
    let call = json!({ "agent_id": "helper", "prompt": "p", "session_id": "one-more" });
    let error = client.raw("agents.chat", call).await.unwrap_err();
    let data = error.data.unwrap();
    assert_eq!((error.code, &data["limit"], &data["got"]), (codes::LIMIT, &json!(16), &json!(17)));
    assert!(say(&mut agent, "c3", "done", json!({})).await);
    begin(&mut client, &mut agent, "one-more").await;
}

#[tokio::test]
async fn an_agent_chats_with_others_only_where_it_may() {
    let closed = host().await;
    let mut agent = attach(&closed, "helper").await;
    let call = json!({ "agent_id": "other", "prompt": "p" });
    let error = agent.raw("agents.chat", call).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let open = host_with(json!({ "peer_chat": true })).start().await;
    let (mut agent, mut other) = (attach(&open, "helper").await, attach(&open, "other").await);
    let own = json!({ "agent_id": "other", "prompt": "p" });
    assert_eq!(other.raw("agents.chat", own).await.unwrap_err().code, codes::FORBIDDEN);
    begin(&mut other, &mut agent, "peer").await;
    assert!(say(&mut agent, "peer", "approval_pending", json!({ "approval_id": "a" })).await);
    let decide = json!({ "session_id": "peer", "approval_id": "a", "decision": true });
    let error = other.raw("agents.chat.approve", decide).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN, "whoever is an agent decides nothing");
}

#[tokio::test]
async fn an_announced_approval_is_decided_once_by_whoever_began() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let (mut client, mut stranger) = (host.client().await, host.client().await);
    begin(&mut client, &mut agent, "c").await;
    let decide = |id: &str| json!({ "session_id": "c", "approval_id": id, "decision": "yes" });
    let early = client.raw("agents.chat.approve", decide("a")).await.unwrap_err();
    assert_eq!(early.code, codes::NOT_FOUND);
    say(&mut agent, "c", "approval_pending", json!({ "approval_id": "a", "tool": "rm" })).await;
    assert_eq!(client.notification("agents.chat.event").await["tool"], "rm");
    let error = stranger.raw("agents.chat.approve", decide("a")).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let id = client.send("agents.chat.approve", decide("a")).await;
    let (ask, asked) = agent.asked::<AskApprove>().await;
    assert_eq!((asked.approval_id.as_str(), &asked.decision), ("a", &json!("yes")));
    agent.answer(&ask, json!({ "resolved": true })).await;
    assert_eq!(client.reply(id).await.unwrap(), json!({ "resolved": true, "session_id": "c" }));
    let twice = client.raw("agents.chat.approve", decide("a")).await.unwrap_err();
    assert_eq!(twice.code, codes::CONFLICT);
}

#[tokio::test]
async fn attachments_are_checked_and_passed_on_untouched() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let image = json!({ "type": "image_url", "url": "https://x/y.png", "detail": "low" });
    let call = |with: Value| json!({ "agent_id": "helper", "prompt": "p", "attachments": [with] });
    let id = client.send("agents.chat", call(image.clone())).await;
    assert_eq!(accept(&mut agent).await.attachments, Some(vec![image.clone()]));
    client.reply(id).await.unwrap();
    for (bad, field) in [
        (json!({ "type": "file" }), "attachments[0].type"),
        (json!({ "type": "image_url", "url": "file:///etc/passwd" }), "attachments[0].url"),
        (
            json!({ "type": "image_base64", "data": "x", "media_type": "image/bmp" }),
            "attachments[0].media_type",
        ),
    ] {
        let error = client.raw("agents.chat", call(bad)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let mut none = call(image.clone());
    none["attachments"] = json!([]);
    none["goal"] = json!({ "check": "true" });
    none["session_id"] = json!("c");
    for null in ["stream", "voice_input", "model"] {
        none[null] = json!(null);
    }
    let id = client.send("agents.chat", none).await;
    let asked = accept(&mut agent).await;
    assert!(asked.goal.is_some() && asked.stream && !asked.context.voice_input);
    client.reply(id).await.unwrap();
    assert!(say(&mut agent, "c", "done", json!({ "text": null, "finish_reason": null })).await);
    let last = to_the_end(&mut client).await.pop().unwrap();
    assert_eq!((&last["text"], &last["finish_reason"]), (&json!(""), &json!("stop")));
    let mut standing = call(image.clone());
    standing["session_id"] = json!("c");
    let id = client.send("agents.chat", standing).await;
    assert_eq!(accept(&mut agent).await.goal, None, "a goal does not go with images");
    client.reply(id).await.unwrap();
    let mut both = call(image);
    both["goal"] = json!({ "check": "true" });
    assert_eq!(client.raw("agents.chat", both).await.unwrap_err().field(), Some("attachments"));
}
