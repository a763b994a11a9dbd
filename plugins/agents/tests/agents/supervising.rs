//! What is written down, what runs, and who may know.

use carport_core::{codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{host, host_with, spec, token, upsert};

#[tokio::test]
async fn an_agent_starts_learns_who_it_is_and_stops() {
    let host = host().await;
    let script =
        "echo $CARPORT_AGENT_ID $CAR_DAEMON_URL; echo $CARPORT_AGENT_TOKEN >&2; sleep 1000";
    let written = upsert(&host, spec("helper", script)).await;
    assert_eq!((&written["status"], &written["attached"]), (&json!("stopped"), &json!(false)));
    let mut client = host.client().await;
    let started = client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    assert_eq!(started["status"], "running");
    assert!(started["pid"].as_u64().is_some() && started["started_at"].as_i64().is_some());
    let tail = loop {
        let tail = client.raw("agents.tail_log", json!({ "id": "helper", "n": 5 })).await.unwrap();
        if tail["lines"].as_array().unwrap().len() == 2 {
            break tail;
        }
    };
    assert_eq!(tail["stdout"], json!(["helper ws://127.0.0.1:9"]));
    assert_eq!(tail["stderr"], json!([token(&host, "helper").trim()]));
    let waited = json!({ "id": "helper", "targets": ["running"] });
    assert_eq!(client.raw("agents.wait", waited).await.unwrap()["pid"], started["pid"]);
    let cursor = client.raw("agents.subscribe", json!({})).await.unwrap()["cursor"].clone();
    client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    upsert(&host, spec("helper", script)).await;
    let again = client.raw("agents.subscribe", json!({})).await.unwrap();
    assert_eq!(again["cursor"], cursor, "nothing changed, and nobody was told");
    let late = json!({ "id": "helper", "targets": ["errored"], "timeout_secs": 0 });
    let error = client.raw("agents.wait", late).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["status"]), (codes::DEADLINE, &json!("running")));
    let stop = json!({ "id": "helper", "signal": "kill" });
    let stopped = client.raw("agents.stop", stop).await.unwrap();
    assert_eq!((&stopped["status"], &stopped["pid"]), (&json!("stopped"), &json!(null)));
    host.stop().await;
    assert!(!host.root().join("run/agents/helper.token").exists(), "tokens go with the daemon");
}

#[tokio::test]
async fn tokens_are_taken_back_before_agents_have_their_grace() {
    let host = host().await;
    let script = "trap 'test -e ../../run/agents/helper.token; echo $?; exit 0' TERM; echo ready; \
                  while :; do sleep 0.05; done";
    upsert(&host, spec("helper", script)).await;
    let mut client = host.client().await;
    client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    let follow = json!({ "id": "helper", "stream": "stdout" });
    if client.raw("agents.follow_log", follow).await.unwrap()["lines"] == json!([]) {
        assert_eq!(client.notification("agents.log").await["line"], "ready");
    }
    client.close().await;
    host.stop().await;
    let log = std::fs::read_to_string(host.root().join("logs/helper.stdout.log")).unwrap();
    assert_eq!(log, "ready\n1\n");
}

#[tokio::test]
async fn nothing_starts_again_while_the_daemon_stops() {
    let host = host().await;
    // Takes a second to end, for which the host waits.
    let mut slow =
        spec("slow", "trap 'sleep 1; exit 0' TERM; echo up; while :; do sleep 0.05; done");
    slow["stop_grace_secs"] = json!(60);
    let fails = "echo up; while [ ! -e go ]; do sleep 0.02; done; exit 1";
    let mut failing = spec("failing", fails);
    (failing["restart"], failing["backoff_secs"]) = (json!("always"), json!(0.1));
    let (mut client, mut idle) = (host.client().await, host.client().await);
    for (id, spec) in [("slow", slow), ("failing", failing)] {
        upsert(&host, spec).await;
        client.raw("agents.start", json!({ "id": id })).await.unwrap();
        let follow = json!({ "id": id, "stream": "stdout" });
        if client.raw("agents.follow_log", follow).await.unwrap()["lines"] == json!([]) {
            assert_eq!(client.notification("agents.log").await["line"], "up");
        }
    }
    let call = client.send("agents.stop", json!({ "id": "slow" })).await;
    let stopping = tokio::spawn({
        let host = host.clone();
        async move { host.stop().await }
    });
    idle.closed().await;
    std::fs::write(host.root().join("agents/failing/go"), "").unwrap();
    assert_eq!(client.reply(call).await.unwrap()["status"], "stopped");
    stopping.await.unwrap();
    let log = std::fs::read_to_string(host.root().join("logs/failing.stdout.log")).unwrap();
    assert_eq!(log, "up\n");
}

#[tokio::test]
async fn values_of_the_environment_are_the_hosts_to_see_and_survive_a_round_trip() {
    let host = host().await;
    let mut with_secret = spec("helper", "true");
    with_secret["env"] = json!({ "KEY": "hunter2" });
    with_secret["note"] = json!("kept");
    upsert(&host, with_secret).await;
    let mut client = host.client().await;
    let listed = client.raw("agents.list", json!({})).await.unwrap();
    assert_eq!(listed[0]["spec"]["env"]["KEY"], "[redacted]");
    assert_eq!(listed[0]["spec"]["note"], "kept");
    upsert(&host, listed[0]["spec"].clone()).await;
    let shown = host.host().await.raw("agents.list", json!({})).await.unwrap();
    assert_eq!(shown[0]["spec"]["env"]["KEY"], "hunter2");
}

#[tokio::test]
async fn a_second_daemon_looks_on_and_changes_nothing() {
    let owner = host().await;
    upsert(&owner, spec("helper", "true")).await;
    let manifest = owner.root().join("agents.json").display().to_string();
    let observer = host_with(json!({ "manifest": manifest })).start().await;
    let mut host = observer.host().await;
    let listed = host.raw("agents.list", json!({})).await.unwrap();
    assert_eq!(
        (&listed[0]["spec"]["id"], &listed[0]["status"]),
        (&json!("helper"), &json!("stopped"))
    );
    assert_eq!(host.raw("agents.health", json!({})).await.unwrap()[0]["ok"], true);
    for (method, params) in [
        ("agents.upsert", spec("x", "true")),
        ("agents.start", json!({ "id": "helper" })),
        ("agents.remove", json!({ "id": "helper" })),
        ("agents.subscribe", json!({})),
        ("agents.unsubscribe", json!({})),
        ("agents.chat", json!({ "agent_id": "helper", "prompt": "p" })),
        ("agents.wait", json!({ "id": "helper" })),
    ] {
        let error = host.raw(method, params).await.unwrap_err();
        assert_eq!(error.code, codes::CONFLICT, "{method}: {error}");
        assert!(error.message.contains("observe-only"), "{method}: {error}");
        let data = error.data.unwrap();
        assert_eq!((&data["manifest_path"], &data["role"]), (&json!(manifest), &json!("observer")));
    }
    let proof = json!({ "agent_id": "helper", "token": "any" });
    let mut stranger = observer.stranger().await;
    for _ in 0..10 {
        let error = stranger.raw("session.auth", proof.clone()).await.unwrap_err();
        assert!(error.code == codes::CONFLICT && error.message.contains("observe-only"), "{error}");
    }
    owner.stop().await;
    drop(owner);
    let error = host.raw("agents.start", json!({ "id": "helper" })).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT, "who looks on does not take over");
    let snapshot = host.raw("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_role"], "observer");
}

/// A daemon on the state root of an earlier one, which knew the agent `helper`.
async fn later(config: Value) -> TestHost {
    let earlier = host().await;
    upsert(&earlier, spec("helper", "sleep 1000")).await;
    earlier.stop().await;
    let root = earlier.clone();
    drop(earlier);
    let later = host_with(config).on_root_of(&root);
    drop(root);
    later.start().await
}

#[tokio::test]
async fn before_anything_is_supervised_following_and_waiting_know_what_the_list_knows() {
    let lazy = later(json!({ "supervise": "on_demand" })).await;
    let mut client = lazy.client().await;
    let followed = client.raw("agents.subscribe", json!({})).await.unwrap();
    assert_eq!(followed["agents"], client.raw("agents.list", json!({})).await.unwrap());
    assert_eq!(followed["agents"][0]["spec"]["id"], "helper");
    let stopped = json!({ "id": "helper", "targets": ["stopped"] });
    assert_eq!(client.raw("agents.wait", stopped).await.unwrap()["status"], "stopped");
    let unknown = client.raw("agents.wait", json!({ "id": "nobody" })).await.unwrap_err();
    assert_eq!(unknown.code, codes::NOT_FOUND);
    let none = json!({ "id": "helper", "timeout_secs": 0 });
    let late = client.raw("agents.wait", none).await.unwrap_err();
    assert_eq!((late.code, &late.data.unwrap()["status"]), (codes::DEADLINE, &json!("stopped")));
    let snapshot = client.raw("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_role"], "none");

    let mut waiting = lazy.client().await;
    let (waited, started) = tokio::join!(
        waiting.raw("agents.wait", json!({ "id": "helper" })),
        client.raw("agents.start", json!({ "id": "helper" })),
    );
    assert_eq!(waited.unwrap()["pid"], started.unwrap()["pid"]);
    lazy.stop().await;
}

#[tokio::test]
async fn an_owner_that_could_not_load_all_its_agents_tries_again() {
    let lazy = later(json!({ "supervise": "on_demand" })).await;
    let mut client = lazy.client().await;
    let tokens = lazy.root().join("run/agents");
    std::fs::remove_dir_all(&tokens).unwrap();
    std::fs::write(&tokens, "in the way").unwrap();
    let error = client.raw("agents.start", json!({ "id": "helper" })).await.unwrap_err();
    assert_eq!(error.code, codes::INTERNAL);
    std::fs::remove_file(&tokens).unwrap();
    std::fs::create_dir(&tokens).unwrap();
    let started = client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    assert_eq!(started["status"], "running");
    lazy.stop().await;
}

#[tokio::test]
async fn on_demand_reading_leaves_the_manifest_free() {
    let lazy = host_with(json!({ "supervise": "on_demand" })).start().await;
    let mut client = lazy.client().await;
    for method in ["agents.list", "agents.health", "host.subscribe", "rpc.discover"] {
        client.raw(method, json!({})).await.unwrap();
    }
    assert!(!lazy.root().join("agents.json.lock").exists());
    upsert(&lazy, spec("helper", "true")).await;
    let snapshot = client.raw("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_role"], "owner");
    assert_eq!(snapshot["agents"][0]["id"], "helper");
}

#[tokio::test]
async fn what_starts_with_the_daemon_runs_after_a_restart() {
    let first = host().await;
    let mut auto = spec("auto", "sleep 1000");
    auto["auto_start"] = json!(true);
    upsert(&first, auto).await;
    upsert(&first, spec("idle", "sleep 1000")).await;
    let root = first.clone();
    first.stop().await;
    drop(first);
    // The lock goes with the first host's last reference to its manifest.
    let second = host_with(json!({})).on_root_of(&root);
    drop(root);
    let second = second.start().await;
    let mut client = second.client().await;
    let early = json!({ "id": "auto", "timeout_secs": 0.2 });
    let error = client.raw("agents.wait", early).await.unwrap_err();
    assert_eq!(error.data.unwrap()["status"], "stopped", "not before the daemon listens");
    let endpoint = json!({ "url": "ws://127.0.0.1:9", "pid": std::process::id() });
    std::fs::write(second.root().join("run/endpoint.json"), endpoint.to_string()).unwrap();
    let wait = json!({ "id": "auto", "timeout_secs": 30 });
    assert_eq!(client.raw("agents.wait", wait).await.unwrap()["status"], "running");
    let listed = client.raw("agents.list", json!({})).await.unwrap();
    assert_eq!(listed[1]["status"], "stopped");
    second.stop().await;
}

#[tokio::test]
async fn settings_that_say_nothing_stop_the_boot_and_are_named() {
    for (key, value) in [("capabilities", json!(["moon"])), ("registry_paths", json!(["below"]))] {
        let boot = tokio::spawn(host_with(json!({ key: value })).start());
        let panic = boot.await.err().unwrap().into_panic();
        let why = panic.downcast_ref::<String>().unwrap();
        assert!(why.contains(&format!("`agents.{key}`")), "{why}");
    }
}

#[tokio::test]
async fn an_unknown_agent_is_not_found_and_a_bad_command_names_its_rule() {
    let host = host().await;
    let mut owner = host.host().await;
    for method in
        ["agents.start", "agents.stop", "agents.restart", "agents.wait", "agents.tail_log"]
    {
        let error = owner.raw(method, json!({ "id": "nobody" })).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_FOUND, "{method}");
    }
    let bad = json!({ "id": "helper", "command": "bin/sh" });
    let error = owner.raw("agents.upsert", bad).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("command")));
    assert_eq!(owner.raw("agents.list", json!({})).await.unwrap(), json!([]));
}
