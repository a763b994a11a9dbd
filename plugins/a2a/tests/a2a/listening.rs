//! The listener: its start and end, what it lets in, its cards, and JSON-RPC over it.

use carport_core::testing::TestClient;
use serde_json::{Value, json};

use crate::{
    http::Listener,
    scene::{at_once, say, state, with_engine, with_obedient},
};

#[tokio::test]
async fn a_listener_starts_once_tells_of_itself_and_stops() {
    let host = with_engine().start().await;
    let mut client = host.client().await;
    let idle = client.raw("a2a.status", Value::Null).await.unwrap();
    assert_eq!(idle, json!({ "running": false }));
    let error = client.raw("a2a.stop", Value::Null).await.unwrap_err();
    assert_eq!((error.code, error.data), (-32008, Some(json!({ "reason": "not_running" }))));
    let bound = client.raw("a2a.start", json!({ "bind": "127.0.0.1:0" })).await.unwrap();
    for bind in [&json!("127.0.0.1:0"), &bound["bound"]] {
        let again = client.raw("a2a.start", json!({ "bind": bind })).await.unwrap_err();
        assert_eq!(again.code, -32008, "{bind}");
    }
    let status = client.raw("a2a.status", json!({})).await.unwrap();
    assert_eq!((&status["running"], &status["bound"]), (&json!(true), &bound["bound"]));
    assert_eq!(status["public_url"], format!("http://{}", bound["bound"].as_str().unwrap()));
    assert_eq!((&status["tasks"], &status["share_session_runtime"]), (&json!(0), &json!(false)));
    assert!(status["uptime_secs"].is_number());
    assert_eq!(client.raw("a2a.stop", json!({})).await.unwrap(), json!({ "stopped": true }));
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    for (params, code) in [
        (json!({ "bind": "nowhere" }), -32602),
        (json!({ "bind": "127.0.0.1:0", "public_url": "ftp://a" }), -32602),
        (json!({ "bind": "0.0.0.0:0" }), -32011),
        (json!({ "bind": "10.1.2.3:80", "auth": "bearer" }), -32011),
        (json!({ "bind": bind }), -32603),
        (json!({ "bind": "127.0.0.1:0", "share_session_runtime": true }), -32013),
    ] {
        let error = client.raw("a2a.start", params.clone()).await.unwrap_err();
        assert_eq!(error.code, code, "{params}");
    }
}

#[tokio::test]
async fn a_listener_of_the_configuration_is_there_at_boot() {
    let section = json!({ "listen": { "bind": "127.0.0.1:0" }, "agent_name": "Configured" });
    let host = with_engine().plugin("a2a", section).start().await;
    let status = host.client().await.raw("a2a.status", json!({})).await.unwrap();
    let listener = Listener(status["bound"].as_str().unwrap().to_owned());
    let card = listener.raw("GET", "/.well-known/agent-card.json", &[], "").await.json().await;
    assert_eq!(card["name"], "Configured");
}

#[tokio::test]
async fn a_listener_of_the_operator_is_not_an_agents_to_start_or_stop() {
    let section = json!({ "listen": { "bind": "127.0.0.1:0" } });
    let bind = json!({ "bind": "127.0.0.1:0" });
    let host = with_engine().plugin("a2a", section).start().await;
    let (mut agent, mut client) = (host.agent("a").await, host.client().await);
    let refused = async |agent: &mut TestClient, method: &str, params: &Value| {
        let error = agent.raw(method, params.clone()).await.unwrap_err();
        assert_eq!(error.code, -32002, "{method}: {}", error.message);
    };
    refused(&mut agent, "a2a.stop", &json!({})).await;
    assert_eq!(agent.raw("a2a.status", json!({})).await.unwrap()["running"], true);
    client.raw("a2a.stop", json!({})).await.unwrap();
    // Nor is there room for one of its own, while the operator's is away.
    refused(&mut agent, "a2a.start", &bind).await;
    refused(&mut agent, "a2a.stop", &json!({})).await;
    client.raw("a2a.start", bind.clone()).await.unwrap();

    let host = with_engine().start().await;
    let (mut agent, mut operator) = (host.agent("a").await, host.host().await);
    agent.raw("a2a.start", bind.clone()).await.unwrap();
    agent.raw("a2a.stop", json!({})).await.unwrap();
    operator.raw("a2a.start", bind).await.unwrap();
    refused(&mut agent, "a2a.stop", &json!({})).await;
    operator.raw("a2a.stop", json!({})).await.unwrap();
    assert_eq!(agent.raw("a2a.stop", json!({})).await.unwrap_err().code, -32008);
}

#[tokio::test]
async fn only_its_own_host_and_known_origins_get_in() {
    let section = json!({ "allowed_origins": ["https://app.example"] });
    let host = with_engine().plugin("a2a", section).start().await;
    let params = json!({ "public_url": "https://agents.example/" });
    let listener = Listener::of(&host, params).await;
    let status =
        async |headers: &[(&str, &str)]| listener.raw("GET", "/healthz", headers, "").await.status;
    assert_eq!(status(&[]).await, 200);
    assert_eq!(status(&[("Host", "localhost:1")]).await, 200);
    assert_eq!(status(&[("Host", "agents.example")]).await, 200);
    assert_eq!(status(&[("Host", "evil.example")]).await, 403);
    assert_eq!(status(&[("Host", "localhost"), ("Host", "evil.example")]).await, 403);
    for (target, expected) in
        [("http://localhost/healthz", 200), ("http://evil.example/healthz", 403)]
    {
        assert_eq!(listener.raw("GET", target, &[], "").await.status, expected, "{target}");
    }
    assert_eq!(status(&[("Origin", "https://evil.example")]).await, 403);
    assert_eq!(status(&[("Origin", "null")]).await, 403);
    assert_eq!(status(&[("Origin", "https://app.example")]).await, 200);
    let health = listener.raw("GET", "/healthz", &[], "").await;
    assert!(!health.headers.keys().any(|it| it.starts_with("access-control")));
    assert_eq!(health.json().await, json!({ "status": "ok" }));
    for (method, path, expected) in [
        ("GET", "/", 405),
        ("POST", "/healthz", 405),
        ("GET", "/nothing", 404),
        ("PUT", "/a2a", 405),
        ("GET", "/.well-known/other", 404),
    ] {
        let answer = listener.raw(method, path, &[], "").await;
        assert_eq!(answer.status, expected, "{method} {path}");
        assert_eq!(answer.headers.contains_key("allow"), expected == 405);
    }
}

#[tokio::test]
async fn a_token_is_needed_and_says_whose_tasks_are_whose() {
    let directory = tempfile::tempdir().unwrap();
    let mut tokens = json!({});
    for name in ["ann", "bob"] {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("token-of-{name}")).unwrap();
        tokens[name] = format!("file:{}", path.display()).into();
    }
    let host = with_engine().plugin("a2a", json!({ "tokens": tokens })).start().await;
    let listener = Listener::of(&host, json!({ "auth": "bearer" })).await;
    let post = async |method: &str, params: Value, token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("A2A-Version", "1.0"), ("Authorization", authorization.as_str())];
        listener.post(method, params, &headers).await
    };
    for bad in ["", "token-of-eve"] {
        let refused = post("SendMessage", say("it"), bad).await;
        assert_eq!((refused.status, refused.headers["www-authenticate"].as_str()), (401, "Bearer"));
    }
    let sent = post("SendMessage", say("it"), "token-of-ann").await.json().await;
    let id = &sent["result"]["task"]["id"];
    let own = post("GetTask", json!({ "id": id }), "token-of-ann").await.json().await;
    assert_eq!(own["result"]["id"], *id);
    let foreign = post("GetTask", json!({ "id": id }), "token-of-bob").await.json().await;
    assert_eq!(foreign["error"]["code"], -32001);
    let (mut client, mut host) = (host.client().await, host.host().await);
    assert_eq!(client.raw("GetTask", json!({ "id": id })).await.unwrap_err().code, -32001);
    for (who, tasks) in [(&mut client, 0), (&mut host, 1)] {
        assert_eq!(who.raw("a2a.status", json!({})).await.unwrap()["tasks"], tasks);
    }

    let card = listener.raw("GET", "/.well-known/agent-card.json", &[], "").await.json().await;
    assert_eq!(
        card["securitySchemes"],
        json!({ "bearer": { "httpAuthSecurityScheme": { "scheme": "Bearer" } } })
    );
    assert_eq!(card["securityRequirements"], json!([{ "schemes": { "bearer": { "list": [] } } }]));
    assert_eq!(card["capabilities"]["extendedAgentCard"], true);
    let extended = post("GetExtendedAgentCard", json!({}), "token-of-ann").await.json().await;
    assert_eq!(extended["result"]["name"], "Carport");
}

#[tokio::test]
async fn cards_are_of_one_version_unless_both_are_asked_for() {
    let host = with_engine().start().await;
    let listener = Listener::of(&host, json!({ "agent_name": "Tester" })).await;
    let path = "/.well-known/agent-card.json";
    let answer = listener.raw("GET", path, &[], "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=60");
    let (tag, since) = (answer.headers["etag"].clone(), answer.headers["last-modified"].clone());
    let card = answer.json().await;
    assert_eq!((&card["name"], card.get("url")), (&json!("Tester"), None));
    let interfaces = card["supportedInterfaces"].as_array().unwrap();
    let versions: Vec<_> =
        interfaces.iter().map(|it| it["protocolVersion"].as_str().unwrap()).collect();
    assert_eq!(versions, ["1.0", "0.3"]);
    assert_eq!(interfaces[0]["url"], format!("http://{}/", listener.0));
    for known in [("If-None-Match", tag.as_str()), ("If-Modified-Since", since.as_str())] {
        let answer = listener.raw("GET", path, &[known], "").await;
        assert_eq!((answer.status, answer.text().await.as_str()), (304, ""));
    }
    assert_eq!(listener.raw("GET", path, &[("If-None-Match", "\"x\"")], "").await.status, 200);
    let both = listener.raw("GET", path, &[("A2A-Version", "0.3")], "").await.json().await;
    assert_eq!(both["url"], both["supportedInterfaces"][0]["url"]);
    let older = listener.raw("GET", "/.well-known/agent.json", &[], "").await.json().await;
    assert_eq!(
        (&older["protocolVersion"], older.get("supportedInterfaces")),
        (&json!("0.3.0"), None)
    );
    let extended = listener.call("GetExtendedAgentCard", json!({})).await;
    assert_eq!(
        (&card["capabilities"]["extendedAgentCard"], &extended["error"]["code"]),
        (&json!(false), &json!(-32004))
    );
}

#[tokio::test]
async fn name_and_header_have_to_agree() {
    let host = with_engine().start().await;
    let listener = Listener::of(&host, json!({})).await;
    let code = async |method: &str, header: &str| {
        let answer = listener.post(method, say("it"), &[("A2A-Version", header)]).await;
        answer.json().await["error"]["code"].as_i64().unwrap_or_default()
    };
    for (header, pascal, slash) in [
        ("", -32009, 0),
        ("0.3", -32009, 0),
        ("1.0", 0, -32009),
        ("1.0.7", 0, -32009),
        ("99.0", -32009, -32009),
    ] {
        assert_eq!(code("SendMessage", header).await, pascal, "{header}");
        assert_eq!(code("message/send", header).await, slash, "{header}");
    }
    assert_eq!(code("NoSuchMethod", "1.0").await, -32601);
    let section = json!({ "require_version": false });
    let host = with_engine().plugin("a2a", section).start().await;
    let listener = Listener::of(&host, json!({})).await;
    let answer = listener.post("SendMessage", say("it"), &[]).await.json().await;
    assert_eq!(state(&answer["result"]["task"]), "COMPLETED");
}

#[tokio::test]
async fn what_is_no_request_is_answered_as_json_rpc_says() {
    let host = with_engine().start().await;
    let listener = Listener::of(&host, json!({})).await;
    let kind = ("Content-Type", "application/json");
    for (headers, body, code, id) in [
        (vec![kind], "{", -32700, Value::Null),
        (vec![kind], "[]", -32600, Value::Null),
        (vec![kind], r#"{"jsonrpc":"2.0","method":"GetTask"}"#, -32600, Value::Null),
        (vec![kind], r#"{"jsonrpc":"2.0","id":7,"method":"x"}"#, -32601, json!(7)),
        (vec![("Content-Type", "text/plain")], "{", -32005, Value::Null),
        (vec![], "{", -32005, Value::Null),
    ] {
        let answer = listener.raw("POST", "/a2a", &headers, body).await;
        assert_eq!(answer.status, 200, "{body}");
        let answer = answer.json().await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{body}");
        let info = &answer["error"]["data"][0]["@type"];
        assert_eq!(info, "type.googleapis.com/google.rpc.ErrorInfo", "{body}");
    }
    let long = "x".repeat(10 * 1024 * 1024 + 1);
    assert_eq!(listener.raw("POST", "/", &[kind], &long).await.status, 413);
}

#[tokio::test]
async fn a_required_extension_has_to_be_named() {
    let section =
        json!({ "extensions": [{ "uri": "urn:e", "required": true }, { "uri": "urn:f" }] });
    let host = with_engine().plugin("a2a", section).start().await;
    let listener = Listener::of(&host, json!({})).await;
    let refused = listener.call("SendMessage", say("it")).await;
    assert_eq!(refused["error"]["code"], -32008);
    assert_eq!(listener.call("message/send", say("it")).await["error"]["code"], -32603);
    for named in [
        vec![("A2A-Extensions", "urn:f, urn:e")],
        vec![("A2A-Extensions", "urn:f"), ("A2A-Extensions", "urn:e")],
        vec![("X-A2A-Extensions", "urn:e")],
    ] {
        let headers = [vec![("A2A-Version", "1.0")], named].concat();
        let taken = listener.post("SendMessage", say("it"), &headers).await.json().await;
        assert_eq!(state(&taken["result"]["task"]), "COMPLETED");
    }
    let card = listener.raw("GET", "/.well-known/agent-card.json", &[], "").await.json().await;
    assert_eq!(
        card["capabilities"]["extensions"],
        json!([{ "uri": "urn:e", "required": true }, { "uri": "urn:f" }])
    );
}

#[tokio::test]
async fn tasks_go_on_when_the_listener_stops() {
    let (builder, obedient) = with_obedient();
    let host = builder.start().await;
    let listener = Listener::of(&host, json!({})).await;
    let sent = listener.call("SendMessage", at_once(say("wait"))).await;
    let id = &sent["result"]["task"]["id"];
    obedient.waits.acquire().await.unwrap().forget();
    let mut client = host.host().await;
    client.raw("a2a.stop", json!({})).await.unwrap();
    assert!(tokio::net::TcpStream::connect(&listener.0).await.is_err());
    obedient.go.add_permits(1);
    loop {
        let task = client.raw("GetTask", json!({ "id": id })).await.unwrap();
        if state(&task) == "COMPLETED" {
            break;
        }
    }
}
