//! Methods that connections add: offered, called, withdrawn, and gone with their provider.

use carport_core::{
    CallCancelled, CallMethod, RpcError, codes,
    testing::{TestClient, TestHost},
};
use serde_json::{Value, json};

fn spec(name: &str) -> Value {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } },
        "required": ["n"] });
    json!({ "name": name, "params_schema": schema, "access": "authenticated" })
}

async fn offer(provider: &mut TestClient, methods: Value) -> Result<Value, RpcError> {
    let params = json!({ "namespace": "desk", "methods": methods });
    provider.raw("host.register_methods", params).await
}

async fn desk(host: &TestHost) -> TestClient {
    let mut provider = host.host().await;
    offer(&mut provider, json!([spec("desk.open")])).await.unwrap();
    provider
}

#[tokio::test]
async fn a_call_is_forwarded_and_its_result_comes_back_byte_for_byte() {
    let host = TestHost::start().await;
    let mut provider = desk(&host).await;
    let mut caller = host.agent("alice").await;
    let call = caller.send("desk.open", json!({ "n": 2 })).await;
    let (id, ask) = provider.asked::<CallMethod>().await;
    assert_eq!((ask.method.as_str(), &ask.params), ("desk.open", &json!({ "n": 2 })));
    assert_eq!(
        (ask.caller.role.as_str(), ask.caller.agent_id.as_deref()),
        ("agent", Some("alice"))
    );
    assert_eq!(ask.deadline_ms, 1_800_000);
    let odd = r#"{"z":1.50,  "a":"\u00fc"}"#;
    provider.text(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{odd}}}"#)).await;
    assert_eq!(caller.reply(call).await, Ok(json!({ "z": 1.5, "a": "ü" })));
}

#[tokio::test]
async fn parameters_are_checked_before_the_provider_hears_of_them() {
    let host = TestHost::start().await;
    let mut provider = desk(&host).await;
    let mut caller = host.client().await;
    for (params, field) in
        [(json!({}), "params"), (json!({ "n": "x" }), "n"), (json!([]), "params")]
    {
        let error = caller.raw("desk.open", params.clone()).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{params}");
    }
    assert!(!provider.has_heard(|frame| frame["method"] == "host.call_method").await);
}

#[tokio::test]
async fn nothing_is_taken_in_if_one_entry_is_refused() {
    let host = TestHost::start().await;
    let mut provider = host.host().await;
    let before = provider.raw("rpc.discover", json!({})).await.unwrap();
    let with = |key: &str, value: Value| {
        let mut spec = spec("desk.b");
        spec[key] = value;
        spec
    };
    let remote =
        json!({ "type": "object", "properties": { "a": { "$ref": "https://x.example/s" } } });
    for (bad, field) in [
        (with("name", json!("other.b")), "methods[1].name"),
        (with("name", json!("desk")), "methods[1].name"),
        (with("name", json!("desk.a.b.c.d")), "methods[1].name"),
        (with("name", json!("desk.Open")), "methods[1].name"),
        (with("name", json!("desk.a")), "methods[1].name"),
        (with("access", json!("public")), "methods[1].access"),
        (with("params_schema", json!({ "type": "string" })), "methods[1].params_schema/type"),
        (with("params_schema", json!({ "type": 7 })), "methods[1].params_schema/type"),
        (with("params_schema", remote), "methods[1].params_schema/properties/a/$ref"),
        (with("params_schema", json!("x")), "methods[1].params_schema"),
        (with("deadline_ms", json!(0)), "methods[1].deadline_ms"),
        (with("description", json!("x".repeat(4097))), "methods[1].description"),
    ] {
        let error = offer(&mut provider, json!([spec("desk.a"), bad])).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{error}");
    }
    assert_eq!(provider.raw("rpc.discover", json!({})).await.unwrap(), before);
    let error = host.client().await.raw("desk.a", json!({ "n": 1 })).await.unwrap_err();
    assert_eq!(error.code, codes::METHOD_NOT_FOUND);
}

#[tokio::test]
async fn schemas_are_small_and_shallow() {
    let host = TestHost::start().await;
    let mut provider = host.host().await;
    let large = json!({ "description": "x".repeat(70_000) });
    let mut deep = json!({ "type": "integer" });
    for _ in 0..40 {
        deep = json!({ "properties": { "a": deep } });
    }
    for schema in [large, deep] {
        let mut spec = spec("desk.a");
        spec["params_schema"] = schema;
        let error = offer(&mut provider, json!([spec])).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::LIMIT, Some("methods[0].params_schema")));
    }
    // A pattern that would take for ever with backtracking.
    let mut slow = spec("desk.a");
    slow["params_schema"] = json!({ "type": "object", "properties":
        { "s": { "type": "string", "pattern": "^(a+)+$" } } });
    offer(&mut provider, json!([slow])).await.unwrap();
    let mut caller = host.client().await;
    let text = format!("{}b", "a".repeat(50_000));
    let error = caller.raw("desk.a", json!({ "s": text })).await.unwrap_err();
    assert_eq!(error.field(), Some("s"));
}

#[tokio::test]
async fn only_a_host_offers_and_only_free_namespaces() {
    let host = TestHost::start().await;
    for mut other in [host.client().await, host.agent("a").await] {
        let error = offer(&mut other, json!([spec("desk.a")])).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN);
    }
    let mut provider = host.host().await;
    for taken in ["host", "rpc", "car", "lab", "a", "Desk", "1desk"] {
        let methods = json!([spec(&format!("{taken}.x"))]);
        let params = json!({ "namespace": taken, "methods": methods });
        let error = provider.raw("host.register_methods", params).await.unwrap_err();
        assert_eq!(
            (error.code, error.field()),
            (codes::INVALID_PARAMS, Some("namespace")),
            "{taken}"
        );
    }
}

#[tokio::test]
async fn a_namespace_is_its_first_connections_until_it_ends() {
    let host = TestHost::start().await;
    let mut first = desk(&host).await;
    let mut second = host.host().await;
    assert_eq!(
        offer(&mut second, json!([spec("desk.x")])).await.unwrap_err().code,
        codes::CONFLICT
    );
    let withdraw = json!({ "namespace": "desk" });
    let error = second.raw("host.unregister_methods", withdraw.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let more = offer(&mut first, json!([spec("desk.shut")])).await.unwrap();
    assert_eq!(more["registered"], json!(["desk.shut"]));
    let again = offer(&mut first, json!([spec("desk.shut")])).await.unwrap_err();
    assert_eq!(again.code, codes::CONFLICT);
    let whole = json!({ "namespace": "desk", "methods": [spec("desk.shut")], "replace": true });
    let replaced = first.raw("host.register_methods", whole).await.unwrap();
    assert_eq!(replaced["removed"], json!(["desk.open"]));
    let gone = first.raw("host.unregister_methods", withdraw.clone()).await.unwrap();
    assert_eq!(gone["removed"], json!(["desk.shut"]));
    let error = first.raw("host.unregister_methods", withdraw).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    assert!(offer(&mut second, json!([spec("desk.x")])).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_that_race_for_a_namespace_one_gets_it() {
    let host = TestHost::start().await;
    for _ in 0..20 {
        let (mut one, mut two) = (host.host().await, host.host().await);
        let (a, b) = tokio::join!(
            offer(&mut one, json!([spec("desk.x")])),
            offer(&mut two, json!([spec("desk.x")]))
        );
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1);
        let lost = a.err().or(b.err()).unwrap();
        assert_eq!(lost.code, codes::CONFLICT);
        one.close().await;
        two.close().await;
        host.emptied().await;
    }
}

#[tokio::test]
async fn a_provider_that_leaves_takes_its_methods_and_ends_its_calls() {
    let host = TestHost::start().await;
    let mut provider = desk(&host).await;
    let mut person = host.host().await;
    person.raw("host.subscribe", json!({})).await.unwrap();
    let mut caller = host.client().await;
    let call = caller.send("desk.open", json!({ "n": 1 })).await;
    provider.asked::<CallMethod>().await;
    provider.vanish();
    assert_eq!(caller.reply(call).await.unwrap_err().code, codes::GONE);
    let event = person.frame(|it| it["params"]["kind"] == "methods.unregistered").await;
    assert_eq!(event["params"]["payload"]["reason"], "disconnected");
    assert_eq!(event["params"]["payload"]["methods"], json!(["desk.open"]));
    let error = caller.raw("desk.open", json!({ "n": 1 })).await.unwrap_err();
    assert_eq!(error.code, codes::METHOD_NOT_FOUND);
    assert!(offer(&mut person, json!([spec("desk.open")])).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_provider_hears_why_nobody_waits_any_more() {
    let host = TestHost::start().await;
    let mut provider = host.host().await;
    let mut quick = spec("desk.open");
    quick["deadline_ms"] = json!(1500);
    offer(&mut provider, json!([quick])).await.unwrap();
    let mut caller = host.client().await;
    let error = caller.raw("desk.open", json!({ "n": 1 })).await.unwrap_err();
    assert_eq!(error.code, codes::DEADLINE);
    let (id, ask) = provider.asked::<CallMethod>().await;
    assert_eq!(ask.deadline_ms, 1500);
    let cancelled = provider.event::<CallCancelled>().await;
    assert_eq!((cancelled.call_id, &*cancelled.reason), (ask.call_id, "deadline"));
    provider.answer(&id, json!("late")).await;

    let mut patient = spec("desk.wait");
    patient["deadline_ms"] = json!(60_000);
    offer(&mut provider, json!([patient])).await.unwrap();
    caller.send("desk.wait", json!({ "n": 1 })).await;
    provider.asked::<CallMethod>().await;
    caller.vanish();
    assert_eq!(provider.event::<CallCancelled>().await.reason, "caller_gone");
}

#[tokio::test]
async fn a_providers_error_reaches_the_caller_but_never_as_the_daemons() {
    let host = TestHost::start().await;
    let mut provider = desk(&host).await;
    let mut caller = host.client().await;
    for (given, expected) in [(-32050, -32050), (7, 7), (-32001, -32603), (-32010, -32603)] {
        let call = caller.send("desk.open", json!({ "n": 1 })).await;
        let (id, _) = provider.asked::<CallMethod>().await;
        let error = RpcError::new(given, "x".repeat(5000)).with("token", "hunter2");
        provider.answer_error(&id, &error).await;
        let heard = caller.reply(call).await.unwrap_err();
        assert_eq!((heard.code, heard.message.len()), (expected, 4096));
        assert!(!heard.data.as_ref().unwrap().to_string().contains("hunter2"));
        if expected != given {
            assert_eq!(heard.data.unwrap()["provider_code"], given);
        }
    }
}

#[tokio::test]
async fn a_result_that_does_not_fit_its_schema_reaches_nobody() {
    let host = TestHost::start().await;
    let mut provider = host.host().await;
    let mut strict = spec("desk.open");
    strict["result_schema"] = json!({ "type": "string" });
    offer(&mut provider, json!([strict])).await.unwrap();
    let mut caller = host.client().await;
    let call = caller.send("desk.open", json!({ "n": 1 })).await;
    let (id, _) = provider.asked::<CallMethod>().await;
    provider.answer(&id, json!(7)).await;
    let error = caller.reply(call).await.unwrap_err();
    assert_eq!(
        (error.code, &error.data.unwrap()["method"]),
        (codes::INTERNAL, &json!("desk.open"))
    );
}

#[tokio::test]
async fn an_added_method_waits_for_approval_and_its_provider_cannot_give_it() {
    let host = TestHost::start().await;
    let mut provider = host.host().await;
    let mut risky = spec("desk.open");
    risky["needs_approval"] = json!(true);
    offer(&mut provider, json!([risky])).await.unwrap();
    let mut person = host.host().await;
    person.raw("host.subscribe", json!({})).await.unwrap();
    // The provider calls its own method: whoever asks cannot approve.
    let call = provider.send("desk.open", json!({ "n": 1 })).await;
    let event = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
    let id = event["params"]["payload"]["approval"]["id"].clone();
    let yes = json!({ "approval_id": id, "approved": true });
    let own = provider.raw("host.resolve_approval", yes.clone()).await.unwrap_err();
    assert_eq!(own.code, codes::FORBIDDEN);
    person.raw("host.resolve_approval", yes).await.unwrap();
    let (ask, _) = provider.asked::<CallMethod>().await;
    provider.answer(&ask, json!("opened")).await;
    assert_eq!(provider.reply(call).await, Ok(json!("opened")));
}

#[tokio::test]
async fn discovery_shows_added_methods_to_all_but_strangers() {
    let host = TestHost::start().await;
    let _provider = desk(&host).await;
    let named = |document: &Value| {
        let methods = document["methods"].as_array().unwrap();
        methods.iter().find(|it| it["name"] == "desk.open").cloned()
    };
    let row = named(&host.client().await.raw("rpc.discover", json!({})).await.unwrap()).unwrap();
    assert_eq!(
        (&row["x-access"], &row["params"][0]["name"]),
        (&json!("authenticated"), &json!("n"))
    );
    assert!(row["x-provider"]["client_id"].as_str().unwrap().starts_with("c-"));
    assert_eq!(named(&host.stranger().await.raw("rpc.discover", json!({})).await.unwrap()), None);
    let schema = host.client().await.raw("server.schema", json!({})).await.unwrap();
    assert_eq!(named(&schema["schema"]), None);
}

#[tokio::test]
async fn the_257th_open_call_at_a_provider_is_too_many() {
    let host = TestHost::start().await;
    let mut provider = desk(&host).await;
    let (mut one, mut two) = (host.client().await, host.client().await);
    for _ in 0..200 {
        one.send("desk.open", json!({ "n": 1 })).await;
    }
    for _ in 0..56 {
        two.send("desk.open", json!({ "n": 1 })).await;
    }
    for _ in 0..256 {
        provider.asked::<CallMethod>().await;
    }
    let error = two.raw("desk.open", json!({ "n": 1 })).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::OVERLOADED, &json!(256)));
}

#[tokio::test]
async fn a_connection_has_eight_namespaces_and_128_methods() {
    let host = TestHost::start().await;
    let mut provider = host.host().await;
    for n in 0..8 {
        let namespace = format!("desk{n}");
        let methods: Vec<_> = (0..16).map(|m| spec(&format!("{namespace}.m{m}"))).collect();
        let params = json!({ "namespace": namespace, "methods": methods });
        provider.raw("host.register_methods", params).await.unwrap();
    }
    for (namespace, name) in [("desk8", "desk8.a"), ("desk0", "desk0.more")] {
        let params = json!({ "namespace": namespace, "methods": [spec(name)] });
        let error = provider.raw("host.register_methods", params).await.unwrap_err();
        assert_eq!(error.code, codes::LIMIT, "{namespace}");
    }
}

#[tokio::test]
async fn a_notification_is_forwarded_and_its_answer_goes_nowhere() {
    let host = TestHost::start().await;
    let mut provider = desk(&host).await;
    let mut caller = host.client().await;
    caller.notify("desk.open", json!({ "n": 1 })).await;
    let (id, _) = provider.asked::<CallMethod>().await;
    provider.answer(&id, json!("done")).await;
    assert!(!caller.has_heard(|frame| frame["result"] == "done").await);
}
