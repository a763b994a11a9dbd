//! `carport voice models`: what listens and what speaks, and what it lacks.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    client::link::Link,
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

/// How closely is looked.
#[derive(Debug, clap::Args)]
pub(super) struct Models {
    /// Compare the files with their sums, load them, and say where they are
    #[arg(long)]
    check: bool,
}

/// A provider. What is not shown is kept for `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    id: String,
    kind: String,
    ready: bool,
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voices: Option<Vec<String>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What looking closely came to.
#[derive(Debug, Serialize, Deserialize)]
struct Checked {
    #[serde(default)]
    what: String,
    ready: bool,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    detail: String,
}

pub(super) async fn run(wanted: &Models, link: &Link, output: Output) -> Result<(), Exit> {
    if wanted.check {
        return check(link, output).await;
    }
    let rows: Vec<Row> = link.ask("voice.providers.list", &json!({})).await?;
    match output.is_json() {
        true => output.document(&rows),
        false => output.table(&listed(&rows), "this daemon has no provider for voice"),
    }
}

fn state(ready: bool, words: &str) -> Cell {
    Cell::new(words).tone(if ready { Tone::Good } else { Tone::Bad })
}

fn listed(rows: &[Row]) -> Table {
    let mut table = Table::new(["kind", "provider", "state", "voices", "about"]);
    for row in rows {
        table.row([
            Cell::new(&row.kind),
            Cell::new(&row.id).tone(Tone::Name),
            state(row.ready, if row.ready { "ready" } else { "not ready" }),
            Cell::new(row.voices.as_deref().unwrap_or_default().join(", ")),
            Cell::new(row.reason.as_deref().unwrap_or(&row.description)),
        ]);
    }
    table
}

async fn check(link: &Link, output: Output) -> Result<(), Exit> {
    let mut all = Vec::new();
    for what in ["stt", "tts", "diarizer"] {
        let done: Checked = link.ask("voice.prepare", &json!({ "what": what })).await?;
        all.push(Checked { what: what.into(), ..done });
    }
    if output.is_json() {
        return output.document(&all);
    }
    let mut table = Table::new(["what", "state", "where", "detail"]);
    for done in &all {
        table.row([
            Cell::new(&done.what),
            state(done.ready, &done.status),
            Cell::new(done.path.as_deref().unwrap_or_default()),
            Cell::new(&done.detail),
        ]);
    }
    output.table(&table, "there is nothing to check")
}
