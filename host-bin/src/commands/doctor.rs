//! `carport doctor`: looks for what is wrong, and says the remedy.

use carport_core::BillRow;
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::Global,
    daemon::{
        checkup::{Finding, Verdict, check_up},
        root::StateRoot,
        settings::overrides::Overrides,
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone, count},
};

/// Flags of `carport doctor`: those that the daemon is, or would be, started with.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    overrides: Overrides,
}

pub(crate) async fn run(args: Args, global: &Global, bill: &'static [BillRow]) -> Result<(), Exit> {
    let root = StateRoot::resolve(global.state_root.as_deref())?;
    let output = Output::new(global.json);
    // It asks the disk and the network, and waits for both.
    let looked = tokio::task::spawn_blocking(move || check_up(&root, &args.overrides, bill));
    let findings = looked.await.map_err(|_| Exit::failed("the checks themselves failed"))?;
    let mut table = Table::new(["check", "", "found", "remedy"]);
    findings.iter().for_each(|finding| table.row(cells(finding)));
    report(&findings, findings.iter(), &table, output)
}

/// Shows what was found, as `checks` or as a table; an error if something failed.
pub(super) fn report<'a>(
    checks: &impl Serialize,
    findings: impl Iterator<Item = &'a Finding>,
    table: &Table,
    output: Output,
) -> Result<(), Exit> {
    let failed = findings.filter(|it| it.verdict == Verdict::Fail).count();
    match output.is_json() {
        true => output.document(&json!({ "ok": failed == 0, "checks": checks }))?,
        false => output.table(table, "nothing to look at")?,
    }
    match failed {
        0 => Ok(()),
        failed => Err(Exit::failed(format!("{} failed", count(failed, "check")))),
    }
}

/// What was found, how bad it is, and the remedy.
pub(super) fn cells(finding: &Finding) -> [Cell; 4] {
    [
        finding.check.into(),
        verdict(finding.verdict),
        Cell::new(&finding.found),
        finding.remedy.as_deref().unwrap_or_default().into(),
    ]
}

/// A verdict as a cell.
fn verdict(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Ok => Cell::new("ok").tone(Tone::Good),
        Verdict::Warn => Cell::new("warn").tone(Tone::Warn),
        Verdict::Fail => Cell::new("FAIL").tone(Tone::Bad),
    }
}
