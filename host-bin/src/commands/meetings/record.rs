//! `carport meetings record`: files become a meeting, each a source of its own.

use std::{path::Path, pin::pin};

use carport_core::codes;
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{
    change::tell,
    follow::{Screen, reminded},
};
use crate::{
    cli::Global,
    client::{
        connect::connect_in,
        interrupt::interrupted,
        link::{CallError, Inbox, Link},
        locate::Located,
        meetings::{self, MeetingTrail, Stopped},
        memory::Facts,
        proof::{Role, agent_id},
    },
    commands::voice::{pushing, source::Source},
    exit::{Code, Exit},
    output::{Output, count, one_line},
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
    /// Keep what is said in the memory of this namespace
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    /// Record as this agent, with its own token: its memory, unless a namespace is given
    #[arg(long, value_name = "ID", value_parser = agent_id)]
    agent: Option<String>,
}

/// A file that is open.
struct Track {
    name: String,
    speaker: Option<String>,
    sound: Source,
}

impl Record {
    /// Opens the files, which lie on this side.
    fn open(&self) -> Result<Vec<Track>, Exit> {
        if self.from.len() > MOST {
            return Err(Exit::usage(format!(
                "a meeting has at most {MOST} sources; mix some files down first"
            )));
        }
        if self.speakers.len() > self.from.len() {
            return Err(Exit::usage(format!(
                "{} speakers for {}; `--speaker` names who speaks in the first file, the second, ...",
                self.speakers.len(),
                count(self.from.len(), "file"),
            )));
        }
        let track = |(at, from): (usize, &String)| {
            let speaker = self.speakers.get(at).cloned();
            Ok(Track { name: name(from, at), speaker, sound: Source::open(from)? })
        };
        self.from.iter().enumerate().map(track).collect()
    }

    /// What the meeting is started with.
    fn start(&self, tracks: &[Track], ingest: bool) -> Value {
        let source = |track: &Track| {
            json!({
                "source": track.name, "speaker": track.speaker, "audio_source": { "kind": "pcm_push" },
            })
        };
        json!({
            "id": self.id,
            "title": self.title,
            "sources": tracks.iter().map(source).collect::<Vec<_>>(),
            "options": {
                "provider": self.provider, "language": self.language, "diarizer": self.diarize,
                "streaming": false,
            },
            "ingest": ingest,
        })
    }
}

/// What a file's source is called: its name, as far as a source may have it, and its place.
fn name(from: &str, at: usize) -> String {
    let stem = Path::new(from).file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_word = |it: &char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_-".contains(*it);
    let word: String = stem.chars().filter(is_word).take(24).collect();
    format!("{}-{}", if word.trim_matches('-').is_empty() { "track" } else { &word }, at + 1)
}

#[derive(Deserialize)]
struct Started {
    id: String,
    sources: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    voice_session_id: String,
}

pub(super) async fn run(wanted: &Record, global: &Global, output: Output) -> Result<(), Exit> {
    // Before there is a connection that would have to wait.
    let tracks = wanted.open()?;
    let role = wanted.agent.clone().map_or(Role::Client, Role::Agent);
    let namespace = wanted.namespace.as_deref();
    let (link, inbox) = connect_in(&Located::find(global)?, &role, namespace).await?;
    let ingest = remembers(&link).await?;
    if !ingest {
        output
            .note("the memory will not have it: `--namespace NS` or `--agent ID` says whose it is");
    }
    let started: Started = link.ask("meeting.start", &wanted.start(&tracks, ingest)).await?;
    let id = started.id.clone();
    let recorded = record(wanted, started, tracks, &link, inbox, output).await;
    recorded.map_err(|exit| reminded(exit, &id))
}

async fn record(
    wanted: &Record,
    started: Started,
    tracks: Vec<Track>,
    link: &Link,
    mut inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    let mut screen = Screen { trail: MeetingTrail::of(&started.id), output };
    screen.attach(link, true).await?;
    let enough = Notify::new();
    let mut fed = pin!(feed(link, &started, tracks, wanted.real_time, &enough));
    let mut interrupt = pin!(interrupted());
    let mut interruption = None;
    let Fed { heard, stopped } = loop {
        tokio::select! {
            news = inbox.recv() => match news {
                Some(news) => screen.hear(link, &news).await?,
                None => return Err(CallError::Ended(link.ended().await).into()),
            },
            fed = &mut fed => break fed,
            exit = &mut interrupt => {
                // What was said so far is still heard; who asks twice does not wait for it.
                if let Some(exit) = interruption.replace(exit) {
                    return Err(exit);
                }
                enough.notify_one();
                interrupt.set(interrupted());
            }
        }
    };
    // Every event was sent before the reply.
    while let Ok(news) = inbox.try_recv() {
        screen.hear(link, &news).await?;
    }
    let is_over = screen.trail.ended().is_some();
    match stopped {
        Ok(stopped) => {
            if !output.is_json() {
                tell(&stopped, output)?;
            }
            heard.map_err(|exit| match &exit.rpc {
                Some(rpc) if rpc.code == codes::NOT_FOUND => cut_off(&started.id),
                _ => exit,
            })?;
            interruption.map_or(Ok(()), Err)
        }
        Err(CallError::Rpc(_)) if is_over => Err(cut_off(&started.id)),
        // That there is nothing to stop any more says less.
        Err(error) => heard.and(Err(error.into())),
    }
}

/// A stream is not there any more: somebody stopped the meeting, or the source failed, or a limit was reached.
fn cut_off(id: &str) -> Exit {
    let why = format!(
        "the meeting or a source of it was over before all was heard; `carport meetings show {}` has what was said",
        one_line(id)
    );
    Exit::new(Code::Answered, why)
}

/// How the files of a meeting were heard, and what its stop was answered with.
struct Fed {
    heard: Result<(), Exit>,
    stopped: Result<Stopped, CallError>,
}

/// Pushes all files side by side, or what of them was read when it is enough, then stops the meeting.
async fn feed(
    link: &Link,
    started: &Started,
    tracks: Vec<Track>,
    real_time: bool,
    enough: &Notify,
) -> Fed {
    let streams = started.sources.iter().zip(tracks);
    let feeds = streams
        .map(|(to, track)| pushing::hear(link, &to.voice_session_id, track.sound, real_time));
    let heard = tokio::select! {
        // A file that breaks off is no reason not to hear the others.
        heard = join_all(feeds) => heard.into_iter().collect(),
        () = enough.notified() => Ok(()),
    };
    Fed { heard, stopped: meetings::stop(link, &started.id, true).await }
}

/// Whether this connection's memory lasts longer than the connection.
async fn remembers(link: &Link) -> Result<bool, CallError> {
    match (Facts { link, tenant: None }).stats().await {
        Ok(stats) => Ok(stats.graph != "session"),
        // Another program's memory does not say.
        Err(CallError::Rpc(error))
            if [codes::METHOD_NOT_FOUND, codes::UNAVAILABLE].contains(&error.code) =>
        {
            Ok(true)
        }
        Err(error) => Err(error),
    }
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
