//! Clients of a real daemon: how they get in, over which socket, and what they leave behind.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use crate::daemon::{Daemon, raw, until};

#[tokio::test]
async fn both_sockets_speak_the_same() {
    let daemon = Daemon::start(&[]).await;
    let token = json!({ "token": daemon.read("run/auth-token").trim() });
    for mut peer in [daemon.stranger().await, daemon.unix_stranger().await] {
        let reply = peer.call("session.auth", token.clone()).await.unwrap();
        assert_eq!(reply["role"], "client");
        assert_eq!(peer.call("server.ping", json!({})).await, Ok(json!({ "ok": true })));
    }
    let mode = |name: &str| fs::metadata(daemon.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run"), mode("run/carport.sock")), (0o700, 0o600));
    assert_eq!((mode("run/auth-token"), mode("run/host-token")), (0o600, 0o600));
    let endpoint = daemon.endpoint();
    assert_eq!(endpoint["pid"], daemon.pid());
    assert!(endpoint["started_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn an_upgrade_from_elsewhere_is_refused() {
    let daemon = Daemon::start(&[]).await;
    let upgrade = "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let address = daemon.address();
    for (headers, status) in [
        ("Host: evil.example\r\n\r\n".to_owned(), "403"),
        (format!("Host: {address}\r\nOrigin: http://{address}\r\n\r\n"), "403"),
    ] {
        let answer = raw(&address, format!("{upgrade}{headers}").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    let plain =
        raw(&address, format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await;
    assert!(plain.starts_with("HTTP/1.1 426"), "{plain}");
    assert!(!plain.contains(daemon.read("run/auth-token").trim()));
}

#[tokio::test]
async fn a_wrong_token_has_five_tries() {
    let daemon = Daemon::start(&[]).await;
    let token = daemon.read("run/auth-token").trim().to_owned();
    let host_token = daemon.read("run/host-token").trim().to_owned();
    let mut peer = daemon.stranger().await;
    for wrong in [
        json!({ "token": "wrong" }),
        json!({ "token": format!(" {token}") }),
        json!({ "token": format!("{token}\n") }),
        json!({ "token": host_token }),
        json!({ "host_token": token }),
    ] {
        let error = peer.call("session.auth", wrong).await.unwrap_err();
        assert_eq!(error["code"], -32001);
    }
    assert_eq!(peer.closed().await, Some(1008));
    let mut peer = daemon.stranger().await;
    let error = peer.call("state.keys", json!({})).await.unwrap_err();
    assert_eq!(error["code"], -32001);
    assert_eq!(peer.closed().await, Some(1008));
}

#[tokio::test]
async fn an_agent_token_is_minted_while_the_daemon_runs_and_binds_one_connection() {
    let daemon = Daemon::start(&[]).await;
    let mut first = daemon.agent("builder").await;
    let token = daemon.read("run/agents/builder.token").trim().to_owned();
    let mut second = daemon.stranger().await;
    let proof = json!({ "token": token, "agent_id": "builder" });
    let error = second.call("session.auth", proof.clone()).await.unwrap_err();
    assert_eq!(error["code"], -32008);
    // The daemon token is no agent's.
    let daemon_token =
        json!({ "token": daemon.read("run/auth-token").trim(), "agent_id": "other" });
    assert_eq!(second.call("session.auth", daemon_token).await.unwrap_err()["code"], -32001);
    first.socket.close(None).await.unwrap();
    first.closed().await;
    until("the claim is free", || true).await;
    let mut bound = second.call("session.auth", proof.clone()).await;
    while bound.is_err() {
        second = daemon.stranger().await;
        bound = second.call("session.auth", proof.clone()).await;
    }
    assert_eq!(bound.unwrap()["role"], "agent");
}

#[tokio::test]
async fn a_rotated_token_counts_at_once() {
    let daemon = Daemon::start(&[]).await;
    let old = daemon.read("run/auth-token");
    assert!(daemon.run(&["token", "rotate"]).await.status.success());
    let mut peer = daemon.stranger().await;
    let error = peer.call("session.auth", json!({ "token": old.trim() })).await.unwrap_err();
    assert_eq!(error["code"], -32001);
    daemon.client().await.call("server.ping", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_leaves_nothing() {
    let daemon = Daemon::start(&[]).await;
    let mut provider = daemon.host().await;
    let methods = json!([
        { "name": "desk.wait", "params_schema": {}, "access": "authenticated" },
        { "name": "desk.risky", "params_schema": {}, "access": "authenticated", "needs_approval": true },
    ]);
    let offer = json!({ "namespace": "desk", "methods": methods });
    provider.call("host.register_methods", offer).await.unwrap();
    let mut person = daemon.host().await;
    person.call("host.subscribe", json!({})).await.unwrap();
    let mut agent = daemon.agent("builder").await;
    let run = agent.call("runs.start", json!({ "intent": "x" })).await.unwrap();
    agent.call("runs.subscribe", json!({ "run_id": run["run_id"] })).await.unwrap();
    agent.send("desk.wait", json!({})).await;
    agent.send("desk.risky", json!({})).await;
    provider.frame(|it| it["method"] == "host.call_method").await;
    person.frame(|it| it["params"]["kind"] == "approval.requested").await;
    drop(agent);
    let resolved = person.frame(|it| it["params"]["kind"] == "approval.resolved").await;
    assert_eq!(resolved["params"]["payload"]["approval"]["status"], "cancelled");
    let cancelled = provider.frame(|it| it["method"] == "host.call_cancelled").await;
    assert_eq!(cancelled["params"]["reason"], "caller_gone");
    let list = json!({ "agent_id": "builder", "status": "in_progress" });
    loop {
        let open = person.call("runs.list", list.clone()).await.unwrap();
        if open["runs"] == json!([]) {
            break;
        }
    }
    let metrics = person.call("host.metrics", json!({})).await.unwrap();
    assert!(metrics["text"].as_str().unwrap().contains("carport_sessions 2"));
}

#[tokio::test]
async fn no_secret_shows_anywhere() {
    let daemon = Daemon::start(&["--log", "trace"]).await;
    let mut agent = daemon.agent("builder").await;
    let mut host = daemon.host().await;
    let mut said = String::new();
    for (method, params) in [
        ("rpc.discover", json!({})),
        ("host.subscribe", json!({})),
        ("host.events", json!({})),
        ("host.metrics", json!({})),
        ("session.auth", json!({ "host_token": "wrong-guess-of-a-token" })),
    ] {
        said.push_str(&format!("{:?}", host.call(method, params).await));
    }
    let run = agent.call("runs.start", json!({ "intent": "x" })).await.unwrap();
    said.push_str(&run.to_string());
    let secrets: Vec<_> = ["run/auth-token", "run/host-token", "run/agents/builder.token"]
        .map(|name| daemon.read(name).trim().to_owned())
        .into();
    said.push_str(&daemon.read("log"));
    for args in [&["plugins"][..], &["doctor"], &["config", "show"], &["methods"]] {
        let out = daemon.run(args).await;
        said.push_str(&String::from_utf8_lossy(&out.stdout));
        said.push_str(&String::from_utf8_lossy(&out.stderr));
    }
    assert!(said.len() > 10_000);
    for secret in secrets {
        assert_eq!(secret.len(), 43);
        assert!(!said.contains(&secret), "a secret was said");
    }
}
