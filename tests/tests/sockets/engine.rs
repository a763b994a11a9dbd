//! The engine with tool clients in processes of their own: a whole round, and a client that is killed in a tool call.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{ExitStatus, Stdio},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::daemon::{Daemon, PATIENCE, Peer, until};

/// A tool client: `clients/tool_client.py` tells what it does.
struct ToolClient {
    child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl ToolClient {
    fn start(daemon: &Daemon, what: &str) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/tool_client.py");
        let mut child = Command::new("python3")
            .arg(program)
            .args([
                daemon.address().as_str(),
                daemon.path("run/auth-token").to_str().unwrap(),
                what,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("python3 is installed");
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    /// The next thing it says, which is this step.
    async fn step(&mut self, step: &str) -> Value {
        let line = timeout(PATIENCE, self.said.next_line()).await.expect("a line in time").unwrap();
        let said: Value = serde_json::from_str(&line.expect("it goes on")).unwrap();
        assert_eq!(said["step"], step, "{said}");
        said
    }

    async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap()
    }
}

/// The events of a journal on disk; every line is whole, and they count from 1.
fn journal(daemon: &Daemon, client_id: &Value) -> Vec<Value> {
    let text = daemon.read(&format!("journals/{}.jsonl", client_id.as_str().unwrap()));
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text}");
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().zip(1..).all(|(event, number)| event["sequence"] == number));
    events
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

fn statuses(result: &Value) -> Vec<&str> {
    let results = result["results"].as_array().unwrap();
    results.iter().map(|it| it["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_client_that_is_killed_in_a_tool_call_costs_nobody_else_anything() {
    let daemon = Daemon::with_config("[transport]\nping_secs = 1\n").await;
    let mut person = daemon.host().await;
    person.call("host.subscribe", json!({})).await.unwrap();
    killed_in_a_tool_call(&daemon, &mut person).await;
    whole_round(&daemon, &mut person).await;
}

async fn killed_in_a_tool_call(daemon: &Daemon, person: &mut Peer) {
    let mut client = ToolClient::start(daemon, "hang");
    let called = client.step("called").await;
    let (id, call) = (&called["client_id"], &called["call"]);
    assert_eq!((&call["action_id"], &call["attempt"]), (&json!("wait"), &json!(1)));
    until("what ran so far is journaled", || {
        kinds(&journal(daemon, id)).contains(&"action_succeeded")
    })
    .await;
    assert!(!kinds(&journal(daemon, id)).contains(&"proposal_completed"));
    client.child.start_kill().unwrap();
    assert_eq!(client.ended().await.signal(), Some(9));
    until("the proposal ends", || kinds(&journal(daemon, id)).contains(&"proposal_completed"))
        .await;

    let events = journal(daemon, id);
    let ends = [
        "action_succeeded",
        "action_failed",
        "action_skipped",
        "state_rolled_back",
        "proposal_completed",
    ];
    assert_eq!(kinds(&events)[events.len() - ends.len()..], ends);
    let find = |kind: &str| events.iter().find(|event| event["kind"] == kind).unwrap();
    let failed = find("action_failed");
    assert_eq!(failed["action_id"], "wait");
    assert_eq!(failed["data"]["error"], "stopped: the connection ended");
    assert_eq!(find("action_skipped")["action_id"], "after");
    assert_eq!(find("state_rolled_back")["data"]["keys"], json!(["marked"]));
    assert_eq!(find("proposal_completed")["data"]["stopped"], "the connection ended");
    let path = format!("journals/{}.jsonl", id.as_str().unwrap());
    assert!(!daemon.read(&path).contains("sesame"), "no value is in a journal");
    let mode = |name: &str| fs::metadata(daemon.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("journals"), mode(&path)), (0o700, 0o600));
    // The daemon goes on, without the connection.
    loop {
        let metrics = person.call("host.metrics", json!({})).await.unwrap();
        if metrics["text"].as_str().unwrap().contains("carport_sessions 1") {
            break;
        }
    }
}

async fn whole_round(daemon: &Daemon, person: &mut Peer) {
    let mut client = ToolClient::start(daemon, "round");
    let ready = client.step("ready").await;
    let id = &ready["client_id"];
    let verified = client.step("verified").await;
    assert_eq!(verified["as_it_is"]["valid"], false);
    let issue = &verified["as_it_is"]["issues"][0];
    assert_eq!((&issue["action_id"], &issue["severity"]), (&json!("deploy"), &json!("error")));
    assert!(issue["message"].as_str().unwrap().contains("summarized"));
    let sound = &verified["once_summarized"];
    assert_eq!((&sound["valid"], &sound["issues"]), (&json!(true), &json!([])));
    assert_eq!(sound["execution_levels"], json!([["read"], ["sum"], ["deploy"], ["note"]]));

    let refused = client.step("refused").await;
    let fingerprint = refused["decision"]["fingerprint"].as_str().unwrap();
    assert_eq!(statuses(&refused["result"]), ["rejected"; 4]);
    assert!(refused["result"]["results"][2]["error"].as_str().unwrap().contains(fingerprint));
    assert_eq!((&refused["calls"], &refused["state"]), (&json!([]), &json!({})));

    // The person finds it in the one list of what waits, and decides there.
    let asked = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
    let row = &asked["params"]["payload"]["approval"];
    assert_eq!(row["context"]["fingerprint"], fingerprint);
    assert_eq!(row["context"]["required_tier"], "full_access");
    assert!(!row.to_string().contains("sesame"));
    let list = person.call("host.approvals", json!({})).await.unwrap();
    assert_eq!(list["approvals"][0]["id"], row["id"]);
    let yes = json!({ "approval_id": row["id"], "approved": true, "notes": "on Monday" });
    person.call("host.resolve_approval", yes).await.unwrap();
    let record: Value = serde_json::from_str(daemon.read("engine/approvals.jsonl").trim()).unwrap();
    assert_eq!(
        (&record["fingerprint"], &record["reason"]),
        (&json!(fingerprint), &json!("on Monday"))
    );

    let executed = client.step("executed").await;
    assert_eq!(executed["approval"], "approved");
    assert_eq!(statuses(&executed["result"]), ["succeeded"; 4]);
    assert_eq!(executed["result"]["results"][1]["output"], "Ship it on Monday.");
    assert_eq!(executed["result"]["cost"]["tool_calls"], 3);
    assert_eq!(executed["calls"], json!(["read_notes", "summarize", "deploy"]));
    let state = json!({
        "deployed": "https://example.com/1.2", "summarized": true, "summary.ready": true,
    });
    assert_eq!(executed["state"], state);
    assert!(executed["pings"].as_u64() >= Some(1), "the daemon pinged while the tool was slow");
    assert!(executed["pongs"].as_array().unwrap().contains(&json!("between fragments")));

    let told = client.step("journal").await;
    assert_eq!(told["chain"], json!({ "verified": told["count"] }));
    assert_eq!(told["summary"]["actions_succeeded"], 4);
    assert_eq!(told["summary"]["actions_rejected"], 4);
    assert_eq!(told["summary"]["approvals_recorded"], 1);
    assert!(client.ended().await.success());
    let events = journal(daemon, id);
    let of_proposal: Vec<_> =
        events.iter().filter(|it| it["proposal_id"] == "p-round").cloned().collect();
    assert_eq!(json!(kinds(&of_proposal)), told["kinds"]);
    assert!(kinds(&events).contains(&"gate_rejected"));
    assert_eq!(kinds(&events).iter().filter(|it| **it == "action_succeeded").count(), 4);
    let text = daemon.read(&format!("journals/{}.jsonl", id.as_str().unwrap()));
    assert!(!text.contains("sesame") && !text.contains("Ship it"), "no value is in a journal");
    person.call("server.ping", json!({})).await.unwrap();
}
