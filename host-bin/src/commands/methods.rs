//! `carport methods`: what the daemon can be asked.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    cli::Global,
    client::{connect::connect, proof::Role},
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

/// Lists methods. `carport --json call rpc.discover` has their schemas too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only methods whose name, plugin or summary contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// A method of an OpenRPC document, as far as the table shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Row {
    name: String,
    #[serde(rename(deserialize = "x-access"))]
    access: String,
    #[serde(rename(deserialize = "x-ordered"), default)]
    ordered: bool,
    #[serde(rename(deserialize = "x-needs-approval"), default)]
    needs_approval: bool,
    /// `None` for a method that a connection added.
    #[serde(rename(deserialize = "x-plugin"), default)]
    plugin: Option<String>,
    #[serde(default)]
    summary: Option<String>,
}

impl Row {
    fn contains(&self, text: &str) -> bool {
        let words = [Some(&self.name), self.plugin.as_ref(), self.summary.as_ref()];
        words.into_iter().flatten().any(|word| word.to_lowercase().contains(text))
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let document = link.raw("rpc.discover", &json!({})).await?;
    let rows = rows(&document, args.filter.as_deref())?;
    let output = Output::new(global.json);
    match output.is_json() {
        true => output.document(&rows),
        false => output.table(&table(&rows), "no method matches"),
    }
}

/// The methods of a document, by name.
fn rows(document: &Value, filter: Option<&str>) -> Result<Vec<Row>, Exit> {
    let mut rows = Vec::<Row>::deserialize(&document["methods"])
        .map_err(|error| Exit::failed(format!("the discovery document does not read: {error}")))?;
    if let Some(filter) = filter.map(str::to_lowercase) {
        rows.retain(|row| row.contains(&filter));
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["method", "access", "ordered", "approval", "plugin", "summary"]);
    for row in rows {
        let flag = |is: bool, tone| if is { Cell::new("yes").tone(tone) } else { Cell::new("") };
        let summary = row.summary.as_deref().unwrap_or_default();
        let paragraph = summary.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        table.row([
            Cell::new(&row.name).tone(Tone::Name),
            Cell::new(&row.access),
            flag(row.ordered, Tone::Plain),
            flag(row.needs_approval, Tone::Warn),
            match &row.plugin {
                Some(plugin) => plugin.into(),
                None => Cell::new("(a connection)").tone(Tone::Faint),
            },
            Cell::new(paragraph),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({ "methods": [
            { "name": "b.two", "x-access": "host", "x-ordered": true, "x-needs-approval": true,
              "x-plugin": "b", "summary": "Does two.\n\nAt length." },
            { "name": "a.one", "x-access": "authenticated", "x-provider": { "client_id": "c" } },
        ]})
    }

    #[test]
    fn methods_are_sorted_and_filtered_without_case() {
        let names = |filter| {
            let rows = rows(&document(), filter).unwrap();
            rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["a.one", "b.two"]);
        assert_eq!(names(Some("DOES")), ["b.two"]);
        assert_eq!(names(Some("a.")), ["a.one"]);
        assert!(names(Some("nothing")).is_empty());
        assert!(rows(&json!({}), None).is_err());
    }

    #[test]
    fn json_has_plain_names() {
        let rows = rows(&document(), Some("b.")).unwrap();
        assert_eq!(
            json!(rows[0]),
            json!({ "name": "b.two", "access": "host", "ordered": true, "needs_approval": true,
                    "plugin": "b", "summary": "Does two.\n\nAt length." })
        );
    }
}
