//! The talk of three people that the suites of meetings hear: its sound, who says what, and who was right.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

use crate::daemon::Daemon;

/// How far from where a turn begins a segment may.
const NEAR_MS: u64 = 700;

/// Where the sound lies.
pub(crate) fn sound() -> PathBuf {
    sample("wav")
}

fn sample(ending: &str) -> PathBuf {
    let samples =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/voice/tests/samples/meeting_3spk");
    PathBuf::from(samples).with_extension(ending)
}

/// Puts the sound where the daemon reads files; what it is called there.
pub(crate) fn lend(daemon: &Daemon) -> &'static str {
    let folder = daemon.path("voice/audio");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(sound(), folder.join("talk.wav")).unwrap();
    "talk.wav"
}

/// One turn: who speaks, from when on, and what is said.
#[derive(Debug)]
struct Turn {
    speaker: String,
    start_ms: u64,
    text: String,
}

fn turns() -> Vec<Turn> {
    let truth: Vec<Value> = serde_json::from_slice(&fs::read(sample("json")).unwrap()).unwrap();
    let turn = |it: Value| Turn {
        speaker: it["speaker"].as_str().unwrap().into(),
        start_ms: (it["start"].as_f64().unwrap() * 1000.0) as u64,
        text: it["text"].as_str().unwrap().into(),
    };
    truth.into_iter().map(turn).collect()
}

fn words(text: &str) -> Vec<String> {
    let is_end = |it: char| !it.is_alphanumeric();
    text.to_lowercase().split(is_end).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Checks a transcript of the talk: a segment a turn, in order, at its place, mostly in its words, and each
/// label one person's. How many turns have the right speaker, and how many there are.
pub(crate) fn right_turns(transcript: &[Value]) -> (usize, usize) {
    let turns = turns();
    assert_eq!(transcript.len(), turns.len(), "a segment a turn: {transcript:#?}");
    let mut labels = BTreeMap::new();
    let mut right = 0;
    for (n, (segment, turn)) in transcript.iter().zip(&turns).enumerate() {
        assert_eq!(segment["n"], n);
        let start = segment["start_ms"].as_u64().unwrap();
        assert!(start.abs_diff(turn.start_ms) <= NEAR_MS, "{segment} is not {turn:?}");
        let (heard, said) = (words(segment["text"].as_str().unwrap()), words(&turn.text));
        let known = said.iter().filter(|it| heard.contains(it)).count();
        assert!(known * 3 >= said.len() * 2, "{heard:?} is not {said:?}");
        // A label is the person's who has it first, and nobody else's.
        let label = segment["speaker"].as_str().unwrap();
        let taken = labels.values().any(|it| *it == turn.speaker);
        let whose = match labels.get(label) {
            Some(whose) => Some(whose),
            None if taken => None,
            None => Some(&*labels.entry(label).or_insert(turn.speaker.clone())),
        };
        right += usize::from(whose == Some(&turn.speaker));
    }
    (right, turns.len())
}
