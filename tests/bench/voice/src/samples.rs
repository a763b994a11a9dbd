//! The recordings of the voice's tests, and what is said in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use carport_bench_dispatch::Error;
use carport_voice_audio::{Decoder, Limits, RATE, mono_16k};
use serde_json::Value;

/// A recording at 16 kHz.
pub(crate) struct Recording {
    /// Who speaks: `people` or `machines`.
    pub(crate) kind: &'static str,
    /// Which people, or which machine.
    pub(crate) source: String,
    pub(crate) samples: Vec<f32>,
    pub(crate) said: String,
}

impl Recording {
    /// How long it is, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(RATE)
    }
}

/// Silence around a turn that is cut out of the meeting, in seconds; the turns lie 0.6 s apart.
const MARGIN: f64 = 0.25;

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../plugins/voice/tests/samples").join(name)
}

fn sound(path: &Path) -> Result<Vec<f32>, Error> {
    Ok(mono_16k(Decoder::of_file(path, Limits::default())?)?)
}

fn facts(path: &Path) -> Result<Value, Error> {
    let read = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(serde_json::from_slice(&read)?)
}

/// The people of a folder whose `refs.json` says by a file's name what is said in it. The source is the part
/// of the name before the first `_`.
pub(crate) fn people(folder: &Path) -> Result<Vec<Recording>, Error> {
    let files = facts(&folder.join("refs.json"))?;
    let files = files.as_object().ok_or("refs.json is an object")?;
    let recording = |(name, said): (&String, &Value)| {
        let said = said.as_str().ok_or("refs.json holds texts")?.to_owned();
        let source = name.split('_').next().unwrap_or(name).to_owned();
        Ok(Recording { kind: "people", source, samples: sound(&folder.join(name))?, said })
    };
    files.into_iter().map(recording).collect()
}

/// More people than the tests need, who are in the folder of this benchmark.
pub(crate) fn more_people() -> Result<Vec<Recording>, Error> {
    people(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/people"))
}

/// Every recording whose words are known: the reader's files, and the turns of the meeting one by one. A
/// turn of the reader's that is one of the files again is not counted twice.
pub(crate) fn all() -> Result<Vec<Recording>, Error> {
    let mut all = people(&place(""))?;
    let meeting = sound(&place("meeting_3spk.wav"))?;
    for turn in facts(&place("meeting_3spk.json"))?.as_array().ok_or("the meeting is a list")? {
        let said = turn["text"].as_str().ok_or("a turn has a text")?.to_owned();
        if all.iter().any(|it: &Recording| it.said == said) {
            continue;
        }
        let at = |seconds: f64| ((seconds * f64::from(RATE)) as usize).min(meeting.len());
        let time = |name: &str| turn[name].as_f64().ok_or("a turn has its times");
        let cut = at((time("start")? - MARGIN).max(0.0))..at(time("end")? + MARGIN);
        let speaker = turn["speaker"].as_str().ok_or("a turn has a speaker")?;
        let (kind, source) =
            if speaker == "reader" { ("people", "librivox") } else { ("machines", speaker) };
        let samples = meeting[cut].to_vec();
        all.push(Recording { kind, source: source.to_owned(), samples, said });
    }
    Ok(all)
}

/// The meeting as it is, with all that is said in it.
pub(crate) fn meeting() -> Result<Recording, Error> {
    let turns = facts(&place("meeting_3spk.json"))?;
    let texts = turns.as_array().into_iter().flatten().filter_map(|it| it["text"].as_str());
    let said = texts.collect::<Vec<_>>().join(" ");
    let samples = sound(&place("meeting_3spk.wav"))?;
    Ok(Recording { kind: "the meeting", source: String::new(), samples, said })
}
