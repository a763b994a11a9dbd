//! `carport memory query`, `show` and `stats`: what is known.

use std::fmt::Display;

use carport_core::codes;
use serde_json::{Value, json};

use super::Query;
use crate::{
    client::{
        link::CallError,
        memory::{Fact, Facts, Stats},
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone, count, cut, one_line},
};

/// Characters of a body in a cell.
const BODY: usize = 160;

pub(super) async fn query(wanted: &Query, facts: &Facts<'_>, output: Output) -> Result<(), Exit> {
    let found = facts.query(&wanted.words.join(" "), wanted.k, &wanted.kinds).await?;
    match output.is_json() {
        true => output.document(&found),
        false => output.table(&table(&found), "nothing is known about it"),
    }
}

fn table(found: &[Fact]) -> Table {
    let mut table = Table::new(["score", "id", "kind", "subject", "body"]);
    for fact in found {
        table.row([
            fact.score.map_or_else(|| Cell::number("-"), |it| Cell::number(format!("{it:.3}"))),
            Cell::new(&fact.fact_id).tone(Tone::Name),
            Cell::new(&fact.kind),
            Cell::new(&fact.subject),
            Cell::new(cut(&fact.body, BODY)),
        ]);
    }
    table
}

pub(super) async fn one(id: &str, facts: &Facts<'_>, output: Output) -> Result<(), Exit> {
    let fact = match facts.get(id).await {
        Err(CallError::Rpc(error)) if error.code == codes::NOT_FOUND => {
            let exit = Exit::from(error);
            let message = format!("{}; `carport memory query` shows ids", exit.message);
            return Err(Exit { message, ..exit });
        }
        fact => fact?,
    };
    if output.is_json() {
        return output.document(&fact);
    }
    let said = |name: &str, value: &dyn Display| {
        let value = value.to_string();
        match value.is_empty() {
            true => Ok(()),
            false => output.line(format_args!("{} {}", Tone::Faint.paint(name), one_line(&value))),
        }
    };
    let other = |name: &str| match fact.other.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(value) => value.to_string(),
    };
    said("fact      ", &fact.fact_id)?;
    said("subject   ", &fact.subject)?;
    said("kind      ", &fact.kind)?;
    said("tags      ", &fact.tags.join(", "))?;
    said("confidence", &fact.confidence)?;
    said("source    ", &other("source"))?;
    said("tenant    ", &other("tenant_id"))?;
    said("created   ", &other("created_at"))?;
    said("updated   ", &other("updated_at"))?;
    output.text(&format!("\n{}\n", fact.body))
}

/// What a context is built for.
#[derive(Debug, clap::Args)]
pub(super) struct Context {
    /// What it is about; without it the newest facts are shown
    words: Vec<String>,
    /// The model's window in tokens: the context takes a quarter of it (default: 32768)
    #[arg(long, value_name = "TOKENS")]
    window: Option<u64>,
}

pub(super) async fn context(
    wanted: &Context,
    facts: &Facts<'_>,
    output: Output,
) -> Result<(), Exit> {
    let context = facts.context(&wanted.words.join(" "), wanted.window).await?;
    match (output.is_json(), context.is_empty()) {
        (true, _) => output.document(&json!({ "context": context })),
        (false, true) => output.line(Tone::Faint.paint("nothing is known")),
        (false, false) => output.text(&format!("{context}\n")),
    }
}

pub(super) async fn stats(facts: &Facts<'_>, output: Output) -> Result<(), Exit> {
    let stats = facts.stats().await?;
    match output.is_json() {
        true => output.document(&stats),
        false => sentences(&stats).iter().try_for_each(|line| output.line(line)),
    }
}

fn sentences(stats: &Stats) -> Vec<String> {
    let counted = |number: u64, noun: &str| count(number as usize, noun).to_string();
    let each = |bytes: u64| match bytes.checked_div(stats.facts_in_all) {
        Some(bytes) => format!(", {bytes} bytes a fact"),
        None => String::new(),
    };
    let Stats { constraints, knowledge, procedural, facts_in_all, .. } = stats;
    let (used, most) = (stats.bytes.div_ceil(1024), stats.max_bytes >> 20);
    let mut sentences = vec![
        one_line(&stats.whose()).into_owned(),
        format!(
            "facts   {}; of them constraints {constraints}, knowledge {knowledge}, procedural \
             {procedural}",
            stats.fact_count
        ),
        format!(
            "in all  {facts_in_all} of {} with those of tenants",
            counted(stats.max_facts, "fact")
        ),
        format!("turns   {}", stats.turns),
    ];
    sentences.extend(stats.terms.map(|terms| format!("terms   {terms}")));
    sentences.push(format!("memory  {used} KiB of {most} MiB{}", each(stats.bytes)));
    let file = |bytes: u64| format!("file    {} KiB{}", bytes.div_ceil(1024), each(bytes));
    sentences.extend(stats.file_bytes.map(file));
    if stats.damaged_lines > 0 {
        sentences.push(format!(
            "damaged: {} of its file could not be read and left out; the daemon's log names them",
            counted(stats.damaged_lines, "line")
        ));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_reads_and_writes_back_whole() {
        let fact = json!({
            "fact_id": "a", "subject": "s", "body": "b", "kind": "pattern", "confidence": 0.5,
            "tags": ["t"], "source": "cli", "uses": 3, "future": [1],
        });
        let read: Fact = serde_json::from_value(fact.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), fact);
    }

    #[test]
    fn a_memory_says_whose_it_is() {
        let mut stats = json!({
            "graph": "namespace", "name": "alps", "fact_count": 1, "facts_in_all": 2, "turns": 0,
            "constraints": 1, "knowledge": 0, "procedural": 0, "bytes": 1025, "max_facts": 100_000,
            "max_bytes": 268_435_456, "terms": 7, "file_bytes": 512,
        });
        let first: Stats = serde_json::from_value(stats.clone()).unwrap();
        assert_eq!(
            sentences(&first),
            [
                "the memory of namespace alps",
                "facts   1; of them constraints 1, knowledge 0, procedural 0",
                "in all  2 of 100000 facts with those of tenants",
                "turns   0",
                "terms   7",
                "memory  2 KiB of 256 MiB, 512 bytes a fact",
                "file    1 KiB, 256 bytes a fact",
            ]
        );
        let none = Stats { facts_in_all: 0, terms: None, file_bytes: None, name: None, ..first };
        assert_eq!((sentences(&none).len(), &*sentences(&none)[0]), (5, "the namespace memory"));
        stats["damaged_lines"] = json!(2);
        let lines = sentences(&serde_json::from_value(stats).unwrap());
        assert!(lines[7].starts_with("damaged: 2 lines of its file"), "{}", lines[7]);
    }
}
