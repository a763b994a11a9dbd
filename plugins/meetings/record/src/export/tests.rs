//! Tests of exports against hostile text, with a reader of cues as the standard describes one.

use proptest::prelude::*;

use super::*;
use crate::{Meeting, Owner, Role, Segment};

fn meeting(title: &str) -> Meeting {
    let owner = Owner { role: Role::Client, agent_id: None };
    let at = "2026-05-02T09:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
    Meeting::begin("m1".into(), title.into(), at, owner, true)
}

fn segment(n: u64, speaker: &str, text: &str, start_ms: u64, end_ms: u64) -> Segment {
    Segment {
        n,
        source: "main".into(),
        speaker: speaker.into(),
        text: text.into(),
        start_ms,
        end_ms,
        at: <_>::default(),
        confidence: None,
        language: None,
        words: None,
    }
}

fn talk() -> [Segment; 3] {
    [
        segment(0, "Ann & Bo", "We ship <b>x</b> --> now.", 1500, 4250),
        segment(1, "Cy", "Before that", 500, 2000),
        segment(2, "Ann & Bo", "Late {\\an8} *word*", 3_723_004, 3_723_004),
    ]
}

#[test]
fn web_vtt_is_what_a_player_reads() {
    let text = web_vtt(&meeting("Plan --> done"), &talk());
    let expected = "WEBVTT - Plan -> done\n\
        \n1\n00:00:00.500 --> 00:00:02.000\n<v Cy>Before that</v>\n\
        \n0\n00:00:01.500 --> 00:00:04.250\n<v Ann &amp; Bo>We ship &lt;b&gt;x&lt;/b&gt; --&gt; now.</v>\n\
        \n2\n01:02:03.004 --> 01:02:03.005\n<v Ann &amp; Bo>Late {\\an8} *word*</v>\n";
    assert_eq!(text, expected);
}

#[test]
fn subrip_is_what_a_player_reads() {
    let expected = "1\n00:00:00,500 --> 00:00:02,000\nCy: Before that\n\n\
        2\n00:00:01,500 --> 00:00:04,250\nAnn & Bo: We ship ‹b›x‹/b› → now.\n\n\
        3\n01:02:03,004 --> 01:02:03,005\nAnn & Bo: Late (\\an8) *word*\n\n";
    assert_eq!(subrip(&talk()), expected);
}

#[test]
fn markdown_is_a_document() {
    let text = markdown(
        &Meeting { duration_ms: 65_000, ..meeting("") },
        &talk(),
        Some("## Summary\n\nWe ship.\n"),
    );
    let expected = "# m1\n\n2026-05-02 09:00 UTC, 1:05\n\n## Summary\n\nWe ship.\n\n## Transcript\n\
        \n**Cy** (0:00): Before that\n\
        \n**Ann \\& Bo** (0:01): We ship \\<b\\>x\\</b\\> --\\> now.\n\
        \n**Ann \\& Bo** (1:02:03): Late {\\\\an8} \\*word\\*\n";
    assert_eq!(text, expected);
    let hostile = markdown(&meeting("T"), &[], Some("## Summary\n\n- S1: # <b>ship</b> *now*"));
    assert!(
        hostile.ends_with("## Summary\n\n- S1: \\# \\<b\\>ship\\</b\\> \\*now\\*\n"),
        "{hostile}"
    );
    assert_eq!(markdown(&meeting("T"), &[], None), "# T\n\n2026-05-02 09:00 UTC, 0:00\n");
}

/// A cue: its times, its voice and its text.
type Cue = (u64, u64, String, String);

fn ms(text: &str) -> Option<u64> {
    let (clock, part) = text.split_once('.')?;
    let parts: Vec<_> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts[..] else { return None };
    let is_wide = hours.len() >= 2 && minutes.len() == 2 && seconds.len() == 2 && part.len() == 3;
    let number = |text: &str| text.parse::<u64>().ok();
    let (minutes, seconds) = (number(minutes)?, number(seconds)?);
    (is_wide && minutes < 60 && seconds < 60)
        .then_some(number(hours)? * 3_600_000 + minutes * 60_000 + seconds * 1000 + number(part)?)
}

/// The text between tags, of which only a voice may be there.
fn unescaped(text: &str) -> String {
    assert!(!text.contains(['<', '>']), "{text}");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Reads a file as WebVTT's parser does: blocks between empty lines, of an id, times and text.
fn cues(text: &str) -> Option<Vec<Cue>> {
    let mut blocks = text.split("\n\n");
    let header = blocks.next()?.trim_end_matches('\n');
    assert!(header.starts_with("WEBVTT") && !header.contains('\n') && !header.contains("-->"));
    let cue = |block: &str| {
        let lines: Vec<_> = block.trim_end_matches('\n').split('\n').collect();
        let [_, times, said] = lines[..] else { return None };
        let (start, end) = times.split_once(" --> ")?;
        let (voice, said) = said.strip_prefix("<v ")?.strip_suffix("</v>")?.split_once('>')?;
        Some((ms(start)?, ms(end)?, unescaped(voice), unescaped(said)))
    };
    blocks.map(cue).collect()
}

fn any_segment() -> impl Strategy<Value = Segment> {
    ("\\PC{1,20}", "[a-z<>&\\-\n\r\u{2028} ]{1,40}", 0u64..400_000_000, 0u64..9000).prop_map(
        |(speaker, text, start, length)| segment(0, &speaker, &text, start, start + length),
    )
}

proptest! {
    /// Whatever is said by whomever, a parser finds every cue, in order, and the text as it was.
    #[test]
    fn every_cue_is_found(mut segments in prop::collection::vec(any_segment(), 0..12), title in ".{0,30}") {
        segments.iter_mut().zip(0..).for_each(|(it, n)| it.n = n);
        let found = cues(&web_vtt(&meeting(&title), &segments)).unwrap();
        prop_assert_eq!(found.len(), segments.len());
        segments.sort_by_key(|it| (it.start_ms, it.n));
        for ((start, end, voice, said), segment) in found.into_iter().zip(&segments) {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(start, segment.start_ms);
            prop_assert!(end > start && end >= segment.end_ms);
            prop_assert_eq!(words(&voice), words(&segment.speaker));
            prop_assert_eq!(words(&said), words(&segment.text));
        }
    }
}
