//! Agents from manifests: what is kept, what runs, what is refused.

use std::{fs, os::unix::fs::PermissionsExt};

use carport_agents_bundle::{Document, SigningKey, sign};
use carport_core::{
    RpcError, codes,
    testing::{TestClient, TestHost},
};
use serde_json::{Map, Value, json};

use crate::{host, host_with, spec, token, upsert};

/// A manifest of an agent that sleeps, with these members of `transport` in the place of its own.
fn manifest(id: &str, transport: Value) -> Value {
    let mut whole = json!({
        "agent": { "id": id, "name": "Helper", "namespace": "acme", "motto": "kept" },
        "transport": {
            "kind": "external_process", "command": "/bin/sh", "args": ["-c", "sleep 1000"],
            "restart": "never",
        },
    });
    put(&mut whole["transport"], transport);
    whole
}

fn put(table: &mut Value, members: Value) {
    let members: Map<String, Value> = serde_json::from_value(members).unwrap();
    table.as_object_mut().unwrap().extend(members);
}

async fn install(host: &TestHost, manifest: Value) -> Result<Value, RpcError> {
    host.host().await.raw("agents.install", manifest).await
}

async fn list(host: &TestHost) -> Value {
    host.client().await.raw("agents.list", json!({})).await.unwrap()
}

async fn attach(host: &TestHost, id: &str) -> TestClient {
    host.proven(json!({ "agent_id": id, "token": token(host, id) })).await
}

#[tokio::test]
async fn a_signed_manifest_becomes_an_agent_and_stays_whole_beside_it() {
    let host = host().await;
    let document: Document = serde_json::from_value(manifest("helper", json!({}))).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let signed = sign(&document.to_toml().unwrap(), &key).unwrap();
    let signed = json!(Document::from_toml(&signed).unwrap());
    let reply = install(&host, signed.clone()).await.unwrap();
    let report = json!({
        "missingOptional": [], "signature": "verified", "key_id": key.key_id(), "warnings": [],
        "unenforced": [],
    });
    assert_eq!(reply["report"], report);
    let agent = &reply["agent"];
    assert_eq!((&agent["spec"]["id"], &agent["status"]), (&json!("helper"), &json!("stopped")));
    assert_eq!(list(&host).await[0]["spec"]["args"], json!(["-c", "sleep 1000"]));
    let own = host.root().join("agents/helper");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&own), mode(&own.join("manifest.toml"))), (0o700, 0o600));
    let kept = fs::read_to_string(own.join("manifest.toml")).unwrap();
    assert_eq!(json!(Document::from_toml(&kept).unwrap()), signed);
    assert!(!token(&host, "helper").is_empty());

    let mut changed = signed;
    changed["agent"]["name"] = json!("Other");
    let reply = install(&host, changed).await.unwrap();
    assert_eq!(reply["report"]["signature"], "failed");
    assert_eq!(reply["report"]["warnings"].as_array().unwrap().len(), 2, "another key, too");
    let mut owner = host.host().await;
    for removed in [true, false] {
        let reply = owner.raw("agents.remove", json!({ "id": "helper" })).await.unwrap();
        assert_eq!(reply["removed"], removed);
        assert!(!own.join("manifest.toml").exists());
    }
}

#[tokio::test]
async fn what_the_daemon_does_not_start_is_a_manifest_alone() {
    let host = host().await;
    for transport in [
        json!({ "kind": "pure_data" }),
        json!({ "kind": "external_process", "health_url": "http://127.0.0.1:1/" }),
    ] {
        let mut whole = manifest("data", json!({}));
        whole["transport"] = transport;
        whole["capabilities"] = json!({ "denied": { "tools": ["list"] } });
        let reply = install(&host, whole).await.unwrap();
        assert_eq!(
            (&reply["agent"], &reply["report"]["signature"]),
            (&json!(null), &json!("unsigned"))
        );
        assert_eq!(reply["report"]["unenforced"], json!(["tools.list"]), "it has no connection");
        assert_eq!(list(&host).await, json!([]));
    }
    assert!(host.root().join("agents/data/manifest.toml").exists());
    let mut owner = host.host().await;
    for removed in [true, false] {
        let reply = owner.raw("agents.remove", json!({ "id": "data" })).await.unwrap();
        assert_eq!(reply["removed"], removed);
    }
}

#[tokio::test]
async fn what_may_not_be_is_refused_and_changes_nothing() {
    let host = host_with(json!({ "car_version": "0.9", "signatures": "require" })).start().await;
    let with = |table: &str, members: Value| {
        let mut whole = manifest("helper", json!({}));
        put(&mut whole, json!({ table: members }));
        whole
    };
    let transport = |members: Value| manifest("helper", members);
    let mut fetched = transport(json!({ "binary_url": "https://x/y" }));
    fetched["transport"].as_object_mut().unwrap().remove("command");
    for (whole, code, field) in [
        (transport(json!({})), codes::POLICY, Some("publisher.signature")),
        (
            with("publisher", json!({ "key_id": "k", "signature": "s" })),
            codes::POLICY,
            Some("publisher.signature"),
        ),
        (fetched, codes::INVALID_PARAMS, Some("transport.binary_url")),
        (
            with("agent", json!({ "id": "../x", "name": "x" })),
            codes::INVALID_PARAMS,
            Some("agent.id"),
        ),
        (with("more", json!([null])), codes::INVALID_PARAMS, Some("more[0]")),
        (
            with("runtime", json!({ "car_min_version": "1" })),
            codes::UNAVAILABLE,
            Some("runtime.car_min_version"),
        ),
        (
            with("runtime", json!({ "carport_min_version": "=99" })),
            codes::UNAVAILABLE,
            Some("runtime.carport_min_version"),
        ),
        (
            with("capabilities", json!({ "required": { "moon": ["walk"] } })),
            codes::UNAVAILABLE,
            None,
        ),
    ] {
        let error = install(&host, whole).await.unwrap_err();
        assert_eq!((error.code, error.field()), (code, field), "{error}");
        if field.is_none() {
            let missing = json!([{ "namespace": "moon", "feature": "walk" }]);
            assert_eq!(error.data.unwrap()["missing"], missing);
        }
    }
    let files = host.root().join("agents");
    assert_eq!((list(&host).await, fs::read_dir(files).unwrap().count()), (json!([]), 0));
}

#[tokio::test]
async fn a_command_has_to_be_the_file_that_is_meant_and_meet_the_rules() {
    let host = host().await;
    let wrong = manifest("helper", json!({ "sha256": "a".repeat(64) }));
    let error = install(&host, wrong).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("transport.sha256")));
    let got = error.data.unwrap()["got"].as_str().unwrap().to_uppercase();
    assert!(install(&host, manifest("helper", json!({ "sha256": got }))).await.is_ok());
    let broken = manifest("other", json!({ "command": "/nowhere/at/all" }));
    let error = install(&host, broken).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("transport.command")));
    assert_eq!(error.data.unwrap()["rule"], "C2");
    assert!(!host.root().join("agents/other").exists());
}

#[tokio::test]
async fn only_those_who_manage_install() {
    let host = host().await;
    upsert(&host, spec("agent", "true")).await;
    for mut other in [host.client().await, attach(&host, "agent").await] {
        let error = other.raw("agents.install", manifest("helper", json!({}))).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN);
    }
    let host = host_with(json!({ "supervise": "never" })).start().await;
    let error = install(&host, manifest("helper", json!({}))).await.unwrap_err();
    assert!(error.code == codes::CONFLICT && error.message.contains("observe-only"), "{error}");
    assert!(!host.root().join("agents/helper").exists());
}

#[tokio::test]
async fn an_id_belongs_to_one_namespace_and_a_process_is_not_replaced_by_data() {
    let host = host().await;
    install(&host, manifest("helper", json!({}))).await.unwrap();
    let mut owner = host.host().await;
    let listed = owner.raw("agents.list", json!({})).await.unwrap();
    let mut narrowed = listed[0]["spec"].clone();
    put(&mut narrowed, json!({ "method_allowlist": ["runs.*"] }));
    owner.raw("agents.upsert", narrowed).await.unwrap();
    for namespace in [json!("other"), json!(null)] {
        let mut foreign = manifest("helper", json!({}));
        foreign["agent"]["namespace"] = namespace;
        assert_eq!(install(&host, foreign).await.unwrap_err().code, codes::CONFLICT);
    }
    let mut data = manifest("helper", json!({}));
    data["transport"] = json!({ "kind": "pure_data" });
    assert_eq!(install(&host, data).await.unwrap_err().code, codes::CONFLICT);
    let renewed =
        install(&host, manifest("helper", json!({ "args": ["-c", "true"] }))).await.unwrap();
    assert_eq!(renewed["agent"]["spec"]["args"], json!(["-c", "true"]));
    assert_eq!(renewed["agent"]["spec"]["method_allowlist"], json!(["runs.*"]));
}

#[tokio::test]
async fn what_cannot_be_written_whole_is_not_written_at_all() {
    let host = host().await;
    install(&host, manifest("helper", json!({}))).await.unwrap();
    let kept = host.root().join("agents/helper/manifest.toml");
    let before = fs::read_to_string(&kept).unwrap();
    let path = host.root().join("agents.json");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
    for id in ["helper", "new"] {
        let error = install(&host, manifest(id, json!({ "auto_start": true }))).await.unwrap_err();
        assert_eq!(error.code, codes::CONFLICT, "the file was changed by somebody else");
    }
    assert_eq!(fs::read_to_string(&kept).unwrap(), before);
    assert!(!host.root().join("agents/new/manifest.toml").exists());
}

#[tokio::test]
async fn what_a_manifest_denies_is_taken_away_at_once_and_after_a_restart() {
    let first = host().await;
    install(&first, manifest("helper", json!({}))).await.unwrap();
    let mut agent = attach(&first, "helper").await;
    assert!(agent.raw("registry.list", json!({})).await.is_ok());
    let mut denying = manifest("helper", json!({}));
    denying["capabilities"] = json!({
        "denied": { "registry": ["list"], "goal": ["*"], "moon": ["walk"], "agent": ["chat.event"] },
        "optional": { "moon": ["walk"], "network": ["none", "host-api"] },
    });
    let report = install(&first, denying).await.unwrap()["report"].take();
    assert_eq!(report["unenforced"], json!(["agent.chat.event", "moon.walk"]));
    let missing = json!([
        { "namespace": "moon", "feature": "walk" }, { "namespace": "network", "feature": "none" },
    ]);
    assert_eq!(report["missingOptional"], missing);
    check_narrowed(&mut agent).await;
    agent.close().await;
    let root = first.root().to_owned();
    let again = |section| host_with(section).on_root_of(&first);
    let second = again(json!({}));
    let require = json!({ "signatures": "require" });
    let later = [json!({}), json!({}), require, json!({})].map(again);
    first.stop().await;
    drop(first);
    // The agent may do in its own directory what it likes, and nobody waits for a pipe.
    let copy = root.join("agents/helper/manifest.toml");
    fs::remove_file(&copy).unwrap();
    make_pipe(&copy);
    let second = second.start().await;
    check_narrowed(&mut attach(&second, "helper").await).await;
    second.stop().await;
    drop(second);
    // What cannot be relied on any more denies everything.
    let kept = root.join("bundles/helper.toml");
    let text = fs::read_to_string(&kept).unwrap();
    for (damage, host) in later.into_iter().enumerate() {
        fs::remove_file(&kept).unwrap();
        match damage {
            0 => fs::write(&kept, text.replace("[agent]", "[agent")).unwrap(),
            1 => fs::write(&kept, text.replace("\"helper\"", "\"other\"")).unwrap(),
            2 => fs::write(&kept, &text).unwrap(),
            _ => make_pipe(&kept),
        }
        let host = host.start().await;
        let mut agent = attach(&host, "helper").await;
        check_denied(&mut agent, &["registry.list", "goal.status", "agents.list"]).await;
        host.stop().await;
    }
}

fn make_pipe(path: &std::path::Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[tokio::test]
async fn what_an_agent_makes_of_its_directory_is_in_nobodys_way() {
    let host = host().await;
    install(&host, manifest("helper", json!({}))).await.unwrap();
    let copy = host.root().join("agents/helper/manifest.toml");
    fs::remove_file(&copy).unwrap();
    fs::create_dir(&copy).unwrap();
    fs::write(copy.join("full"), "x").unwrap();
    install(&host, manifest("helper", json!({}))).await.unwrap();
    let mut owner = host.host().await;
    for removed in [true, false] {
        let reply = owner.raw("agents.remove", json!({ "id": "helper" })).await.unwrap();
        assert_eq!(reply["removed"], removed);
    }
    install(&host, manifest("helper", json!({}))).await.unwrap();
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_kept() {
    let host = host().await;
    let mut deep = manifest("helper", json!({}));
    deep["more"] = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(install(&host, deep).await.unwrap_err().code, codes::INVALID_PARAMS);
    assert_eq!(list(&host).await, json!([]));
    install(&host, manifest("helper", json!({}))).await.unwrap();
}

fn signed(manifest: Value, key: &SigningKey) -> Value {
    let document: Document = serde_json::from_value(manifest).unwrap();
    let text = sign(&document.to_toml().unwrap(), key).unwrap();
    json!(Document::from_toml(&text).unwrap())
}

#[tokio::test]
async fn another_key_is_told_of_or_refused() {
    let (ours, theirs) = (SigningKey::from_bytes(&[7; 32]), SigningKey::from_bytes(&[8; 32]));
    let release = |n: &str| manifest("helper", json!({ "args": ["-c", n] }));
    let lax = host().await;
    install(&lax, signed(release("1"), &ours)).await.unwrap();
    let report = install(&lax, signed(release("2"), &ours)).await.unwrap()["report"].take();
    assert_eq!((&report["key_id"], &report["warnings"]), (&json!(ours.key_id()), &json!([])));
    let report = install(&lax, signed(release("3"), &theirs)).await.unwrap()["report"].take();
    assert_eq!(report["key_id"], theirs.key_id());
    assert!(report["warnings"][0].as_str().unwrap().contains(&ours.key_id()), "{report}");

    let strict = host_with(json!({ "signatures": "require" })).start().await;
    install(&strict, signed(release("1"), &ours)).await.unwrap();
    let error = install(&strict, signed(release("2"), &theirs)).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::POLICY, Some("publisher.key_id")));
    assert_eq!(list(&strict).await[0]["spec"]["args"], json!(["-c", "1"]));
    let mut owner = strict.host().await;
    owner.raw("agents.remove", json!({ "id": "helper" })).await.unwrap();
    install(&strict, signed(release("2"), &theirs)).await.unwrap();

    upsert(&lax, spec("by-hand", "true")).await;
    let report = install(&lax, signed(manifest("by-hand", json!({})), &ours)).await.unwrap();
    let warnings = report["report"]["warnings"].as_array().unwrap();
    assert!(warnings[0].as_str().unwrap().contains("without a manifest"), "{warnings:?}");
}

async fn check_narrowed(agent: &mut TestClient) {
    assert!(agent.raw("agents.list", json!({})).await.is_ok());
    check_denied(agent, &["registry.list", "goal.status"]).await;
}

async fn check_denied(agent: &mut TestClient, methods: &[&str]) {
    for method in methods {
        let error = agent.raw(method, json!({})).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN, "{method}");
    }
    let event = json!({ "session_id": "none", "kind": "done" });
    assert!(agent.raw("agent.chat.event", event).await.is_ok(), "an agent may always answer");
}

#[tokio::test]
async fn an_agent_that_asks_for_it_runs_before_the_reply() {
    let host = host().await;
    let reply = install(&host, manifest("helper", json!({ "auto_start": true }))).await.unwrap();
    assert_eq!(reply["agent"]["status"], "running");
    // An argument that fills every bound is more than the kernel takes of one.
    let broken = json!({ "auto_start": true, "args": ["x".repeat(128 * 1024)] });
    let reply = install(&host, manifest("broken", broken)).await.unwrap();
    assert_eq!(reply["agent"]["status"], "errored");
    let warnings = reply["report"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|it| it.as_str().unwrap().contains("did not start")));
    host.stop().await;
}
