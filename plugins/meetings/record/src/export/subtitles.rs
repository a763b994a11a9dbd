//! A transcript as subtitles: WebVTT (W3C Candidate Recommendation, 4 April 2019) and SubRip.

use std::fmt::Write;

use crate::{Meeting, Segment};

/// The transcript as WebVTT: one cue a segment in the order of speech, with the speaker as its voice. Cues
/// of several sources may overlap. `segments` are as readers see them.
pub fn web_vtt(meeting: &Meeting, segments: &[Segment]) -> String {
    // The header ends with its line, and the arrow may stand nowhere but between times.
    let mut text = format!("WEBVTT - {}\n", one_line(meeting.called()).replace("-->", "->"));
    for cue in cues(segments) {
        let (start, end) = (time(cue.start_ms, '.'), time(cue.end_ms, '.'));
        let (speaker, said) = (escaped(cue.speaker), escaped(cue.text));
        let _ = write!(text, "\n{}\n{start} --> {end}\n<v {speaker}>{said}</v>\n", cue.n);
    }
    text
}

/// The transcript as SubRip: counted from 1, with the speaker before the text.
pub fn subrip(segments: &[Segment]) -> String {
    let mut text = String::new();
    for (at, cue) in cues(segments).into_iter().enumerate() {
        let (start, end) = (time(cue.start_ms, ','), time(cue.end_ms, ','));
        let (speaker, said) = (untagged(cue.speaker), untagged(cue.text));
        let _ = write!(text, "{}\n{start} --> {end}\n{speaker}: {said}\n\n", at + 1);
    }
    text
}

/// A segment that is shown.
struct Cue<'a> {
    n: u64,
    start_ms: u64,
    end_ms: u64,
    speaker: &'a str,
    text: &'a str,
}

/// In the order of speech. A cue ends after it begins.
fn cues(segments: &[Segment]) -> Vec<Cue<'_>> {
    let cue = |segment| {
        let Segment { n, start_ms, end_ms, speaker, text, .. }: &Segment = segment;
        Cue {
            n: *n,
            start_ms: *start_ms,
            end_ms: (*end_ms).max(start_ms.saturating_add(1)),
            speaker,
            text,
        }
    };
    let mut cues: Vec<_> = segments.iter().map(cue).collect();
    cues.sort_by_key(|it| (it.start_ms, it.n));
    cues
}

/// `01:02:03.004`; more than 99 hours have more digits.
fn time(ms: u64, point: char) -> String {
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}{point}{:03}", ms / 1000 % 60, ms % 1000)
}

/// Without line breaks, which would end a cue.
fn one_line(text: &str) -> String {
    let blank =
        |letter: char| if letter.is_whitespace() || letter.is_control() { ' ' } else { letter };
    text.chars().map(blank).collect::<String>().trim().to_owned()
}

/// Text of a cue, or the name of a voice.
fn escaped(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// SubRip has no escapes: what a player takes for a tag or an arrow is written with letters that look like it.
fn untagged(text: &str) -> String {
    let text = one_line(text).replace("-->", "→");
    text.replace('<', "‹").replace('>', "›").replace('{', "(").replace('}', ")")
}
