//! Surfaces over real sockets: drawn, shown and followed by the command line, and kept from strangers' eyes.

use std::{fs, path::Path, process::Stdio};

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::daemon::{Daemon, PATIENCE, binary, command};

const EXAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/a2ui/data/examples/01_flight-status.json");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_example_is_applied_listed_and_shown() {
    let daemon = Daemon::start(&[]).await;
    let applied = daemon.run(&["surfaces", "apply", EXAMPLE]).await;
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(text(&applied.stdout).lines().count(), 3, "{applied:?}");
    let listed = daemon.run(&["surfaces", "list", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (&listed[0]["surfaceId"], &listed[0]["revision"]),
        (&json!("gallery-flight-status"), &json!(3))
    );
    let shown = text(&daemon.run(&["surfaces", "show", "gallery-flight-status"]).await.stdout);
    assert!(shown.contains("└─ Column main-column\n   ├─ Row header-row"), "{shown}");
    assert!(shown.contains("Text.h2 origin  {/origin}"), "{shown}");
    // What is there already is refused, and the envelope and the remedy are named.
    let again = daemon.run(&["surfaces", "apply", EXAMPLE]).await;
    assert_eq!(again.status.code(), Some(5));
    assert!(
        text(&again.stderr)
            .contains("envelope 1: surface `gallery-flight-status` exists already; delete it")
    );
    let none = daemon.run(&["surfaces", "show", "other"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("carport surfaces list"));
    let agents = daemon.run(&["token", "agent", "painter"]).await;
    assert!(agents.status.success());
    let seen = daemon.run(&["surfaces", "list", "--agent", "painter", "--json"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&seen.stdout).unwrap(), json!([]), "{seen:?}");
}

/// `carport surfaces watch` in a process of its own.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    notes: Lines<BufReader<ChildStderr>>,
}

async fn line(of: &mut Lines<impl AsyncBufRead + Unpin>) -> Option<String> {
    timeout(PATIENCE, of.next_line()).await.expect("a line in time").unwrap()
}

impl Watch {
    /// Starts it and waits until it follows so many surfaces.
    async fn start(daemon: &Daemon, args: &[&str], surfaces: &str) -> Self {
        let words = [&["surfaces", "watch"], args].concat();
        let mut watch = command(&binary(), daemon.root.path(), &words);
        watch.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = watch.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
        assert_eq!(line(&mut notes).await.unwrap(), format!("{surfaces}; Ctrl-C ends"));
        Self { child, lines, notes }
    }

    async fn next(&mut self) -> String {
        line(&mut self.lines).await.expect("it goes on")
    }

    /// Ends it by Ctrl-C; it has said nothing more, and nothing beside its lines.
    async fn end(mut self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.unwrap().success());
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap();
        assert_eq!(ended.code(), Some(130));
        assert_eq!((line(&mut self.lines).await, line(&mut self.notes).await), (None, None));
    }
}

#[tokio::test]
async fn what_happens_to_surfaces_is_followed_line_by_line_until_ctrl_c() {
    let daemon = Daemon::start(&[]).await;
    let mut painter = daemon.agent("painter").await;
    let own = json!({ "createSurface": { "surfaceId": "own" } });
    painter.call("a2ui.apply", own).await.unwrap();
    painter.socket.close(None).await.unwrap();
    painter.closed().await;
    let mut all = Watch::start(&daemon, &[], "1 surface").await;
    let one = Watch::start(&daemon, &["own"], "1 surface").await;
    let agents = Watch::start(&daemon, &["--agent", "painter"], "1 surface").await;
    assert!(daemon.run(&["surfaces", "apply", EXAMPLE]).await.status.success());
    let id = "surface_updated  gallery-flight-status  by client";
    assert_eq!(all.next().await, format!("2  {id}  createSurface"));
    let components = all.next().await;
    assert!(components.starts_with(&format!("3  {id}  updateComponents ")), "{components}");
    assert_eq!(all.next().await, format!("4  {id}  updateDataModel"));
    let mut person = daemon.client().await;
    let action = json!({ "name": "go", "surfaceId": "own", "context": { "a": 1 } });
    person.call("a2ui.action", action).await.unwrap();
    let gone = json!({ "deleteSurface": { "surfaceId": "own" } });
    person.call("a2ui.apply", gone).await.unwrap();
    // What an agent does not hear of it has not missed.
    for mut watch in [all, one, agents] {
        assert_eq!(watch.next().await, "5  action  own  by client  go {\"a\":1}");
        assert_eq!(watch.next().await, "6  surface_deleted  own  by client  deleteSurface");
        watch.end().await;
    }
}

#[tokio::test]
async fn a_credential_and_a_secret_query_show_nowhere() {
    const TOKEN: &str = "t0ken-that-is-between-the-daemon-and-its-peer";
    const QUERY: &str = "k3y-in-the-query-of-an-endpoint";
    let daemon = Daemon::start(&["--log", "trace"]).await;
    let (mut host, mut client) = (daemon.host().await, daemon.client().await);
    host.call("host.subscribe", json!({})).await.unwrap();
    host.call("a2ui/subscribe", json!({})).await.unwrap();
    let mut said = String::new();
    let mut params = json!({
        "payload": { "contextId": "c", "a2ui": { "createSurface": { "surfaceId": "s", "sendDataModel": true } } },
        "endpoint": format!("https://agent.invalid/rpc?key={QUERY}"), "allowUntrustedEndpoint": true,
        "routeAuth": { "type": "bearer", "token": TOKEN },
    });
    let applied = client.call("a2ui.ingest", params.clone()).await.unwrap();
    assert_eq!(applied["applied"][0]["surface"]["owner"]["endpoint"], "https://agent.invalid/rpc");
    said += &applied.to_string();
    // What fails is logged, also what is no call.
    params["endpoint"] = format!("https://localhost/rpc?key={QUERY}").into();
    said += &client.call("a2ui.ingest", params.clone()).await.unwrap_err().to_string();
    params["routeAuth"]["token"] = format!("{TOKEN}\r\n").into();
    let notice = json!({ "jsonrpc": "2.0", "method": "a2ui.ingest", "params": params });
    client.socket.send(Message::text(notice.to_string())).await.unwrap();
    let acted =
        client.call("a2ui.action", json!({ "name": "go", "surfaceId": "s" })).await.unwrap();
    assert_eq!(acted["route"]["delivered"], false, "{acted}");
    said += &acted.to_string();
    said += &host.frame(|it| it["params"]["kind"] == "a2ui.surface_updated").await.to_string();
    said += &host
        .frame(|it| it["method"] == "a2ui.event" && it["params"]["kind"] == "a2ui.action")
        .await
        .to_string();
    said += &host.frame(|it| it["params"]["payload"]["route"].is_object()).await.to_string();
    for method in ["host.events", "host.metrics", "a2ui.surfaces", "host.approvals"] {
        said += &host.call(method, json!({})).await.unwrap().to_string();
    }
    for args in [&["surfaces", "list", "--json"][..], &["surfaces", "show", "s", "--json"]] {
        said += &text(&daemon.run(args).await.stdout);
    }
    let log = daemon.log();
    for logged in ["a notification failed", "task=\"route\""] {
        assert!(log.contains(logged), "{log}");
    }
    read_all(daemon.root.path(), &mut said);
    assert!(said.contains("carport_") && said.contains(&log));
    for secret in [TOKEN, QUERY] {
        assert!(!said.contains(secret), "`{secret}` was said");
    }
}

/// Adds every file below a directory.
fn read_all(directory: &Path, said: &mut String) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        match kind.is_dir() {
            true => read_all(&entry.path(), said),
            false if kind.is_file() => *said += &text(&fs::read(entry.path()).unwrap()),
            false => {}
        }
    }
}
