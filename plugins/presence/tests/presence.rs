//! Presence on real frames: rows, their owners, their events.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use carport_core::{
    AgentStatus, HostAgent, HostEvent, codes,
    testing::{TestClient, TestHost},
};
use carport_presence::{Agents, Devices, RegisterAgent, RegisterDevice, SetStatus};
use serde_json::{Value, json};

fn agent(id: &str) -> RegisterAgent {
    let (id, name, kind) = (Some(id.to_owned()), "Builder".to_owned(), "cli".to_owned());
    RegisterAgent { id, name, kind, ..RegisterAgent::default() }
}

fn status(id: &str, status: AgentStatus) -> SetStatus {
    let (current_task, message, payload) = (None, None, None);
    SetStatus { agent_id: id.into(), status, current_task, message, payload }
}

async fn person(host: &TestHost) -> TestClient {
    let mut person = host.host().await;
    person.raw("host.subscribe", json!({})).await.unwrap();
    person
}

async fn event(person: &mut TestClient, kind: &str) -> HostEvent {
    let event = person.event::<HostEvent>().await;
    assert_eq!(event.kind, kind);
    event
}

#[tokio::test]
async fn a_row_comes_changes_and_goes_each_with_one_event() {
    let host = TestHost::start().await;
    let (mut person, mut client) = (person(&host).await, host.client().await);
    let row = client.call(agent("b")).await.unwrap();
    assert_eq!((row.status, row.registered_at), (AgentStatus::Idle, row.updated_at));
    let told = event(&mut person, "agent.registered").await;
    assert_eq!((told.agent_id.as_deref(), &told.payload["agent"]), (Some("b"), &json!(row)));
    let mut busy = status("b", AgentStatus::Running);
    busy.current_task = Some("compiling".into());
    busy.payload = json!({ "n": 1 }).as_object().cloned();
    let row = client.call(busy).await.unwrap();
    assert_eq!(
        (row.status, row.current_task.as_deref()),
        (AgentStatus::Running, Some("compiling"))
    );
    let told = event(&mut person, "agent.status_changed").await;
    assert_eq!(
        (&told.payload["previous"], &told.payload["data"]),
        (&json!("idle"), &json!({ "n": 1 }))
    );
    client.raw("host.unregister_agent", json!({ "agent_id": "b" })).await.unwrap();
    let told = event(&mut person, "agent.unregistered").await;
    assert!(told.payload.get("reason").is_none());
    assert_eq!(client.call(Agents {}).await.unwrap(), []);
    let error = client.call(status("b", AgentStatus::Idle)).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn everybody_reads_and_only_the_owner_writes() {
    let host = TestHost::start().await;
    let mut owner = host.client().await;
    owner.call(agent("b")).await.unwrap();
    let device = RegisterDevice {
        id: Some("d".into()),
        name: "Desk".into(),
        platform: "linux".into(),
        ..RegisterDevice::default()
    };
    owner.call(device).await.unwrap();
    for mut other in [host.client().await, host.host().await, host.agent("b").await] {
        assert_eq!(other.call(Agents {}).await.unwrap().len(), 1);
        assert_eq!(other.call(Devices {}).await.unwrap().len(), 1);
        for (method, params) in [
            ("host.register_agent", json!(agent("b"))),
            ("host.unregister_agent", json!({ "agent_id": "b" })),
            ("host.set_status", json!({ "agent_id": "b", "status": "idle" })),
            ("host.update_device", json!({ "device_id": "d", "status": "gone" })),
            ("host.register_device", json!({ "id": "d", "name": "x", "platform": "x" })),
        ] {
            let error = other.raw(method, params).await.unwrap_err();
            assert_eq!(error.code, codes::FORBIDDEN, "{method}");
            assert!(error.message.contains("owned by another session"), "{}", error.message);
        }
    }
}

#[tokio::test]
async fn registering_again_replaces_every_field_but_the_first_time() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let mut first = agent("b");
    first.project = Some("shop".into());
    let first = client.call(first).await.unwrap();
    client.call(status("b", AgentStatus::Running)).await.unwrap();
    let second = client.call(agent("b")).await.unwrap();
    assert_eq!(
        (second.registered_at, second.project, second.status),
        (first.registered_at, None, AgentStatus::Idle)
    );
    let fresh = client.call(RegisterAgent { id: None, ..agent("x") }).await.unwrap();
    assert!(fresh.id.starts_with("agent-"));
}

#[tokio::test]
async fn the_rows_of_a_connection_go_with_it() {
    let host = TestHost::start().await;
    let (mut person, mut client) = (person(&host).await, host.client().await);
    client.call(agent("b")).await.unwrap();
    client
        .raw("host.register_device", json!({ "id": "d", "name": "Desk", "platform": "linux" }))
        .await
        .unwrap();
    event(&mut person, "agent.registered").await;
    event(&mut person, "device.registered").await;
    client.vanish();
    let told = event(&mut person, "agent.unregistered").await;
    assert_eq!(told.payload["reason"], "disconnected");
    event(&mut person, "device.unregistered").await;
    assert_eq!(person.call(Agents {}).await.unwrap(), []);
    assert_eq!(person.call(Devices {}).await.unwrap(), []);
}

#[tokio::test]
async fn a_device_is_updated_field_by_field() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let row = client
        .raw("host.register_device", json!({ "id": "d", "name": "Desk", "platform": "linux" }))
        .await
        .unwrap();
    assert_eq!(row["status"], "online");
    let row = client
        .raw("host.update_device", json!({ "device_id": "d", "status": "asleep" }))
        .await
        .unwrap();
    assert_eq!((&row["status"], &row["name"]), (&json!("asleep"), &json!("Desk")));
}

#[tokio::test]
async fn an_approval_shows_in_the_agents_row_and_the_former_status_returns() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (host.client().await, host.host().await);
    client.call(agent("b")).await.unwrap();
    client.call(status("b", AgentStatus::Running)).await.unwrap();
    let ask = json!({ "title": "deploy", "agent_id": "b" });
    let error = person.raw("host.request_approval", ask.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN, "the row is another's");
    let approval = client.raw("host.request_approval", ask).await.unwrap();
    let state = async |client: &mut TestClient| client.call(Agents {}).await.unwrap()[0].status;
    assert_eq!(state(&mut client).await, AgentStatus::WaitingForApproval);
    let decide = json!({ "approval_id": approval["id"], "approved": true });
    person.raw("host.resolve_approval", decide).await.unwrap();
    assert_eq!(state(&mut client).await, AgentStatus::Running);
    let unknown = json!({ "title": "deploy", "agent_id": "nobody" });
    let error = client.raw("host.request_approval", unknown).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn a_connection_registers_64_agents_and_16_devices() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for n in 0..64 {
        client.call(agent(&n.to_string())).await.unwrap();
    }
    let error = client.call(agent("64")).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(64)));
    assert!(client.call(agent("7")).await.is_ok(), "its own row again takes no room");
    let device = |n: usize| json!({ "id": n.to_string(), "name": "x", "platform": "x" });
    for n in 0..16 {
        client.raw("host.register_device", device(n)).await.unwrap();
    }
    let error = client.raw("host.register_device", device(16)).await.unwrap_err();
    assert_eq!(error.code, codes::LIMIT);
}

#[tokio::test]
async fn a_snapshot_shows_what_is_there() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (host.client().await, host.host().await);
    client.call(agent("b")).await.unwrap();
    let snapshot: Value = person.raw("host.subscribe", json!({})).await.unwrap();
    let agents: Vec<HostAgent> = serde_json::from_value(snapshot["agents"].clone()).unwrap();
    assert_eq!((agents.len(), &*agents[0].id), (1, "b"));
    assert_eq!(snapshot["sequence"], 1);
}
