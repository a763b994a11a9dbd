//! Replanning: the client is asked for a correction after a failure.

use carport_core::{
    RpcError, codes,
    testing::{TestClient, TestHost},
};
use carport_engine::{AskReplan, ExecuteTool};
use serde_json::{Value, json};

use crate::{call, client_with, echo, error_of, events, finish, proposal, run, statuses, with};

async fn failing(client: &mut TestClient) -> u64 {
    let actions = json!([
        { "id": "w", "type": "state_write", "parameters": { "key": "k", "value": 1 } },
        with(call("b", "bad", json!({ "n": 1 })), json!({ "dependencies": ["w"] })),
    ]);
    let id = client.send("proposal.submit", proposal(actions)).await;
    let (asked, _) = client.asked::<ExecuteTool>().await;
    client.answer_error(&asked, &RpcError::new(-32000, "no")).await;
    id
}

async fn allow(client: &mut TestClient, config: Value) {
    assert_eq!(client.raw("replan.set_config", config).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn a_correction_takes_the_place_of_what_failed() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["bad", "good"]).await;
    allow(&mut client, json!({ "max_replans": 2 })).await;
    let id = failing(&mut client).await;
    let (asked, ask) = client.asked::<AskReplan>().await;
    assert_eq!((ask.attempt, ask.proposal.id.as_str()), (1, "p1"));
    assert_eq!(
        json!(ask.failed),
        json!([
        { "action_id": "b", "tool": "bad", "parameters": { "n": 1 }, "status": "failed", "error": "no" }])
    );
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]), "rolled back first");
    let next = json!({ "proposal": { "id": "p2", "actions": [call("g", "good", json!({}))] } });
    client.answer(&asked, next).await;
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(
        (statuses(&result), &result["proposal_id"]),
        (vec!["succeeded".into()], &json!("p2"))
    );
    assert_eq!((&result["replans"], &result["original_proposal_id"]), (&json!(1), &json!("p1")));
    assert_eq!(
        events(&mut client, "replan_attempted").await[0]["data"],
        json!({ "attempt": 1, "accepted": true })
    );
}

#[tokio::test]
async fn no_correction_ends_with_the_last_result() {
    let host = TestHost::start().await;
    for answer in [
        Ok(json!(null)),
        Ok(json!({ "proposal": null })),
        Ok(json!({ "proposal": { "actions": [{ "type": "hunter2" }] } })),
        Ok(json!({ "proposal": { "actions": "hunter2" } })),
        Ok(json!({ "proposal": { "actions": [call("x", "missing", json!({}))] } })),
        Ok(json!("hunter2")),
        Err(RpcError::new(codes::METHOD_NOT_FOUND, "what?")),
    ] {
        let mut client = client_with(&host, &["bad"]).await;
        allow(&mut client, json!({ "max_replans": 5 })).await;
        let id = failing(&mut client).await;
        let (asked, _) = client.asked::<AskReplan>().await;
        match answer {
            Ok(answer) => client.answer(&asked, answer).await,
            Err(error) => client.answer_error(&asked, &error).await,
        }
        let result = finish(&mut client, id, echo).await.unwrap();
        assert_eq!(
            (statuses(&result), &result["proposal_id"]),
            (vec!["succeeded".into(), "failed".into()], &json!("p1"))
        );
        assert_eq!(error_of(&result, 1), "no");
        assert_eq!((&result["replans"], result.get("original_proposal_id")), (&json!(1), None));
        assert_eq!(events(&mut client, "replan_attempted").await[0]["data"]["accepted"], false);
    }
    assert!(!crate::journals(&host).contains("hunter2"), "no value is in the journal");
}

#[tokio::test]
async fn so_many_corrections_and_no_more() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["bad"]).await;
    let id = failing(&mut client).await;
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(result["replans"], 0, "nothing is asked unless it is allowed");
    allow(&mut client, json!({ "max_replans": 2, "verify_before_execute": false })).await;
    let id = failing(&mut client).await;
    for attempt in [1, 2] {
        let (asked, ask) = client.asked::<AskReplan>().await;
        assert_eq!(ask.attempt, attempt);
        client.answer(&asked, json!({ "proposal": ask.proposal })).await;
        let (asked, _) = client.asked::<ExecuteTool>().await;
        client.answer_error(&asked, &RpcError::new(-32000, "again")).await;
    }
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!((&result["replans"], error_of(&result, 1).as_str()), (&json!(2), "again"));
    for (config, field) in
        [(json!({ "max_replans": 11 }), "max_replans"), (json!({ "delay_ms": 60_001 }), "delay_ms")]
    {
        let error = client.raw("replan.set_config", config).await.unwrap_err();
        assert_eq!(error.field(), Some(field));
    }
}

#[tokio::test]
async fn a_rejection_is_reason_enough_if_it_is_said_to_be() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["good"]).await;
    let missing = proposal(json!([call("m", "missing", json!({}))]));
    for (config, asked) in [
        (json!({ "max_replans": 1 }), false),
        (json!({ "max_replans": 1, "replan_on_rejected": true }), true),
    ] {
        allow(&mut client, config).await;
        let id = client.send("proposal.submit", missing.clone()).await;
        if asked {
            let (asked, ask) = client.asked::<AskReplan>().await;
            assert_eq!(json!(ask.failed)[0]["status"], "rejected");
            client
                .answer(
                    &asked,
                    json!({ "proposal": { "actions": [call("g", "good", json!({}))] } }),
                )
                .await;
        }
        let result = finish(&mut client, id, echo).await.unwrap();
        assert_eq!(statuses(&result), [if asked { "succeeded" } else { "rejected" }]);
    }
}

/// What replaces a proposal passes the same gates.
#[tokio::test]
async fn a_correction_is_gated_like_any_proposal() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["bad", "deploy"]).await;
    allow(&mut client, json!({ "max_replans": 1 })).await;
    let id = failing(&mut client).await;
    let (asked, _) = client.asked::<AskReplan>().await;
    client
        .answer(&asked, json!({ "proposal": { "actions": [call("d", "deploy", json!({}))] } }))
        .await;
    let result = finish(&mut client, id, |_| panic!("it is not permitted")).await.unwrap();
    assert_eq!(statuses(&result), ["rejected"]);
}

/// What is to be corrected leaves nothing behind, also where it was only rejected.
#[tokio::test]
async fn a_rejected_proposal_is_undone_before_its_correction() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["good"]).await;
    let write =
        json!({ "id": "w", "type": "state_write", "parameters": { "key": "k", "value": 1 } });
    let actions = proposal(json!([write, call("m", "missing", json!({}))]));
    allow(&mut client, json!({ "max_replans": 1, "replan_on_rejected": true })).await;
    let id = client.send("proposal.submit", actions.clone()).await;
    let (asked, _) = client.asked::<AskReplan>().await;
    assert_eq!(client.raw("state.exists", json!({ "key": "k" })).await.unwrap(), false);
    client.answer(&asked, json!(null)).await;
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(statuses(&result), ["succeeded", "rejected"]);
    assert_eq!(result["results"][0]["rolled_back"], true);
    // Where nothing is asked, a rejection undoes nothing.
    allow(&mut client, json!({ "max_replans": 0, "replan_on_rejected": true })).await;
    run(&mut client, actions, echo).await;
    assert_eq!(client.raw("state.get", json!({ "key": "k" })).await.unwrap(), 1);
}
