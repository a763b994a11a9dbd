//! `carport agents list` and `carport agents health`: what there is, and whether it could start.

use chrono::{TimeDelta, Utc};

use super::tone;
use crate::{
    cli::Global,
    client::{
        agents::{self, Health, ManagedAgent},
        connect::connect,
        proof::Role,
    },
    commands::runs::record::span,
    exit::Exit,
    output::{Cell, Output, Table, Tone, count},
};

pub(super) async fn run(global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let rows = agents::list(&link).await?;
    match output.is_json() {
        true => output.document(&rows),
        false => output.table(
            &table(&rows, Utc::now().timestamp()),
            "no agents; `carport agents add` writes one down",
        ),
    }
}

/// `now` is in Unix seconds.
fn table(rows: &[ManagedAgent], now: i64) -> Table {
    let mut table =
        Table::new(["id", "status", "attached", "pid", "restarts", "uptime/next start", "reason"]);
    for row in rows {
        table.row([
            Cell::new(row.id()).tone(Tone::Name),
            Cell::new(&row.status).tone(tone(&row.status)),
            match row.attached {
                true => Cell::new("yes").tone(Tone::Good),
                false => Cell::new("no").tone(Tone::Faint),
            },
            row.pid.map_or_else(|| Cell::number("-"), Cell::number),
            Cell::number(row.restart_count),
            Cell::number(when(row, now)),
            Cell::new(reason(row)),
        ]);
    }
    table
}

/// For how long an agent runs, or when it is tried next.
fn when(agent: &ManagedAgent, now: i64) -> String {
    let seconds = |seconds: i64| match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        _ => span(TimeDelta::seconds(seconds)),
    };
    match (agent.next_start_at, agent.started_at) {
        (Some(next), _) if next <= now => "now".into(),
        (Some(next), _) => format!("in {}", seconds(next - now)),
        (None, Some(started)) if agent.pid.is_some() => seconds(now - started),
        _ => "-".into(),
    }
}

fn reason(agent: &ManagedAgent) -> String {
    match (&agent.reason, agent.pending_restart) {
        (Some(reason), _) => reason.clone(),
        (None, true) => format!("older spec until `carport agents restart {}`", agent.id()),
        (None, false) => String::new(),
    }
}

pub(super) async fn health(global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let rows = agents::health(&link).await?;
    match output.is_json() {
        true => output.document(&rows)?,
        false => output.table(&health_table(&rows), "no agents")?,
    }
    match rows.iter().filter(|row| !row.ok).count() {
        0 => Ok(()),
        broken => Err(Exit::failed(format!("{} cannot start", count(broken, "agent")))),
    }
}

fn health_table(rows: &[Health]) -> Table {
    let mut table = Table::new(["id", "", "command", "reason"]);
    for row in rows {
        table.row([
            Cell::new(&row.id).tone(Tone::Name),
            match row.ok {
                true => Cell::new("ok").tone(Tone::Good),
                false => Cell::new("FAIL").tone(Tone::Bad),
            },
            Cell::new(row.command.as_deref().unwrap_or("-")),
            Cell::new(row.reason.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn shown(agent: Value) -> (String, String) {
        let agent = serde_json::from_value(agent).unwrap();
        (when(&agent, 1000), reason(&agent))
    }

    #[test]
    fn a_row_says_for_how_long_or_when() {
        let spec = json!({ "id": "a" });
        let running = json!({ "spec": spec, "status": "running", "pid": 7, "started_at": 875 });
        assert_eq!(shown(running), ("2 min 5 s".into(), String::new()));
        let backoff = json!({
            "spec": spec, "status": "backoff", "next_start_at": 1003, "reason": "exited with 1",
        });
        assert_eq!(shown(backoff), ("in 3 s".into(), "exited with 1".into()));
        let due = json!({ "spec": spec, "status": "backoff", "next_start_at": 999 });
        assert_eq!(shown(due).0, "now");
        assert_eq!(shown(json!({ "spec": spec, "status": "stopped" })).0, "-");
        let older = json!({ "spec": spec, "status": "running", "pid": 7, "pending_restart": true });
        assert!(shown(older).1.contains("carport agents restart a"));
    }
}
