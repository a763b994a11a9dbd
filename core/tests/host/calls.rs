//! What happens to a call between its frame and its reply.

use std::time::Duration;

use carport_core::{Identity, RpcError, codes, testing::TestHost};
use serde_json::{Value, json};

use crate::lab::{Ask, Bounded, Echo, Own, Panic, Question};

#[tokio::test]
async fn a_panic_costs_its_caller_an_error_and_nobody_anything_else() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for late in [false, true] {
        let error = client.call(Panic { late }).await.unwrap_err();
        assert_eq!(error.code, codes::INTERNAL);
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
    let error = client.raw("lab.broken", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::INTERNAL);
    assert_eq!(client.call(Echo { say: json!(7) }).await, Ok(json!(7)));
}

#[tokio::test(start_paused = true)]
async fn a_method_that_never_ends_is_cut_off_at_its_deadline() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let began = tokio::time::Instant::now();
    let id = client.send("lab.never", json!({})).await;
    // The operator's own deadline comes before the method's.
    let strict = TestHost::builder()
        .settings(|it| it.deadlines.methods = [("lab.never".into(), 2)].into())
        .start()
        .await;
    let error = strict.client().await.raw("lab.never", json!({})).await.unwrap_err();
    assert_eq!((error.code, began.elapsed().as_secs()), (codes::DEADLINE, 2));
    tokio::time::sleep(Duration::from_secs(35)).await;
    let error = client.reply(id).await.unwrap_err();
    assert_eq!((error.code, began.elapsed().as_secs()), (codes::DEADLINE, 40));
}

#[tokio::test]
async fn parameters_that_do_not_fit_name_their_path_and_limit() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for (method, params, field) in [
        ("lab.bounded", json!({}), "word"),
        ("lab.bounded", json!({ "word": 7 }), "word"),
        ("lab.bounded", json!({ "word": "" }), "word"),
        ("lab.bounded", json!(["word"]), "params"),
        ("lab.bounded", json!("word"), "params"),
        ("lab.ring", json!({ "bell": -1 }), "bell"),
    ] {
        let error = client.raw(method, params.clone()).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{params}");
    }
    let error = client.call(Bounded { word: "sesame".into() }).await.unwrap_err();
    assert_eq!(error.data.unwrap()["limit"], 4);
    assert!(client.raw("lab.bounded", json!({ "word": "open", "more": 1 })).await.is_ok());
}

#[tokio::test]
async fn an_owner_passes_and_so_does_the_host_and_no_answer_is_a_refusal() {
    let host = TestHost::start().await;
    let (mut alice, mut bob) = (host.agent("alice").await, host.agent("bob").await);
    let (mut client, mut person) = (host.client().await, host.host().await);
    let own = |thing: &str| Own { thing: thing.into() };
    assert!(alice.call(own("alice")).await.is_ok());
    assert!(person.call(own("alice")).await.is_ok());
    assert!(person.call(own("nobody's")).await.is_ok());
    for stranger in [&mut bob, &mut client] {
        assert_eq!(stranger.call(own("alice")).await.unwrap_err().code, codes::FORBIDDEN);
        assert_eq!(stranger.call(own("nobody's")).await.unwrap_err().code, codes::FORBIDDEN);
        assert!(stranger.call(own("unknown")).await.is_ok());
    }
}

#[tokio::test]
async fn what_cannot_work_here_says_so_before_anybody_is_asked() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let error = client.raw("lab.missing", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::UNAVAILABLE);
    assert_eq!(error.data.unwrap()["remedy"], "attach a microscope");
    let approvals = client.raw("host.approvals", json!({})).await.unwrap();
    assert_eq!(approvals["approvals"], json!([]));
}

#[tokio::test]
async fn a_client_is_asked_and_answers_while_its_own_call_runs() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let call = client.send("lab.ask", json!(Ask {})).await;
    let (id, question) = client.asked::<Question>().await;
    assert_eq!((id.clone(), question.what.as_str()), (json!("cb-1"), "how many?"));
    // The connection goes on meanwhile, also with an id that looks like the host's own.
    client.text(r#"{"jsonrpc":"2.0","id":"cb-1","method":"server.ping"}"#).await;
    let pong = client.frame(|it| it["id"] == "cb-1" && it.get("method").is_none()).await;
    assert_eq!(pong["result"], json!({ "ok": true }));
    client.answer(&id, json!(3)).await;
    assert_eq!(client.reply(call).await, Ok(json!(3)));
    // A second answer to the same id finds nobody.
    client.answer(&id, json!(4)).await;
    assert!(client.raw("server.ping", json!({})).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_or_answers_nonsense_is_gone() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let silent = client.send("lab.ask", json!({})).await;
    assert_eq!(client.reply(silent).await.unwrap_err().code, codes::GONE);
    let (first, _) = client.asked::<Question>().await;
    assert_eq!(first, json!("cb-1"));
    let nonsense = client.send("lab.ask", json!({})).await;
    let (id, _) = client.asked::<Question>().await;
    assert_eq!(id, json!("cb-2"));
    client.answer(&id, json!("many")).await;
    assert_eq!(client.reply(nonsense).await.unwrap_err().code, codes::GONE);
    let refused = client.send("lab.ask", json!({})).await;
    let (id, _) = client.asked::<Question>().await;
    client.answer_error(&id, &RpcError::new(-32601, "not I")).await;
    assert_eq!(client.reply(refused).await.unwrap_err().code, codes::METHOD_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn the_call_above_the_limit_is_told_at_once_and_the_others_go_on() {
    let host = TestHost::builder().settings(|it| it.transport.max_in_flight = 8).start().await;
    let mut client = host.client().await;
    let mut running = Vec::new();
    for _ in 0..8 {
        running.push(client.send("lab.never", json!({})).await);
    }
    let error = client.raw("server.ping", json!({})).await.unwrap_err();
    assert_eq!((error.code, error.data.unwrap()["retryable"] == true), (codes::OVERLOADED, true));
    for id in running {
        assert_eq!(client.reply(id).await.unwrap_err().code, codes::DEADLINE);
    }
    assert!(client.raw("server.ping", json!({})).await.is_ok());
}

#[tokio::test]
async fn an_ordered_method_is_answered_before_the_next_frame_is_read() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for word in ["a", "b", "c"] {
        client.send("lab.turn", json!({ "word": word })).await;
    }
    let last = client.send("lab.turn", json!({ "word": "d" })).await;
    assert_eq!(client.reply(last).await, Ok(json!(["a", "b", "c", "d"])));
}

#[tokio::test]
async fn an_alias_leads_to_the_same_method() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    assert_eq!(client.raw("lab.repeat", json!({ "say": 1 })).await, Ok(json!(1)));
}

#[tokio::test]
async fn a_reply_above_the_message_limit_is_an_error() {
    let host =
        TestHost::builder().settings(|it| it.transport.max_message_bytes = 65_536).start().await;
    let mut client = host.client().await;
    assert!(client.raw("lab.big", json!({ "bytes": 60_000 })).await.is_ok());
    let error = client.raw("lab.big", json!({ "bytes": 70_000 })).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(65_536)));
}

#[tokio::test]
async fn a_call_inside_the_process_takes_the_same_path() {
    let host = TestHost::start().await;
    let call = async |identity, method: &str, params: Value| {
        host.host_arc().call(identity, method, &params).await
    };
    let echo = call(Identity::Client, "lab.echo", json!({ "say": [1] })).await;
    assert_eq!(echo, Ok(json!([1])));
    let error = call(Identity::Nobody, "lab.echo", json!({ "say": 1 })).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_AUTHENTICATED);
    let error = call(Identity::Client, "lab.panic", json!({ "late": true })).await.unwrap_err();
    assert_eq!(error.code, codes::INTERNAL);
    let error = call(Identity::agent("bob"), "lab.own", json!({ "thing": "alice" })).await;
    assert_eq!(error.unwrap_err().code, codes::FORBIDDEN);
    assert_eq!(host.host_arc().open_sessions(), 0);
}

#[tokio::test]
async fn calls_and_failures_are_counted_by_method() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    let _ = person.raw("lab.echo", json!({ "say": 1 })).await;
    let _ = person.raw("lab.echo", json!({})).await;
    let text = person.raw("host.metrics", json!({})).await.unwrap()["text"].to_string();
    for line in [
        r#"carport_calls_total{method=\"lab.echo\"} 2"#,
        r#"carport_call_errors_total{method=\"lab.echo\"} 1"#,
        r#"carport_call_duration_seconds_count{method=\"lab.echo\"} 2"#,
        "carport_sessions 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn a_method_may_take_an_array() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    assert_eq!(client.raw("lab.sum", json!([1, 2, 3])).await.unwrap(), 6);
    assert_eq!(client.raw("lab.sum", json!([])).await.unwrap(), 0);
    for (params, field) in
        [(json!({}), "params"), (json!(null), "params"), (json!([1, "x"]), "[1]")]
    {
        let error = client.raw("lab.sum", params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let row = &host.openrpc().await["lab.sum"];
    assert_eq!(row["x-params-schema"]["type"], "array");
}

#[tokio::test(start_paused = true)]
async fn a_call_may_ask_for_more_time_than_is_set() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for (secs, waited) in [(5, 40), (90, 90)] {
        let began = tokio::time::Instant::now();
        let error = client.raw("lab.patient", json!({ "secs": secs })).await.unwrap_err();
        assert_eq!((error.code, began.elapsed().as_secs()), (codes::DEADLINE, waited));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_name_itself_and_tells_silence_from_refusal() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for round in ["answer", "own", "silence"] {
        let call = client.send("lab.ask_named", json!({})).await;
        let (id, ask) = client.asked::<crate::lab::NamedQuestion>().await;
        assert_eq!(json!(ask.request_id), id);
        match round {
            "answer" => client.answer(&id, json!(7)).await,
            "own" => client.answer_error(&id, &RpcError::new(-32000, "no")).await,
            _ => {}
        }
        let said = client.reply(call).await.unwrap();
        assert!(said.as_str().unwrap().starts_with(round), "{said}");
        // Given up, a late answer reaches nobody.
        client.answer(&id, json!(8)).await;
    }
}
