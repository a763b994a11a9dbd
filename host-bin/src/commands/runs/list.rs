//! `carport runs list`: an agent's runs, newest first.

use super::{List, Status, record};
use crate::{
    cli::Global,
    client::{
        connect::connect,
        proof::Role,
        runs::{self, RunSummary},
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

pub(super) async fn run(wanted: &List, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    let status = wanted.status.map(Status::word);
    let rows = runs::list(&link, &wanted.agent, status, wanted.limit).await?;
    match output.is_json() {
        true => output.document(&rows),
        false => output.table(&table(&rows), &format!("no such runs of agent `{}`", wanted.agent)),
    }
}

fn table(rows: &[RunSummary]) -> Table {
    let mut table = Table::new(["run", "status", "turns", "started", "took", "intent"]);
    for row in rows {
        let detail = row.outcome_status.as_ref().or(row.reason.as_ref());
        let status = match detail {
            Some(detail) => format!("{} ({detail})", row.status),
            None => row.status.clone(),
        };
        table.row([
            Cell::new(&row.run_id).tone(Tone::Name),
            Cell::new(status).tone(tone(row)),
            Cell::number(row.turn_count),
            Cell::new(row.started_at.format("%Y-%m-%d %H:%M:%SZ")),
            match row.ended_at {
                Some(ended) => Cell::number(record::took(row.started_at, ended)),
                None => Cell::number("-"),
            },
            Cell::new(&row.intent),
        ]);
    }
    table
}

fn tone(row: &RunSummary) -> Tone {
    match (row.status.as_str(), row.outcome_status.as_deref()) {
        ("in_progress", _) => Tone::Warn,
        ("completed", Some("failure" | "error" | "timeout")) => Tone::Bad,
        ("completed", _) => Tone::Good,
        _ => Tone::Faint,
    }
}
