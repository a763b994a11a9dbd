//! Fixed transcripts and their fixed summaries.

use carport_core::Time;
use carport_meetings_record::{Meeting, Owner, Role};
use proptest::prelude::*;

use super::*;
use crate::{document, without_title};

fn segments(talk: &[(&str, &str)]) -> Vec<Segment> {
    let segment = |(n, (speaker, text)): (usize, &(&str, &str))| Segment {
        n: n as u64,
        source: "main".into(),
        speaker: (*speaker).into(),
        text: (*text).into(),
        start_ms: n as u64 * 5000,
        end_ms: n as u64 * 5000 + 4000,
        at: <_>::default(),
        confidence: None,
        language: None,
        words: None,
    };
    talk.iter().enumerate().map(segment).collect()
}

const TALK: [(&str, &str); 14] = [
    ("Ann", "Good morning. Today we talk about the release of the new search."),
    ("Bo", "The search is fast now. The index of the search takes 3.5 seconds to build."),
    ("Cy", "Did anybody test the index on old machines?"),
    ("Bo", "Yes, Mr. Miller did."),
    ("Ann", "Good."),
    ("Cy", "The index on old machines takes 40 seconds to build."),
    ("Ann", "We decided to build the index in the background."),
    ("Bo", "I'll change the build of the index by Friday."),
    ("Cy", "What does the marketing team say about the release?"),
    ("Ann", "Lunch is at twelve in the garden, e.g. under the old tree."),
    ("Bo", "It is unclear who writes the release notes."),
    ("Ann", "We agreed that the release of the search is on the first of June."),
    ("Cy", "[so] Bo will write to the team."),
    ("Ann", "Thanks, that is the release of the search settled."),
];

#[test]
fn a_fixed_transcript_has_a_fixed_summary() {
    let expected = "## Summary\n\n\
        - The index of the search takes 3.5 seconds to build.\n\
        - The index on old machines takes 40 seconds to build.\n\
        - Thanks, that is the release of the search settled.\n\
        \n## Decisions\n\n\
        - Ann: We decided to build the index in the background.\n\
        - Ann: We agreed that the release of the search is on the first of June.\n\
        \n## Action items\n\n\
        - Bo: I'll change the build of the index by Friday.\n\
        - Cy: [so] Bo will write to the team.\n\
        \n## Open questions\n\n\
        - Cy: What does the marketing team say about the release?\n\
        - Bo: It is unclear who writes the release notes.\n";
    assert_eq!(extractive(&segments(&TALK), &Cues::default()), expected);
}

#[test]
fn few_sentences_are_the_summary_and_none_is_none() {
    let cues = Cues::default();
    assert_eq!(extractive(&[], &cues), "");
    assert_eq!(
        extractive(&segments(&[("A", "Hi"), ("B", "Ho")]), &cues),
        "## Summary\n\n- Hi\n- Ho\n"
    );
    // Nothing but what says nothing: no sentence weighs more than another, and none is a number.
    let empty = segments(&[
        ("A", "So it is now"),
        ("B", "So it is"),
        ("A", "And so on it goes"),
        ("C", "..."),
    ]);
    let text = extractive(&empty, &cues);
    assert_eq!(text, "## Summary\n\n- So it is now\n- And so on it goes\n");
}

#[test]
fn a_summary_of_a_long_meeting_is_bounded() {
    let sentence =
        |n: usize| format!("Topic number {n} is about item x{n} and we decided on option y{n}.");
    let texts: Vec<_> = (0..600).map(sentence).collect();
    let talk: Vec<_> = texts.iter().map(|it| ("Ann", it.as_str())).collect();
    let text = extractive(&segments(&talk), &Cues::default());
    let (summary, decisions) = text.split_once("\n## Decisions\n").unwrap();
    assert_eq!((summary.matches("\n- ").count(), decisions.matches("\n- ").count()), (MOST, ITEMS));
}

#[test]
fn the_file_has_a_title_and_one_line_of_facts() {
    let at: Time = "2026-05-02T09:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
    let owner = Owner { role: Role::Client, agent_id: None };
    let mut meeting = Meeting::begin("m1".into(), String::new(), at, owner, true);
    meeting.recount(&segments(&TALK));
    meeting.duration_ms = 61_000;
    let text = document(&meeting, "## Summary\n\n- Hi\n");
    assert_eq!(text, "# m1\n\n2026-05-02 09:00 UTC, 2 min, Ann, Bo, Cy\n\n## Summary\n\n- Hi\n");
    assert_eq!(
        without_title(&text),
        "2026-05-02 09:00 UTC, 2 min, Ann, Bo, Cy\n\n## Summary\n\n- Hi\n"
    );
    assert_eq!(without_title("## Summary"), "## Summary");
}

proptest! {
    /// The order in which segments were written does not matter, and any text is summed up.
    #[test]
    fn it_follows_from_what_was_said(
        talk in prop::collection::vec(("[A-C]", "([a-e]{1,3} ){0,6}[a-e]{1,3}[.?!]( [a-c ]{3,9}\\.)?"), 0..20),
        seed in any::<prop::sample::Index>(),
    ) {
        let talk: Vec<_> = talk.iter().map(|(who, text)| (who.as_str(), text.as_str())).collect();
        let mut segments = segments(&talk);
        let text = extractive(&segments, &Cues::default());
        if !segments.is_empty() {
            let at = seed.index(segments.len());
            segments.rotate_left(at);
        }
        prop_assert_eq!(&extractive(&segments, &Cues::default()), &text);
        prop_assert!(text.lines().all(|it| it.is_empty() || it.starts_with("## ") || it.starts_with("- ")));
    }
}
