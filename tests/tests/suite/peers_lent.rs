//! Peers that work with the runtime of a connection are not that connection, and may no more than it may.

use carport_core::{
    AllowedMethods, Identity, RpcError, codes,
    testing::{TestClient, TestHost},
};
use serde_json::{Value, json};

use crate::{
    peers_share::{Listener, asked, sharer},
    peers_work::{calling, seen},
};

/// Starts a listener that shares the runtime of a connection.
async fn share(client: &mut TestClient, auth: &str) -> Result<Value, RpcError> {
    let params = json!({ "bind": "127.0.0.1:0", "share_session_runtime": true, "auth": auth });
    client.raw("a2a.start", params).await
}

/// A proposal with one call of a tool.
fn proposing(tool: &str, parameters: &Value) -> Value {
    let action = json!({ "id": "a", "type": "tool_call", "tool": tool, "parameters": parameters });
    json!({ "proposal": { "actions": [action] } })
}

#[tokio::test]
async fn what_a_peer_lacks_permission_for_is_asked_of_nobody_in_the_name_of_the_connection() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (host.client().await, host.host().await);
    client.raw("tools.register", json!([{ "name": "deploy" }])).await.unwrap();
    let listener = Listener::of(&mut client).await;
    for n in 0..17 {
        let task = listener.send(calling("deploy", &json!({ "n": n }))).await;
        assert_eq!(seen(&task).0, "REJECTED");
        assert!(seen(&task).1.contains("full_access"), "{}", seen(&task).1);
    }
    let rows = person.raw("host.approvals", json!({})).await.unwrap();
    assert_eq!(rows["approvals"], json!([]));
    // The connection's own are asked about all the same, and what a person approved counts for peers.
    let deploy = json!({ "n": 1 });
    client.raw("proposal.submit", proposing("deploy", &deploy)).await.unwrap();
    let rows = person.raw("host.approvals", json!({})).await.unwrap();
    let params = json!({ "approval_id": rows["approvals"][0]["id"], "approved": true });
    person.raw("host.resolve_approval", params).await.unwrap();
    let sending = listener.send(calling("deploy", &deploy));
    let answering = async {
        let ask = asked(&mut client).await;
        client.answer(&ask["id"], json!("done")).await;
    };
    assert_eq!(seen(&tokio::join!(sending, answering).0).0, "COMPLETED");
}

#[tokio::test]
async fn a_connection_that_supervises_decides_what_its_peers_propose() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.raw("tools.register", json!([{ "name": "ask" }])).await.unwrap();
    client.raw("supervision.subscribe", json!({})).await.unwrap();
    let listener = Listener::of(&mut client).await;
    for (decision, expected) in [
        (json!({ "kind": "deny", "reason": "no" }), "REJECTED"),
        (json!({ "kind": "allow" }), "COMPLETED"),
    ] {
        let sending = listener.send(calling("ask", &json!({})));
        let deciding = async {
            let intent = client.notification("supervision.intent").await;
            assert_eq!(intent["scope"]["callerId"], "anonymous");
            let params = json!({ "intent_id": intent["id"], "decision": decision });
            client.raw("supervision.decide", params).await.unwrap();
            if expected == "COMPLETED" {
                let ask = asked(&mut client).await;
                assert_eq!(ask["params"]["caller_id"], "anonymous");
                client.answer(&ask["id"], json!("yes")).await;
            }
        };
        assert_eq!(seen(&tokio::join!(sending, deciding).0).0, expected);
    }
}

#[tokio::test]
async fn a_peers_failure_is_not_corrected_by_the_connection_nor_recorded_in_its_run() {
    let host = TestHost::start().await;
    let mut client = sharer(&host).await;
    client.raw("replan.set_config", json!({ "max_replans": 1 })).await.unwrap();
    let run = client.raw("runs.start", json!({ "intent": "mine" })).await.unwrap();
    let records = json!({ "run_id": run["run_id"] });
    let before = client.raw("runs.get_trace", records.clone()).await.unwrap();
    let listener = Listener::of(&mut client).await;
    let sending = listener.send(calling("ask", &json!({})));
    let answering = async {
        let ask = asked(&mut client).await;
        assert_eq!(ask["params"].get("run_id"), None);
        client.answer_error(&ask["id"], &RpcError::internal("no answer")).await;
    };
    let (task, ()) = tokio::join!(sending, answering);
    assert_eq!(seen(&task), ("FAILED", "no answer"));
    let after = client.raw("runs.get_trace", records.clone()).await.unwrap();
    assert_eq!(after["records"], before["records"]);
    // The connection's own are.
    let submitted = client.send("proposal.submit", proposing("ask", &json!({}))).await;
    let ask = asked(&mut client).await;
    assert_eq!((&ask["params"]["run_id"], ask["params"].get("caller_id")), (&run["run_id"], None));
    client.answer(&ask["id"], json!("yes")).await;
    client.reply(submitted).await.unwrap();
    let after = client.raw("runs.get_trace", records).await.unwrap();
    assert_ne!(after["records"], before["records"]);
}

#[tokio::test]
async fn who_may_not_propose_has_no_peers_propose_either() {
    let host = TestHost::start().await;
    let mut client = sharer(&host).await;
    let session = host.session_of("sharer");
    let narrowed = || Some(AllowedMethods::new(["a2a.*".into(), "tools.*".into()]));
    session.narrow(narrowed());
    let refused = share(&mut client, "none").await.unwrap_err();
    assert_eq!(refused.code, codes::FORBIDDEN);
    assert!(refused.message.contains("`proposal.submit`"), "{}", refused.message);
    client.raw("a2a.start", json!({ "bind": "127.0.0.1:0" })).await.unwrap();
    client.raw("a2a.stop", json!({})).await.unwrap();
    session.narrow(None);
    let listener = Listener::of(&mut client).await;
    session.narrow(narrowed());
    let task = listener.send(calling("ask", &json!({}))).await;
    assert_eq!(seen(&task).0, "REJECTED");
    assert!(seen(&task).1.contains("`proposal.submit`"), "{}", seen(&task).1);

    let wait = TestHost::builder().settings(|it| {
        it.approvals.also.insert("proposal.submit".into());
    });
    let host = wait.start().await;
    let refused = share(&mut host.client().await, "none").await.unwrap_err();
    let data = refused.data.unwrap();
    assert_eq!((refused.code, &data["reason"]), (codes::POLICY, &json!("needs_approval")));
}

#[tokio::test]
async fn the_host_shares_only_with_who_shows_a_token_and_a_call_of_the_process_not_at_all() {
    let host = TestHost::start().await;
    let mut operator = host.host().await;
    let refused = share(&mut operator, "none").await.unwrap_err();
    let data = refused.data.unwrap();
    assert_eq!((refused.code, &data["missing"]), (codes::POLICY, &json!(["auth"])));
    assert!(data["remedy"].as_str().unwrap().contains("bearer"), "{data}");
    share(&mut operator, "bearer").await.unwrap();
    operator.raw("a2a.stop", json!({})).await.unwrap();
    let params = json!({ "bind": "127.0.0.1:0", "share_session_runtime": true });
    let inside = host.host_arc().call(Identity::Client, "a2a.start", &params).await;
    assert_eq!(inside.unwrap_err().code, codes::FORBIDDEN);
    let status = operator.raw("a2a.status", json!({})).await.unwrap();
    assert_eq!(status["running"], false);
}
