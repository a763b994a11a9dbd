//! What came of the demo: a table for people, an object for programs.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    account::{Account, End, listed},
    supervised::Supervised,
};
use crate::{
    exit::Exit,
    output::{Cell, Output, Table, Tone, count},
};

/// What came of the demo.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What the agent read.
    pub(super) directory: PathBuf,
    /// How many files it found worth reading, and how many not.
    pub(super) files: usize,
    pub(super) skipped: usize,
    /// Its runs, in the order they were started.
    pub(super) accounts: Vec<Account>,
    /// Runs that the daemon lists and the agent did not start, or the other way round.
    pub(super) strays: Vec<String>,
    pub(super) restart: Option<Restart>,
    pub(super) published: Published,
    /// The second act; nothing where it was left out.
    pub(super) supervised: Option<Supervised>,
    pub(super) seconds: f64,
}

/// The kill and what came after it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Restart {
    pub(super) killed_pid: u32,
    pub(super) after_turns: usize,
    pub(super) pid: u32,
    /// From the kill until the second daemon listened.
    pub(super) millis: u64,
}

/// The gated call.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Published {
    pub(super) approval_id: String,
    pub(super) approved_by: String,
    pub(super) path: PathBuf,
    pub(super) bytes: usize,
    /// What the file holds at the end.
    pub(super) on_disk: u64,
}

impl Report {
    /// Whether everything agrees.
    pub(super) fn is_equal(&self) -> bool {
        self.differences().is_empty()
    }

    /// Every way in which what was promised was not kept.
    fn differences(&self) -> Vec<String> {
        let mut differences: Vec<String> =
            self.accounts.iter().flat_map(Account::differences).collect();
        differences.extend(self.strays.iter().map(|run| format!("run {run} is in one list only")));
        let ends: Vec<_> = self.accounts.iter().map(|account| account.end).collect();
        if ends != [End::Killed, End::Completed] {
            differences.push(format!("the runs ended as {ends:?}, not one killed, one completed"));
        }
        let Published { approved_by, bytes, on_disk, .. } = &self.published;
        if approved_by.is_empty() || *bytes == 0 || *on_disk != *bytes as u64 {
            differences.push("the approved report is not on disk as it was sent".into());
        }
        differences.extend(self.supervised.iter().flat_map(Supervised::differences));
        differences
    }

    fn document(&self, kept: Option<&Path>) -> Value {
        let runs: Vec<_> = self
            .accounts
            .iter()
            .map(|account| {
                let differences = account.differences();
                json!({
                    "run_id": account.run_id,
                    "intent": account.intent,
                    "ended": word(account.end),
                    "recorded": account.sent.len(),
                    "acknowledged": account.acknowledged.len(),
                    "seen_live": account.seen_live(),
                    "replayed": account.turns().count(),
                    "equal": differences.is_empty(),
                })
            })
            .collect();
        json!({
            "equal": self.is_equal(),
            "differences": self.differences(),
            "runs": runs,
            "directory": self.directory,
            "files": self.files,
            "skipped": self.skipped,
            "restart": self.restart,
            "published": self.published,
            "supervised": self.supervised,
            "seconds": self.seconds,
            "kept": kept,
        })
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            "run",
            "ended",
            "recorded",
            "acknowledged",
            "seen live",
            "replayed",
            "equal",
        ]);
        for account in &self.accounts {
            table.row([
                Cell::new(&account.run_id).tone(Tone::Name),
                Cell::new(word(account.end)),
                Cell::number(account.sent.len()),
                Cell::number(account.acknowledged.len()),
                Cell::number(account.seen_live()),
                Cell::number(account.turns().count()),
                match account.differences().is_empty() {
                    true => Cell::new("yes").tone(Tone::Good),
                    false => Cell::new("NO").tone(Tone::Bad),
                },
            ]);
        }
        table
    }
}

fn word(end: End) -> &'static str {
    match end {
        End::Killed => "incomplete (restart)",
        End::Completed => "completed",
    }
}

/// Prints what came of it.
pub(super) fn print(report: &Report, kept: Option<&Path>, output: Output) -> Result<(), Exit> {
    if output.is_json() {
        return output.document(&report.document(kept));
    }
    output.line("")?;
    output.table(&report.table(), "the agent started no run")?;
    let turns: usize = report.accounts.iter().map(|account| account.acknowledged.len()).sum();
    let differences = report.differences();
    match differences.is_empty() {
        true => {
            let before = report.restart.map_or(0, |restart| restart.after_turns);
            let text = format!(
                "{}, {before} of them right before kill -9: all came back as they were \
                 acknowledged ({:.1} s)",
                count(turns, "acknowledged turn"),
                report.seconds
            );
            output.line(Tone::Good.paint(text))?;
            if let Some(supervised) = &report.supervised {
                output.line(Tone::Good.paint(supervised.sentence()))?;
            }
        }
        false => {
            output.line(Tone::Bad.paint("what was promised was not kept:"))?;
            output.line(listed(&differences).trim_end())?;
        }
    }
    kept.map_or(Ok(()), |path| output.line(format_args!("kept: {}", path.display())))
}
