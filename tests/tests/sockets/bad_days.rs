//! Bad days: two daemons, wrong roots, wrong settings, signals, silent peers.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use crate::daemon::{Daemon, raw, run_on};

fn said(out: &std::process::Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[tokio::test]
async fn a_second_daemon_on_one_root_names_the_first() {
    let daemon = Daemon::start(&[]).await;
    let out = daemon.run(&["serve", "--bind", "127.0.0.1:0"]).await;
    assert_eq!(out.status.code(), Some(6), "{out:?}");
    assert!(said(&out).contains(&daemon.pid().to_string()), "{}", said(&out));
    assert_eq!(said(&out).trim().lines().count(), 1, "one clear line: {}", said(&out));
    daemon.client().await.call("server.ping", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_root_that_is_relative_or_cannot_be_written_is_refused() {
    let out = run_on(Path::new("here"), &["serve"]).await;
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(said(&out).contains("relative") || said(&out).contains("absolute"), "{}", said(&out));
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("file");
    fs::write(&file, "").unwrap();
    let out = run_on(&file, &["serve"]).await;
    assert!(matches!(out.status.code(), Some(1 | 2)), "{out:?}");
    assert!(said(&out).contains("file"), "{}", said(&out));
}

#[tokio::test]
async fn a_wrong_configuration_names_its_key_and_the_nearest_known_one() {
    for (config, words) in [
        ("[approvals]\nwait_sec = 5\n", ["wait_sec", "wait_secs"]),
        ("[aprovals]\nwait_secs = 5\n", ["aprovals", "approvals"]),
        ("[approvals]\nwait_secs = 0\n", ["approvals.wait_secs", "86400"]),
        ("[transport]\nmax_connections = \"many\"\n", ["max_connections", "transport"]),
    ] {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.toml"), config).unwrap();
        for command in [&["config", "check"][..], &["serve", "--bind", "127.0.0.1:0"]] {
            let out = run_on(root.path(), command).await;
            assert_eq!(out.status.code(), Some(2), "{command:?} {config}: {out:?}");
            for word in words {
                let all = said(&out) + &String::from_utf8_lossy(&out.stdout);
                assert!(all.contains(word), "{command:?} {config}: {all}");
            }
        }
    }
}

#[tokio::test]
async fn a_routable_address_and_a_taken_port_are_refused() {
    let daemon = Daemon::start(&[]).await;
    let root = tempfile::tempdir().unwrap();
    let out = run_on(root.path(), &["serve", "--bind", "0.0.0.0:0"]).await;
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(said(&out).contains("TLS"), "{}", said(&out));
    let out = run_on(root.path(), &["serve", "--bind", &daemon.address()]).await;
    assert!(!out.status.success());
    assert!(said(&out).contains(&daemon.address()), "{}", said(&out));
}

#[tokio::test]
async fn a_term_signal_lets_calls_end_and_takes_its_files_along() {
    let mut daemon = Daemon::start(&[]).await;
    let mut provider = daemon.host().await;
    let methods = json!([{ "name": "desk.slow", "params_schema": {}, "access": "authenticated" }]);
    let offer = json!({ "namespace": "desk", "methods": methods });
    provider.call("host.register_methods", offer).await.unwrap();
    let mut client = daemon.client().await;
    let call = client.send("desk.slow", json!({})).await;
    let ask = provider.frame(|it| it["method"] == "host.call_method").await;
    daemon.signal("TERM");
    // The stop is under way once a new call is refused; the old one may still end.
    while client.call("server.ping", json!({})).await.is_ok() {}
    provider.answer(&ask["id"], json!("done")).await;
    assert_eq!(client.reply(call).await, Ok(json!("done")));
    assert_eq!(client.closed().await, Some(1001));
    assert_eq!(provider.closed().await, Some(1001));
    drop((client, provider));
    assert_eq!(daemon.ended().await, Some(0));
    for name in ["auth-token", "host-token", "endpoint.json", "carport.sock"] {
        assert!(!daemon.path("run").join(name).exists(), "{name} is left");
    }
}

#[tokio::test]
async fn after_a_kill_the_next_daemon_starts_and_tokens_are_new() {
    let mut daemon = Daemon::start(&[]).await;
    let token = daemon.read("run/auth-token");
    daemon.crash().await;
    assert!(daemon.path("run/carport.sock").exists(), "a crash takes nothing along");
    let next = Daemon::start_on(daemon.root.clone(), &[]).await;
    assert_ne!(next.read("run/auth-token"), token);
    next.client().await.call("server.ping", json!({})).await.unwrap();
    next.unix_stranger().await.call("rpc.discover", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_silent_peer_and_a_slow_request_are_given_up() {
    let daemon = Daemon::with_config("[transport]\nping_secs = 1\n").await;
    let mut host = daemon.host().await;
    // A peer that never answers a ping: its frames are not read here.
    let deaf = daemon.client().await;
    let text = |it: serde_json::Value| it["text"].as_str().unwrap_or_default().to_owned();
    loop {
        let metrics = text(host.call("host.metrics", json!({})).await.unwrap());
        if metrics.contains("carport_sessions 1") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    drop(deaf);
}

#[tokio::test]
async fn without_authentication_or_socket_or_approvals_if_the_operator_says_so() {
    let daemon = Daemon::start(&["--no-auth", "--no-socket", "--no-approvals"]).await;
    assert!(!daemon.path("run/carport.sock").exists());
    let mut anybody = daemon.stranger().await;
    anybody.call("server.ping", json!({})).await.unwrap();
    let error = anybody.call("host.metrics", json!({})).await.unwrap_err();
    assert_eq!(error["code"], -32002, "the host role still takes its token");
}

#[tokio::test]
async fn a_run_directory_that_is_open_to_others_is_closed_or_refused() {
    let root = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let run = root.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    let daemon = Daemon::start_on(root.clone(), &[]).await;
    assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o700);
    drop(daemon);
}

#[tokio::test]
async fn garbage_on_the_port_changes_nothing() {
    let daemon = Daemon::start(&[]).await;
    for bytes in [&b"\x00\xff\x00"[..], b"GET\r\n\r\n", b"\r\n\r\n"] {
        let answer = raw(&daemon.address(), &[bytes, b"\r\n\r\n"].concat()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    daemon.client().await.call("server.ping", json!({})).await.unwrap();
}
