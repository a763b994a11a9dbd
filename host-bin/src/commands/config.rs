//! `carport config`: shows, starts and checks the configuration.

use carport_core::{BillRow, CARPORT_PLUGINS, make_private_dir};
use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::{
    cli::Global,
    daemon::{
        private_file,
        root::StateRoot,
        settings::{Configuration, overrides::Overrides, template::template},
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

/// What `carport config` is to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every value and where it was written
    Show(Overrides),
    /// Write a config.toml with every key, its documentation and its default
    Init {
        /// Replace the one that is there
        #[arg(long)]
        force: bool,
    },
    /// Say the first mistake, or ok
    Check(Overrides),
}

pub(crate) fn run(args: Args, global: &Global, bill: &'static [BillRow]) -> Result<(), Exit> {
    let root = StateRoot::resolve(global.state_root.as_deref())?;
    let output = Output::new(global.json);
    match args.what {
        What::Show(overrides) => show(&Configuration::load(&root, &overrides, bill)?, output),
        What::Init { force } => init(&root, force, bill, output),
        What::Check(overrides) => {
            Configuration::load(&root, &overrides, bill)?;
            ok(&root, output)
        }
    }
}

fn show(configuration: &Configuration, output: Output) -> Result<(), Exit> {
    let Configuration { merged, entries, .. } = configuration;
    if output.is_json() {
        let from = entries.iter().map(|entry| (entry.key.clone(), json!(entry.from)));
        let from: Map<String, Value> = from.collect();
        return output.document(&json!({ "config": merged, "from": from }));
    }
    let mut table = Table::new(["key", "value", "from"]);
    for entry in entries {
        let tone = if entry.from == "default" { Tone::Faint } else { Tone::Good };
        table.row([
            Cell::new(&entry.key).tone(Tone::Name),
            match &entry.value {
                Value::Null => Cell::new("-").tone(Tone::Faint),
                value => value.into(),
            },
            Cell::new(&entry.from).tone(tone),
        ]);
    }
    output.table(&table, "nothing to configure")
}

fn init(
    root: &StateRoot,
    force: bool,
    bill: &'static [BillRow],
    output: Output,
) -> Result<(), Exit> {
    let path = root.config_file();
    let shown = path.display();
    if path.exists() && !force {
        return Err(Exit::usage(format!("{shown} is there already: replace it with --force")));
    }
    let text = template(&CARPORT_PLUGINS.iter().collect::<Vec<_>>(), bill)?;
    make_private_dir(root.path())
        .and_then(|()| private_file::write(&path, &text))
        .map_err(|error| Exit::failed(format!("{shown}: {error}")))?;
    match output.is_json() {
        true => output.document(&json!({ "path": path, "written": true })),
        false => output.line(format!(
            "{shown} has every key, switched off: edit it, then `carport config check`"
        )),
    }
}

fn ok(root: &StateRoot, output: Output) -> Result<(), Exit> {
    let path = root.config_file();
    let there = path.exists();
    match output.is_json() {
        true => output.document(&json!({ "ok": true, "file": there.then_some(path) })),
        false if there => output.line(format!("{} {}", Tone::Good.paint("ok"), path.display())),
        false => output.line(format!("{} there is no {}", Tone::Good.paint("ok"), path.display())),
    }
}
