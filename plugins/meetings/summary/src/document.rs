//! The file of a summary: its title, one line of facts, and its sections.

use carport_meetings_record::Meeting;

/// The contents of `summary.md`, of a summary's sections.
pub fn document(meeting: &Meeting, sections: &str) -> String {
    let minutes = meeting.duration_ms.div_ceil(60_000);
    let mut facts = format!("{}, {minutes} min", meeting.started_at.format("%Y-%m-%d %H:%M UTC"));
    for participant in &meeting.participants {
        facts.push_str(", ");
        facts.push_str(meeting.shown_as(&participant.label));
    }
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("# {}\n\n{}\n\n{sections}", line(meeting.called()), line(&facts))
}

/// What a reply says of the summary in a file: all but its title.
pub fn without_title(document: &str) -> &str {
    match document.strip_prefix("# ").and_then(|it| it.split_once("\n\n")) {
        Some((_, rest)) => rest,
        None => document,
    }
}
