//! A transcript as Markdown.

use std::fmt::Write;

use crate::{Meeting, Segment};

/// The meeting as a document: title, facts, `summary` without its title if there is one, and the
/// transcript in the order of speech. `segments` are as readers see them.
pub fn markdown(meeting: &Meeting, segments: &[Segment], summary: Option<&str>) -> String {
    let mut text = format!("# {}\n\n", plain(meeting.called()));
    let _ = write!(
        text,
        "{}, {}",
        meeting.started_at.format("%Y-%m-%d %H:%M UTC"),
        clock(meeting.duration_ms)
    );
    let names: Vec<_> =
        meeting.participants.iter().map(|it| plain(meeting.shown_as(&it.label))).collect();
    if !names.is_empty() {
        let _ = write!(text, ", {}", names.join(", "));
    }
    text.push('\n');
    if let Some(summary) = summary.map(str::trim).filter(|it| !it.is_empty()) {
        text.push('\n');
        for line in summary.lines() {
            let marks = ["## ", "- "].into_iter().find(|it| line.starts_with(it)).unwrap_or("");
            let _ = writeln!(text, "{marks}{}", plain(&line[marks.len()..]));
        }
    }
    if !segments.is_empty() {
        text.push_str("\n## Transcript\n");
    }
    let mut ordered: Vec<_> = segments.iter().collect();
    ordered.sort_by_key(|it| (it.start_ms, it.n));
    for segment in ordered {
        let (speaker, said) = (plain(&segment.speaker), plain(&segment.text));
        let _ = write!(text, "\n**{speaker}** ({}): {said}\n", clock(segment.start_ms));
    }
    text
}

/// `1:02:03`, or `2:03` for less than an hour.
fn clock(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// Text that Markdown takes for nothing else (CommonMark, section 2.4).
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' => {
                plain.extend(['\\', letter]);
            }
            _ if letter.is_whitespace() || letter.is_control() => plain.push(' '),
            _ => plain.push(letter),
        }
    }
    plain
}
