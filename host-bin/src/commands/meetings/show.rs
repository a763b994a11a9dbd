//! `carport meetings show`: a meeting for a person.

use carport_meetings_record::{Meeting, Segment, Status};

use super::{stands, took};
use crate::{
    client::meetings::Whole,
    commands::voice::clock,
    exit::Exit,
    output::{Output, Tone, count, one_line},
};

pub(super) fn run(whole: &Whole, output: Output) -> Result<(), Exit> {
    let Whole { meeting, segments, summary } = whole;
    if output.is_json() {
        return output.document(whole);
    }
    head(meeting, segments.len(), output)?;
    self::summary(summary.as_deref(), output)?;
    segments.iter().try_for_each(|segment| output.line(line(segment)))?;
    if meeting.status == Status::Interrupted {
        let id = one_line(&meeting.id);
        output.note(format_args!(
            "the daemon ended while it was recorded; `carport meetings stop {id}` makes its summary"
        ));
    }
    Ok(())
}

/// What is known of a meeting without its transcript.
pub(super) fn head(meeting: &Meeting, segments: usize, output: Output) -> Result<(), Exit> {
    output.line(Tone::Name.paint(one_line(meeting.called())))?;
    output.line(format_args!(
        "{}, {}, {}, {}",
        stands(meeting.status, meeting.ended_by),
        meeting.started_at.format("%Y-%m-%d %H:%M:%SZ"),
        took(meeting.duration_ms),
        count(segments, "segment"),
    ))?;
    let spoke = meeting.participants.iter().filter(|it| it.speech_ms > 0);
    let spoke: Vec<_> = spoke
        .map(|it| format!("{} {}", one_line(meeting.shown_as(&it.label)), took(it.speech_ms)))
        .collect();
    match spoke.is_empty() {
        true => Ok(()),
        false => output.line(spoke.join(", ")),
    }
}

/// A summary between empty lines, if anything was said.
pub(super) fn summary(summary: Option<&str>, output: Output) -> Result<(), Exit> {
    match summary.filter(|it| !it.is_empty()) {
        Some(summary) => output.text(&format!("\n{}\n", from_sections(summary))),
        None => Ok(()),
    }
}

/// A segment for a person.
pub(super) fn line(segment: &Segment) -> String {
    let at = Tone::Faint.paint(clock(segment.start_ms));
    format!("{at} {} {}", Tone::Name.paint(one_line(&segment.speaker)), one_line(&segment.text))
}

/// A summary without its line of facts, which say again what the meeting was.
pub(super) fn from_sections(summary: &str) -> &str {
    summary.split_once("\n\n").map_or(summary, |(_, sections)| sections)
}
