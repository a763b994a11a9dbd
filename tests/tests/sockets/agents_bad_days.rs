//! Bad days of a daemon with agents: manifests that are broken, foreign or edited, commands that are not to be
//! run, full disks.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::{
    agents::{alive, shell, shown, wait},
    bad_disks::fill,
    daemon::{Daemon, run_on, until},
};

#[tokio::test]
async fn a_manifest_that_does_not_read_stops_the_boot_with_its_path_and_line() {
    let many: Vec<_> =
        (0..10_000).map(|it| json!({ "id": format!("a{it}"), "command": "/x" })).collect();
    let many = json!(many).to_string();
    let cases: [(&[u8], &str); 5] = [
        (b"{\n\"version\": 1,\n\"agents\": [{\"id\": \"a\",", "agents.json:3"),
        (b"", "agents.json:1"),
        (b"\x00\x01\x02", "agents.json:1"),
        (b"[\"\xff\xfe\"]", "agents.json"),
        (many.as_bytes(), "256"),
    ];
    for (text, words) in cases {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("agents.json");
        fs::write(&path, text).unwrap();
        let out = run_on(root.path(), &["serve", "--bind", "127.0.0.1:0"]).await;
        assert!(!out.status.success(), "{out:?}");
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains(&path.display().to_string()) && said.contains(words), "{said}");
        assert_eq!(fs::read(&path).unwrap(), text, "it is left as it was");
    }
}

#[tokio::test]
async fn a_manifest_that_is_edited_by_hand_is_not_written_over_and_what_runs_goes_on() {
    let mut daemon = Daemon::start(&[]).await;
    let mut host = daemon.host().await;
    let spec = |id: &str| shell(&daemon, id, "exec sleep 1000");
    let (kept, by_hand, late) = (spec("kept"), spec("by-hand"), spec("late"));
    host.call("agents.upsert", kept.clone()).await.unwrap();
    let running = host.call("agents.start", json!({ "id": "kept" })).await.unwrap();
    let path = daemon.path("agents.json");
    for text in [String::new(), "{".into(), json!([kept, by_hand]).to_string()] {
        fs::write(&path, &text).unwrap();
        for (method, params) in
            [("agents.upsert", late.clone()), ("agents.remove", json!({ "id": "kept" }))]
        {
            let error = host.call(method, params).await.unwrap_err();
            assert_eq!(error["code"], -32008, "{error}");
            assert!(error["message"].as_str().unwrap().contains("restart the daemon"), "{error}");
            assert_eq!(error["data"]["manifest_path"], json!(path));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(shown(&mut host, "kept").await["pid"], running["pid"]);
        assert_eq!(shown(&mut host, "late").await, Value::Null);
    }
    host.call("agents.restart", json!({ "id": "kept" })).await.unwrap();
    drop(host);
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut host = daemon.host().await;
    assert_eq!(shown(&mut host, "by-hand").await["status"], "stopped");
    host.call("agents.upsert", late).await.unwrap();
}

#[tokio::test]
async fn of_two_daemons_on_one_manifest_the_second_looks_on() {
    let mut owner = Daemon::start(&[]).await;
    let mut host = owner.host().await;
    host.call("agents.upsert", shell(&owner, "helper", "echo said; exec sleep 1000"))
        .await
        .unwrap();
    host.call("agents.start", json!({ "id": "helper" })).await.unwrap();
    until("it spoke", || owner.read("logs/helper.stdout.log") == "said\n").await;
    let path = owner.path("agents.json").display().to_string();
    let before = fs::read(&path).unwrap();
    let looker = Daemon::with_config(&format!("[agents]\nmanifest = \"{path}\"\n")).await;
    let mut looks = looker.host().await;
    let seen = shown(&mut looks, "helper").await;
    assert_eq!((&seen["status"], &seen["attached"]), (&json!("stopped"), &json!(false)));
    assert_eq!((&seen["restart_count"], seen.get("pid")), (&json!(0), None));
    assert_eq!(seen["log_path"], shown(&mut host, "helper").await["log_path"]);
    let tail = looks.call("agents.tail_log", json!({ "id": "helper" })).await.unwrap();
    assert_eq!(tail["stdout"], json!(["said"]));
    assert_eq!(looks.call("agents.health", json!({})).await.unwrap()[0]["ok"], true);
    let snapshot = looks.call("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_path"], path.as_str());
    assert_eq!(snapshot["identity"]["manifest_role"], "observer");
    let helper = json!({ "id": "helper" });
    let token = owner.read("run/agents/helper.token");
    for (method, params) in [
        ("agents.upsert", shell(&looker, "helper", "true")),
        ("agents.remove", helper.clone()),
        ("agents.start", helper.clone()),
        ("agents.stop", helper.clone()),
        ("agents.restart", helper.clone()),
        ("agents.wait", helper),
        ("agents.subscribe", json!({})),
        ("agents.chat", json!({ "agent_id": "helper", "prompt": "p" })),
        ("session.auth", json!({ "agent_id": "helper", "token": token.trim() })),
    ] {
        let mut caller = match method {
            "session.auth" => looker.stranger().await,
            _ => looker.host().await,
        };
        let error = caller.call(method, params).await.unwrap_err();
        assert_eq!(error["code"], -32008, "{method}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("observe-only") && message.contains(&path), "{method}: {error}");
        let data = json!({ "manifest_path": path, "role": "observer" });
        assert_eq!(error["data"], data, "{method}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    // The first one's death makes the manifest free and the second no owner.
    owner.crash().await;
    let snapshot = looks.call("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_role"], "observer");
    owner = Daemon::start_on(owner.root.clone(), &[]).await;
    let snapshot = owner.host().await.call("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_role"], "owner");
}

#[tokio::test]
async fn reading_leaves_the_manifest_free_and_the_first_change_takes_it() {
    let first = Daemon::with_config("[agents]\nsupervise = \"on_demand\"\n").await;
    let mut host = first.host().await;
    for method in ["agents.list", "agents.health", "host.subscribe", "rpc.discover"] {
        host.call(method, json!({})).await.unwrap();
    }
    let path = first.path("agents.json").display().to_string();
    let settings = format!("[agents]\nsupervise = \"on_demand\"\nmanifest = \"{path}\"\n");
    let second = Daemon::with_config(&settings).await;
    second.host().await.call("agents.upsert", shell(&second, "a", "true")).await.unwrap();
    assert_eq!(shown(&mut host, "a").await["status"], "stopped", "it reads on");
    let error = host.call("agents.upsert", shell(&first, "b", "true")).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["role"]), (&json!(-32008), &json!("observer")));
}

/// A directory that the rules take: nobody else may write on the way to it.
fn home() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn program(path: &Path, mode: u32) -> String {
    fs::write(path, "#!/bin/sh\nexec sleep 1000\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_command_that_is_not_to_be_run_is_refused_when_it_is_written_and_when_it_is_started() {
    let (daemon, home, scratch) = (Daemon::start(&[]).await, home(), tempfile::tempdir().unwrap());
    let mut host = daemon.host().await;
    let at = |name: &str| home.path().join(name);
    for (rule, command) in [
        ("C1", "bin/sh".to_owned()),
        ("C1", "/bin/../bin/sh".to_owned()),
        ("C2", at("missing").display().to_string()),
        ("C2", program(&at("plain"), 0o644)),
        ("C2", home.path().display().to_string()),
        ("C3", program(&at("open"), 0o757)),
        ("C4", program(&scratch.path().join("x"), 0o755)),
    ] {
        let spec = json!({ "id": "bad", "command": command });
        let error = host.call("agents.upsert", spec).await.unwrap_err();
        assert_eq!((&error["code"], &error["data"]["rule"]), (&json!(-32602), &json!(rule)));
        assert!(error["message"].as_str().unwrap().contains(&command), "{error}");
    }
    assert_eq!(host.call("agents.list", json!({})).await.unwrap(), json!([]));
    let command = program(&at("good"), 0o755);
    let mut good = shell(&daemon, "good", "");
    (good["command"], good["args"]) = (json!(command), json!([]));
    host.call("agents.upsert", good).await.unwrap();
    host.call("agents.start", json!({ "id": "good" })).await.unwrap();
    fs::set_permissions(at("good"), fs::Permissions::from_mode(0o757)).unwrap();
    let health = host.call("agents.health", json!({})).await.unwrap();
    assert_eq!(health[0]["ok"], false);
    assert!(health[0]["reason"].as_str().unwrap().starts_with("C3"), "{health}");
    let error = host.call("agents.restart", json!({ "id": "good" })).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["status"]), (&json!(-32013), &json!("errored")));
    assert!(error["message"].as_str().unwrap().contains("world-writable"), "{error}");
    assert!(alive(daemon.root.path()).is_empty(), "what ran was stopped for the restart");
    fs::set_permissions(at("good"), fs::Permissions::from_mode(0o755)).unwrap();
    host.call("agents.start", json!({ "id": "good" })).await.unwrap();
}

/// Named after its fellows so that it is left out where nobody may mount.
#[tokio::test]
async fn bad_disks_cost_agents_their_output_and_nothing_else() {
    let daemon = Daemon::mounted("tmpfs", "size=4m,mode=700", &[]).await;
    let mut host = daemon.host().await;
    let script = "while [ ! -e go ]; do sleep 0.02; done
        head -c 3000000 /dev/zero; echo told >&2; exit 7";
    host.call("agents.upsert", shell(&daemon, "loud", script)).await.unwrap();
    host.call("agents.start", json!({ "id": "loud" })).await.unwrap();
    let manifest = daemon.read("agents.json");
    let filler = fill(&daemon);
    fs::File::create(daemon.path("agents/loud/go")).unwrap();
    assert_eq!(wait(&mut host, "loud", "errored").await["last_exit_code"], 7, "nobody held it up");
    let metrics = host.call("host.metrics", json!({})).await.unwrap();
    let name = "carport_agents_dropped_log_bytes_total ";
    let dropped = metrics["text"].as_str().unwrap().lines().find_map(|it| it.strip_prefix(name));
    assert!(dropped.unwrap().parse::<u64>().unwrap() > 2_000_000, "{dropped:?}");
    assert!(daemon.log().contains("output is dropped"), "{}", daemon.log());
    // Without room for its record an agent still starts.
    host.call("agents.start", json!({ "id": "loud" })).await.unwrap();
    assert_eq!(wait(&mut host, "loud", "errored").await["last_exit_code"], 7);
    let mut large = shell(&daemon, "large", "true");
    large["env"]["LARGE"] = json!("x".repeat(30_000));
    let error = host.call("agents.upsert", large).await.unwrap_err();
    assert_eq!(error["code"], -32603, "{error}");
    assert_eq!(daemon.read("agents.json"), manifest, "it is whole");
    fs::remove_file(filler).unwrap();
    host.call("agents.start", json!({ "id": "loud" })).await.unwrap();
    wait(&mut host, "loud", "errored").await;
    let tail = host.call("agents.tail_log", json!({ "id": "loud", "n": 1 })).await.unwrap();
    assert_eq!(tail["stderr"], json!(["told"]));
    assert!(daemon.path("logs/loud.stdout.log").metadata().unwrap().len() >= 3_000_000);
    host.call("agents.upsert", shell(&daemon, "late", "true")).await.unwrap();
}
