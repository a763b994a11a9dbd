//! `carport meetings export`: a meeting as a file for other programs.

use std::{io::Write, path::PathBuf};

use atomic_write_file::AtomicWriteFile;
use carport_meetings_record::{markdown, subrip, web_vtt};
use clap::ValueEnum;
use serde_json::json;

use super::show::from_sections;
use crate::{
    client::meetings::Whole,
    exit::Exit,
    output::{Output, count},
};

/// What a meeting is written as, and where.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The meeting: `carport meetings list` shows it
    pub(super) meeting: String,
    /// What it is written as
    #[arg(long, default_value = "md")]
    format: Format,
    /// Write this file, whole or not at all, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Markdown: facts, summary, transcript
    Md,
    /// WebVTT subtitles
    Vtt,
    /// SubRip subtitles
    Srt,
}

pub(super) fn run(wanted: &Export, whole: &Whole, output: Output) -> Result<(), Exit> {
    let Whole { meeting, segments, summary } = whole;
    let (text, format) = match wanted.format {
        Format::Md => (markdown(meeting, segments, summary.as_deref().map(from_sections)), "md"),
        Format::Vtt => (web_vtt(meeting, segments), "vtt"),
        Format::Srt => (subrip(segments), "srt"),
    };
    let Some(path) = &wanted.output else { return output.text(&text) };
    let failed = |error| Exit::failed(format!("{}: {error}", path.display()));
    let mut file = AtomicWriteFile::open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.commit().map_err(failed)?;
    let bytes = text.len();
    match output.is_json() {
        true => output.document(&json!({
            "meeting_id": meeting.id, "format": format, "file": path, "bytes": bytes,
        })),
        false => output.line(format_args!("{}: {}", path.display(), count(bytes, "byte"))),
    }
}
