//! `carport meetings record`: files become a meeting, each a source of its own.

use std::{path::Path, pin::pin};

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::{
    show::{from_sections, line},
    took,
};
use crate::{
    client::{
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
    },
    commands::voice::{pushing, source::Source},
    exit::Exit,
    output::{Output, Tone, count, one_line},
};

/// Sources of one meeting.
const MOST: usize = 4;

/// What is recorded.
#[derive(Debug, clap::Args)]
pub(super) struct Record {
    /// Recordings (WAV, MP3, FLAC or Ogg Vorbis), at most 4, all from the beginning of the meeting; `-` reads
    /// raw 16-bit samples at 16 kHz, one channel, from standard input
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    from: Vec<String>,
    /// Who speaks in the first file, the second, ...; repeat it
    #[arg(long = "speaker", value_name = "NAME")]
    speakers: Vec<String>,
    /// What the meeting is called
    #[arg(long)]
    title: Option<String>,
    /// Its id (default: the daemon makes one)
    #[arg(long)]
    id: Option<String>,
    /// Send the files no faster than they sound
    #[arg(long)]
    real_time: bool,
    /// Tell the speakers of each file apart
    #[arg(long)]
    diarize: bool,
    /// The language that is spoken
    #[arg(long, value_name = "LANG")]
    language: Option<String>,
    /// The provider: `carport voice models` lists them (default: local)
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
}

/// A file that is open.
pub(super) struct Track {
    name: String,
    speaker: Option<String>,
    sound: Source,
}

impl Record {
    /// Opens the files, which lie on this side.
    pub(super) fn open(&self) -> Result<Vec<Track>, Exit> {
        if self.from.len() > MOST {
            return Err(Exit::usage(format!(
                "a meeting has at most {MOST} sources; mix some files down first"
            )));
        }
        let track = |(at, from): (usize, &String)| {
            let speaker = self.speakers.get(at).cloned();
            Ok(Track { name: name(from, at), speaker, sound: Source::open(from)? })
        };
        self.from.iter().enumerate().map(track).collect()
    }
}

/// What a file's source is called: its name, as far as a source may have it, and its place.
fn name(from: &str, at: usize) -> String {
    let stem = Path::new(from).file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_word = |it: &char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_-".contains(*it);
    let word: String = stem.chars().filter(is_word).take(24).collect();
    format!("{}-{}", if word.trim_matches('-').is_empty() { "track" } else { &word }, at + 1)
}

pub(super) async fn run(
    wanted: &Record,
    tracks: Vec<Track>,
    link: &Link,
    mut inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    let source = |track: &Track| {
        json!({
            "source": track.name, "speaker": track.speaker, "audio_source": { "kind": "pcm_push" },
        })
    };
    let start = json!({
        "id": wanted.id,
        "title": wanted.title,
        "sources": tracks.iter().map(source).collect::<Vec<_>>(),
        "options": {
            "provider": wanted.provider, "language": wanted.language, "diarizer": wanted.diarize,
            "streaming": false,
        },
    });
    let started = link.raw("meeting.start", &start).await?;
    let id = started["id"].as_str().unwrap_or_default().to_owned();
    link.raw("meeting.subscribe", &json!({ "meeting_id": id })).await?;
    let streams = started["sources"].as_array().into_iter().flatten();
    let streams: Vec<_> =
        streams.filter_map(|it| it["voice_session_id"].as_str().map(str::to_owned)).collect();
    let mut fed = pin!(hear(link, &id, streams, tracks, wanted.real_time));
    let mut ended = pin!(interrupted());
    let stopped = loop {
        tokio::select! {
            news = inbox.recv() => match news {
                Some(news) => show(&id, &news, output)?,
                None => return Err(CallError::Ended(link.ended().await).into()),
            },
            stopped = &mut fed => break stopped?,
            exit = &mut ended => return Err(exit),
        }
    };
    while let Ok(news) = inbox.try_recv() {
        show(&id, &news, output)?;
    }
    summary(&stopped, output)
}

/// Pushes all files side by side, then stops the meeting; what that was answered with.
async fn hear(
    link: &Link,
    id: &str,
    streams: Vec<String>,
    tracks: Vec<Track>,
    real_time: bool,
) -> Result<Value, Exit> {
    let feeds = streams
        .iter()
        .zip(tracks)
        .map(|(stream, track)| pushing::hear(link, stream, track.sound, real_time));
    try_join_all(feeds).await?;
    Ok(link.raw("meeting.stop", &json!({ "meeting_id": id })).await?)
}

fn show(id: &str, news: &Incoming, output: Output) -> Result<(), Exit> {
    let Incoming::Notice(notice) = news else { return Ok(()) };
    let event = &notice.params;
    if notice.method != "meeting.event" || event["meeting_id"] != id {
        return Ok(());
    }
    if output.is_json() {
        return output.object(event);
    }
    match event["type"].as_str().unwrap_or_default() {
        "segment" => {
            let text = |name: &str| event["segment"][name].as_str().unwrap_or_default();
            let at = event["segment"]["start_ms"].as_u64().unwrap_or_default();
            output.line(line(at, text("speaker"), text("text")))
        }
        "warning" => {
            let why = one_line(event["message"].as_str().unwrap_or_default()).into_owned();
            output.line(Tone::Warn.paint(why))
        }
        _ => Ok(()),
    }
}

fn summary(stopped: &Value, output: Output) -> Result<(), Exit> {
    if output.is_json() {
        return Ok(());
    }
    if let Some(summary) = stopped["summary"].as_str().filter(|it| !it.is_empty()) {
        output.text(&format!("\n{}\n", from_sections(summary)))?;
    }
    let meeting = &stopped["meeting"];
    let segments =
        meeting["segments"].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or_default();
    let took = took(meeting["duration_ms"].as_u64().unwrap_or_default());
    let id = one_line(stopped["id"].as_str().unwrap_or_default()).into_owned();
    output.note(format_args!("meeting {id}: {} in {took}", count(segments, "segment")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_called_after_its_file() {
        assert_eq!(name("/tmp/Ann's talk.wav", 0), "annstalk-1");
        assert_eq!(name("-", 1), "track-2");
        assert_eq!(name("日本.wav", 2), "track-3");
        assert!(name(&"x".repeat(80), 3).len() <= 32);
    }
}
