//! `carport runs show`: what a run recorded.

use serde_json::{Value, json};

use super::record::{brief, termination, verdict};
use crate::{
    cli::Global,
    client::{connect::connect, proof::Role, runs},
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

/// Characters of a value in a cell.
const VALUE: usize = 160;

pub(super) async fn run(run: &str, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    let records = runs::trace(&link, run, 0).await?;
    if output.is_json() {
        return output.document(&json!({ "run_id": run, "records": records }));
    }
    let of = |kind: &str| records.iter().find(|record| record["record"] == kind);
    if let Some(started) = of("started") {
        let fact = |name: &str, value: &Value| {
            let value = brief(value, VALUE);
            match value.is_empty() {
                true => Ok(()),
                false => output.line(format_args!("{} {value}", Tone::Faint.paint(name))),
            }
        };
        fact("run    ", &started["run_id"])?;
        fact("agent  ", &started["agent_id"])?;
        fact("intent ", &started["intent"])?;
        fact("toward ", &started["outcome_description"])?;
        fact("started", &started["started_at"])?;
    }
    output.table(&table(&records), "no turns")?;
    match of("ended") {
        Some(ended) => {
            let (text, tone) = termination(&ended["termination"]);
            output.line(format_args!("{} {}", Tone::Faint.paint("ended  "), tone.paint(text)))
        }
        None => output.line(Tone::Warn.paint("in progress")),
    }
}

fn table(records: &[Value]) -> Table {
    let mut table = Table::new(["#", "at", "tool", "parameters", "output", "verdict"]);
    for turn in records.iter().filter(|record| record["record"] == "turn") {
        let (verdict, tone) = verdict(turn);
        let given = match &turn["parameters"] {
            Value::Null => brief(&turn["prompt"], VALUE),
            parameters => brief(parameters, VALUE),
        };
        table.row([
            Cell::number(&turn["index"]),
            Cell::new(turn["at"].as_str().and_then(|at| at.get(11..23)).unwrap_or("-")),
            Cell::new(turn["tool"].as_str().unwrap_or("-")).tone(Tone::Name),
            Cell::new(given),
            Cell::new(brief(&turn["output"], VALUE)),
            Cell::new(verdict).tone(tone),
        ]);
    }
    table
}
