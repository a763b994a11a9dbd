//! Tests of the ledger: numbering, speakers, repeated and corrected segments.

use carport_voice_api::{Segment as VoiceSegment, Speaker, Word};
use proptest::prelude::*;

use super::*;
use crate::{Owner, Role, Source};

fn source(name: &str, speaker: Option<&str>) -> Source {
    Source {
        source: name.into(),
        voice_session_id: format!("v-{name}"),
        kind: "pcm_push".into(),
        speaker: speaker.map(str::to_owned),
    }
}

fn ledger(sources: Vec<Source>) -> Ledger {
    let owner = Owner { role: Role::Client, agent_id: None };
    let at = "2026-05-02T09:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
    let mut meeting = Meeting::begin("m1".into(), String::new(), at, owner, true);
    meeting.sources = sources;
    Ledger::new(meeting)
}

fn who(label: &str, enrolled: bool) -> Option<Speaker> {
    Some(Speaker { label: label.into(), score: None, enrolled })
}

fn heard(segment_id: u64, text: &str, speaker: Option<Speaker>) -> VoiceSegment {
    let (start_ms, end_ms) = (segment_id * 1000, segment_id * 1000 + 400);
    VoiceSegment { segment_id, text: text.into(), start_ms, end_ms, speaker, ..<_>::default() }
}

fn take(ledger: &mut Ledger, source: &str, heard: &VoiceSegment) -> Result<Applied, NotTaken> {
    let change = ledger.plan_spoken(source, 0, heard)?;
    Ok(ledger.apply(change))
}

#[test]
fn the_speaker_is_the_first_that_there_is() {
    let labels = |sources: Vec<Source>, speaker: Option<Speaker>| {
        let mut ledger = ledger(sources);
        take(&mut ledger, "mic", &heard(0, "Hello", speaker)).unwrap().segment.speaker
    };
    let one = || vec![source("mic", None)];
    let own = || vec![source("mic", Some("Me")), source("system", None)];
    let two = || vec![source("mic", None), source("system", None)];
    assert_eq!(labels(own(), who("Ann", true)), "Ann");
    assert_eq!(labels(own(), who("S1", false)), "Me");
    assert_eq!(labels(two(), who("S1", false)), "mic:S1");
    assert_eq!(labels(one(), who("S1", false)), "S1");
    assert_eq!(labels(one(), None), UNKNOWN);
}

#[test]
fn what_is_there_already_or_says_nothing_is_not_taken() {
    let mut ledger = ledger(vec![source("mic", None)]);
    assert!(take(&mut ledger, "mic", &heard(0, "One.", None)).is_ok());
    assert_eq!(take(&mut ledger, "mic", &heard(0, "One again.", None)), Err(NotTaken::Repeated));
    assert_eq!(take(&mut ledger, "mic", &heard(1, " [music] ", None)), Err(NotTaken::Ignored));
    assert_eq!(take(&mut ledger, "other", &heard(2, "Two", None)), Err(NotTaken::Stray));
    assert_eq!(take(&mut ledger, "mic", &heard(3, "Two.", None)).unwrap().segment.n, 1);
    assert_eq!((ledger.meeting().segments, ledger.meeting().words), (2, 2));
}

#[test]
fn times_are_on_the_meetings_clock() {
    let ledger = ledger(vec![source("mic", None)]);
    let word = Word { text: "Hi".into(), start_ms: 2000, end_ms: 2100, confidence: None };
    let said = VoiceSegment { words: Some(vec![word]), ..heard(2, "Hi", None) };
    let segment = ledger.plan_spoken("mic", 500, &said).unwrap().segment;
    assert_eq!((segment.start_ms, segment.end_ms), (2500, 2900));
    assert_eq!(segment.at.to_string(), "2026-05-02T09:00:02.500Z");
    assert_eq!(segment.words.unwrap()[0].start_ms, 2500);
}

#[test]
fn a_correction_moves_the_speech_and_keeps_the_text() {
    let mut ledger = ledger(vec![source("mic", None)]);
    for (id, label) in [(0, "S1"), (1, "S2"), (2, "S1")] {
        take(&mut ledger, "mic", &heard(id, "Some words here", who(label, false))).unwrap();
    }
    let ann = who("Ann", true).unwrap();
    let change = ledger.plan_corrected("mic", 2, &ann).unwrap();
    assert_eq!((change.segment.n, change.segment.text.as_str()), (2, "Some words here"));
    let applied = ledger.apply(change);
    assert!(applied.revised);
    assert_eq!(applied.appeared.unwrap().label, "Ann");
    let speech: Vec<_> = ledger
        .meeting()
        .participants
        .iter()
        .map(|it| (it.label.as_str(), it.speech_ms, it.enrolled))
        .collect();
    assert_eq!(speech, [("S1", 400, false), ("S2", 400, false), ("Ann", 400, true)]);
    assert_eq!((ledger.segments().len(), ledger.meeting().words), (3, 9));
    assert_eq!(ledger.plan_corrected("mic", 2, &ann), None, "it says so already");
    assert_eq!(ledger.plan_corrected("mic", 9, &ann), None, "nobody heard it");
}

#[test]
fn a_name_is_shown_and_the_label_stored() {
    let mut ledger = ledger(vec![source("mic", None)]);
    take(&mut ledger, "mic", &heard(0, "Hello", who("S1", false))).unwrap();
    assert_eq!(ledger.name("S9", "Nobody"), None);
    assert_eq!(ledger.name("S1", "Ann"), Some(1));
    let next = take(&mut ledger, "mic", &heard(1, "Again", who("S1", false))).unwrap();
    assert_eq!(next.segment.speaker, "Ann");
    assert!(ledger.segments().iter().all(|it| it.speaker == "S1"));
}

#[test]
fn texts_of_one_call_are_numbered_in_a_row_and_share_the_room_for_speakers() {
    let mut ledger = ledger(vec![source("mic", None)]);
    for nth in 0..MOST_PARTICIPANTS - 1 {
        let said = heard(nth as u64, "Hello", who(&format!("P{nth}"), true));
        take(&mut ledger, "mic", &said).unwrap();
    }
    let text = |speaker: &str, text: &str| Heard {
        text: text.into(),
        speaker: Some(speaker.into()),
        source: "notes".into(),
        start_ms: 10,
        end_ms: 5,
    };
    let texts = [
        text("Last", "a"),
        text("Late", "b"),
        text("Late", "..."),
        text("Last", "c"),
        text("P3", "d"),
    ];
    let changes = ledger.plan_texts(&texts);
    let planned: Vec<_> =
        changes.iter().map(|it| (it.segment.n, it.segment.speaker.as_str())).collect();
    assert_eq!(planned, [(63, "Last"), (64, UNKNOWN), (65, "Last"), (66, "P3")]);
    assert!(changes.iter().all(|it| it.segment.end_ms == 10));
    changes.into_iter().for_each(|it| drop(ledger.apply(it)));
    assert_eq!(ledger.meeting().participants.len(), MOST_PARTICIPANTS);
    assert_eq!(ledger.meeting().segments, 67);
}

/// What a stream may tell: which source, its number, text or none, who.
fn told() -> impl Strategy<Value = (u8, u64, bool, u8)> {
    (0u8..3, 0u64..12, prop::bool::weighted(0.8), 0u8..4)
}

proptest! {
    /// Whatever order sources settle in, and however often: each segment is there once, numbered without
    /// a hole, and the sums are those of a count from the beginning.
    #[test]
    fn every_segment_is_there_once(events in prop::collection::vec((told(), any::<bool>()), 0..80)) {
        let names = ["a", "b", "c"];
        let mut ledger = ledger(names.map(|it| source(it, None)).to_vec());
        let mut expected = Vec::new();
        for ((source, id, has_text, label), corrects) in events {
            let (name, label) = (names[usize::from(source)], format!("S{label}"));
            let at = expected.iter().position(|(place, _)| *place == (name, id));
            if corrects {
                let change = ledger.plan_corrected(name, id, &who(&label, false).unwrap());
                prop_assert_eq!(change.is_some(), at.is_some_and(|at: usize| expected[at].1 != label));
                change.into_iter().for_each(|it| drop(ledger.apply(it)));
                at.into_iter().for_each(|at| expected[at].1 = label.clone());
            } else {
                let text = if has_text { "some text" } else { "[noise]" };
                let taken = take(&mut ledger, name, &heard(id, text, who(&label, false)));
                prop_assert_eq!(taken.is_ok(), at.is_none() && has_text);
                if taken.is_ok() {
                    expected.push(((name, id), label));
                }
            }
        }
        let written: Vec<_> = ledger.segments().iter().map(|it| (it.n, it.speaker.clone())).collect();
        let wanted: Vec<_> = expected.iter().enumerate()
            .map(|(n, ((name, _), label))| (n as u64, format!("{name}:{label}"))).collect();
        prop_assert_eq!(written, wanted);
        let mut counted = ledger.meeting().clone();
        counted.recount(ledger.segments());
        prop_assert_eq!(&counted, ledger.meeting());
    }
}
