//! `carport meetings show`: a meeting for a person.

use serde_json::json;

use super::{Whole, took, word};
use crate::{
    commands::voice::clock,
    exit::Exit,
    output::{Output, Tone, count, one_line},
};

pub(super) fn run(whole: &Whole, output: Output) -> Result<(), Exit> {
    let Whole { meeting, segments, summary } = whole;
    if output.is_json() {
        return output
            .document(&json!({ "meeting": meeting, "transcript": segments, "summary": summary }));
    }
    output.line(Tone::Name.paint(one_line(meeting.called())))?;
    let said = count(segments.len(), "segment");
    output.line(format_args!(
        "{}, {}, {}, {said}",
        word(meeting.status),
        meeting.started_at.format("%Y-%m-%d %H:%M:%SZ"),
        took(meeting.duration_ms),
    ))?;
    if let Some(summary) = summary.as_deref().filter(|it| !it.is_empty()) {
        // Its first line says again what the meeting was.
        output.text(&format!("\n{}\n", from_sections(summary)))?;
    }
    for segment in segments {
        output.line(line(segment.start_ms, &segment.speaker, &segment.text))?;
    }
    Ok(())
}

/// A segment for a person.
pub(super) fn line(start_ms: u64, speaker: &str, text: &str) -> String {
    let at = Tone::Faint.paint(clock(start_ms));
    format!("{at} {} {}", Tone::Name.paint(one_line(speaker)), one_line(text))
}

/// A summary without its line of facts.
pub(super) fn from_sections(summary: &str) -> &str {
    summary.find("## ").map_or(summary, |at| &summary[at..])
}
