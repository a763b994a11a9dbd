//! `carport runs export`: a run as a file for other tools.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use atomic_write_file::AtomicWriteFile;
use clap::ValueEnum;
use serde_json::json;

use crate::{
    cli::Global,
    client::{connect::connect, link::Link, proof::Role, runs},
    exit::Exit,
    output::{Output, count, unwritten},
};

/// What a run is written as, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The run: `carport runs list` shows it
    run: String,
    /// What it is written as
    #[arg(long, default_value = "jsonl")]
    format: Format,
    /// Write this file, whole or not at all, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A record a line, as in the run's own file
    Jsonl,
    /// OpenTelemetry traces: a document a line, as collectors read them from files
    OtlpJson,
}

impl Format {
    fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::OtlpJson => "otlp_json",
        }
    }
}

pub(super) async fn run(wanted: &Export, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    let Some(path) = &wanted.output else {
        return write(wanted, &link, stdout()).await.map(drop);
    };
    let failed = |error| Exit::failed(format!("{}: {error}", path.display()));
    let mut file = AtomicWriteFile::open(path).map_err(failed)?;
    let bytes = write(wanted, &link, &mut file).await?;
    file.commit().map_err(failed)?;
    match output.is_json() {
        true => output.document(&json!({
            "run_id": wanted.run, "format": wanted.format.word(), "file": path, "bytes": bytes,
        })),
        false => output.line(format_args!("{}: {}", path.display(), count(bytes, "byte"))),
    }
}

/// Writes page after page; how many bytes.
async fn write(wanted: &Export, link: &Link, mut to: impl Write) -> Result<usize, Exit> {
    let (mut cursor, mut bytes) = (0, 0);
    loop {
        let mut page = runs::export(link, &wanted.run, wanted.format.word(), cursor).await?;
        if !page.content.is_empty() && !page.content.ends_with('\n') {
            page.content.push('\n');
        }
        let written = to.write_all(page.content.as_bytes()).and_then(|()| to.flush());
        written.map_err(|error| unwritten(&error))?;
        bytes += page.content.len();
        match page.next_cursor {
            Some(next) if next > cursor => cursor = next,
            _ => return Ok(bytes),
        }
    }
}
