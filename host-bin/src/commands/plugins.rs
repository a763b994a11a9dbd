//! `carport plugins`: what this build is made of, and what it could be made of.

use std::collections::BTreeMap;

use carport_core::{BillRow, CARPORT_PLUGINS, PluginEntry};
use serde::Serialize;

use crate::{
    cli::Global,
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

/// Flags of `carport plugins`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// A plugin that is linked, or that a feature would link.
#[derive(Debug, Serialize)]
struct Row {
    id: &'static str,
    linked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    namespaces: &'static [&'static str],
    requires: &'static [&'static str],
    optional: &'static [&'static str],
    provides: &'static [&'static str],
}

pub(crate) fn run(_: &Args, global: &Global, bill: &[BillRow]) -> Result<(), Exit> {
    let output = Output::new(global.json);
    let rows = rows(CARPORT_PLUGINS.iter(), bill);
    if output.is_json() {
        return output.document(&rows);
    }
    let mut table = Table::new([
        "plugin",
        "version",
        "linked",
        "namespaces",
        "requires",
        "optional",
        "provides",
    ]);
    for row in &rows {
        let tone = if row.linked { Tone::Name } else { Tone::Faint };
        let linked = if row.linked { "yes" } else { "no: needs its feature" };
        table.row([
            Cell::new(row.id).tone(tone),
            row.version.unwrap_or("-").into(),
            Cell::new(linked).tone(if row.linked { Tone::Good } else { Tone::Faint }),
            words(row.namespaces),
            words(row.requires),
            words(row.optional),
            words(row.provides),
        ]);
    }
    output.table(&table, "this build has no plugins")
}

fn words(words: &[&str]) -> Cell {
    match words {
        [] => Cell::new("-").tone(Tone::Faint),
        words => words.join(" ").into(),
    }
}

/// What answered the roll, and what the bill of materials knows of besides; by id.
fn rows<'a>(roll: impl Iterator<Item = &'a PluginEntry>, bill: &[BillRow]) -> Vec<Row> {
    let linked = roll.map(|plugin| Row {
        id: plugin.id,
        linked: true,
        version: Some(plugin.version),
        namespaces: plugin.namespaces,
        requires: plugin.requires,
        optional: plugin.optional,
        provides: plugin.provides,
    });
    let mut rows: BTreeMap<_, _> = linked.map(|row| (row.id, row)).collect();
    for known in bill {
        rows.entry(known.feature).or_insert(Row {
            id: known.feature,
            linked: false,
            version: None,
            namespaces: known.namespaces,
            requires: &[],
            optional: &[],
            provides: &[],
        });
    }
    rows.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_linked_is_listed_with_what_it_would_bring() {
        let bill = [
            BillRow { feature: "abacus", linked: false, namespaces: &["beads"] },
            BillRow { feature: "host", linked: true, namespaces: &[] },
        ];
        let rows = rows(CARPORT_PLUGINS.iter(), &bill);
        let abacus = rows.iter().find(|row| row.id == "abacus").unwrap();
        assert!(!abacus.linked && abacus.version.is_none());
        assert_eq!(abacus.namespaces, ["beads"]);
        let host: Vec<_> = rows.iter().filter(|row| row.id == "host").collect();
        assert!(host.len() == 1 && host[0].linked && host[0].version.is_some());
        assert!(rows.is_sorted_by_key(|row| row.id));
    }
}
