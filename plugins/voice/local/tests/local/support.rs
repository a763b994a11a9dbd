//! Recordings, the models, and how far a text is from what was said.

use std::{fs, ops::Range, path::PathBuf, sync::LazyLock};

use carport_voice_audio::{Decoder, Event, Limits, Reason, Segmenter, VadOptions, mono_16k};
use carport_voice_local::{Activity, Local, Locator, Places};

/// The models of this checkout, loaded once for all tests of a process.
pub(crate) static LOCAL: LazyLock<Local> = LazyLock::new(|| {
    let repository = Some(Places::repository());
    Local::new(Locator::new(Places { repository, ..Places::default() }))
});

/// A file of the samples.
pub(crate) fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/samples").join(name)
}

/// A recording at 16 kHz.
pub(crate) fn sound(name: &str) -> Vec<f32> {
    mono_16k(Decoder::of_file(&sample(name), Limits::default()).unwrap()).unwrap()
}

/// A segment of a recording, in samples.
#[derive(Debug)]
pub(crate) struct Cut {
    /// What is decoded.
    pub(crate) sound: Range<usize>,
    /// From the onset of speech to its last voiced moment.
    pub(crate) speech: Range<usize>,
}

/// The segments of a recording.
pub(crate) fn cuts(samples: &[f32]) -> Vec<Cut> {
    let (mut activity, mut segmenter) = (Activity::new(), Segmenter::new(VadOptions::default()));
    let mut events = Vec::new();
    activity.push(samples, |score| segmenter.push(score, &mut events));
    activity.flush(|score| segmenter.push(score, &mut events));
    segmenter.flush(Reason::Stop, &mut events);
    let (mut onset, mut cuts) = (0, Vec::new());
    let within = |it: u64| (it as usize).min(samples.len());
    for event in events {
        match event {
            Event::Started { at, .. } => onset = within(at),
            Event::Stopped { from, to, at, .. } => {
                cuts.push(Cut { sound: within(from)..within(to), speech: onset..within(at) });
            }
            Event::Partial { .. } | Event::Eager { .. } => {}
        }
    }
    cuts
}

/// What is said in a JSON file of the samples.
pub(crate) fn facts(name: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(sample(name)).unwrap()).unwrap()
}

/// Words as they are compared: no case, no punctuation, titles in full.
pub(crate) fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('-', " ").replace("mr.", "mister");
    let letters = |word: &str| word.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
    text.split_whitespace().map(letters).filter(|it| !it.is_empty()).collect()
}

/// How many words must be put in, taken out or changed.
pub(crate) fn word_errors(said: &str, heard: &str) -> usize {
    strsim::generic_levenshtein(&words(said), &words(heard))
}

#[test]
fn word_errors_are_counted() {
    assert_eq!(word_errors("Mr. John had then", "mister john, had then!"), 0);
    assert_eq!(word_errors("a b c d", "a x c"), 2);
    assert_eq!(word_errors("", "a b"), 2);
    assert_eq!(word_errors("a b", ""), 2);
}
