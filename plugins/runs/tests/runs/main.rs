//! The runs plugin on real frames and real files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod disk;
mod ending;
mod exporting;
mod following;
mod keeping;
#[cfg(feature = "otlp")]
mod live;
mod model;
mod racing;
mod reading;
mod recording;

use carport_core::testing::{TestClient, TestHost};
use carport_runs::{Complete, RecordTurns, Recorded, Start, Started};
use serde_json::{Value, json};

/// Opens a run with this intent.
async fn start(agent: &mut TestClient, intent: &str) -> String {
    let Started { run_id, .. } =
        agent.call(Start { intent: intent.into(), ..Start::default() }).await.unwrap();
    run_id
}

/// A run that starts under this key.
async fn start_with_key(agent: &mut TestClient, key: &str) -> Started {
    let start = json!({ "intent": "keyed", "idempotency_key": key });
    serde_json::from_value(agent.raw("runs.start", start).await.unwrap()).unwrap()
}

/// Records one turn of a tool.
async fn record(agent: &mut TestClient, run_id: &str, tool: &str) -> Recorded {
    let turn = carport_runs::NewTurn { tool: Some(tool.into()), ..Default::default() };
    agent.call(RecordTurns { run_id: run_id.into(), turns: vec![turn] }).await.unwrap()
}

async fn complete(agent: &mut TestClient, run_id: &str) {
    let complete = Complete { run_id: run_id.into(), ..Complete::default() };
    assert!(agent.call(complete).await.unwrap().ok);
}

/// Every record of a run, as the host sees them.
async fn trace(host: &TestHost, run_id: &str) -> Vec<Value> {
    let trace = host.host().await.raw("runs.get_trace", json!({ "run_id": run_id })).await.unwrap();
    trace["records"].as_array().cloned().unwrap_or_default()
}
