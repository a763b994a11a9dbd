//! `carport voice listen`: what is said, while it is said.

use std::{
    io::{self, Write},
    pin::pin,
};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{clock, pushing::hear, source::Source};
use crate::{
    client::{
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
    },
    exit::{Code, Exit},
    output::{Output, Tone, count, one_line, unwritten},
};

/// The stream; its name is only this connection's.
const ID: &str = "listen";
/// Characters of a partial text on a terminal: its end says most, and it must not wrap.
const SHOWN: usize = 72;

/// What is listened to.
#[derive(Debug, clap::Args)]
pub(super) struct Listen {
    /// The recording: WAV, MP3, FLAC or Ogg Vorbis; `-` reads raw 16-bit samples at 16 kHz, one
    /// channel, from standard input
    #[arg(long, value_name = "FILE")]
    from: String,
    /// Send it no faster than it sounds
    #[arg(long)]
    real_time: bool,
    /// Tell speakers apart
    #[arg(long)]
    speakers: bool,
    /// The language that is spoken
    #[arg(long, value_name = "LANG")]
    language: Option<String>,
    /// The provider: `carport voice models` lists them (default: local)
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
}

impl Listen {
    /// Opens the sound, which comes from this side.
    pub(super) fn open(&self) -> Result<Source, Exit> {
        Source::open(&self.from)
    }
}

pub(super) async fn run(
    wanted: &Listen,
    sound: Source,
    link: &Link,
    mut inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    let mut screen = Screen { output, open: false, settles: wanted.speakers, failure: None };
    let start = json!({
        "session_id": ID,
        "audio_source": { "kind": "pcm_push" },
        "options": {
            "provider": wanted.provider, "language": wanted.language, "diarizer": wanted.speakers,
        },
    });
    link.raw("voice.transcribe_stream.start", &start).await?;
    let enough = Notify::new();
    let mut fed = pin!(feed(link, sound, wanted.real_time, &enough));
    let mut interrupt = pin!(interrupted());
    let mut interruption = None;
    let stopped = loop {
        tokio::select! {
            news = inbox.recv() => match news {
                Some(news) => screen.show(&news)?,
                None => break Err(CallError::Ended(link.ended().await).into()),
            },
            stopped = &mut fed => break stopped,
            exit = &mut interrupt => {
                // What was said so far is still heard; who asks twice does not wait for it.
                if let Some(exit) = interruption.replace(exit) {
                    screen.clear()?;
                    return Err(exit);
                }
                enough.notify_one();
                interrupt.set(interrupted());
            }
        }
    };
    // Every event was sent before the reply.
    while let Ok(news) = inbox.try_recv() {
        screen.show(&news)?;
    }
    screen.clear()?;
    match (stopped, screen.failure.take(), interruption) {
        // That there is no such stream any more says less.
        (Err(_), Some(why), _) => Err(Exit::new(Code::Answered, why)),
        (Err(exit), None, _) => Err(exit),
        (Ok(stopped), _, interruption) => {
            screen.summary(&stopped);
            interruption.map_or(Ok(()), Err)
        }
    }
}

/// Pushes all of the sound, or what of it was read when it is enough, and stops; what the stop was
/// answered with.
async fn feed(link: &Link, sound: Source, real_time: bool, enough: &Notify) -> Result<Value, Exit> {
    tokio::select! {
        heard = hear(link, ID, sound, real_time) => heard?,
        () = enough.notified() => {}
    }
    Ok(link.raw("voice.transcribe_stream.stop", &json!({ "session_id": ID })).await?)
}

/// What is shown of a stream.
struct Screen {
    output: Output,
    /// Whether the line holds a partial text.
    open: bool,
    /// Whether segments are shown once their speaker is known.
    settles: bool,
    /// What the daemon ended the stream with.
    failure: Option<String>,
}

impl Screen {
    fn show(&mut self, news: &Incoming) -> Result<(), Exit> {
        let Incoming::Notice(notice) = news else { return Ok(()) };
        if notice.method != "voice.event" || notice.params["session_id"] != ID {
            return Ok(());
        }
        let event = &notice.params["event"];
        let is_fatal = event["fatal"] == true;
        if is_fatal {
            self.failure = event["message"].as_str().map(str::to_owned);
        }
        if self.output.is_json() {
            return self.output.object(event);
        }
        let text = one_line(event["text"].as_str().unwrap_or_default()).into_owned();
        match event["type"].as_str().unwrap_or_default() {
            "partial" => self.partial(&text),
            "final" if !self.settles && !text.is_empty() => self.line(said(event, &text)),
            "transcript" if self.settles => self.line(said(event, &text)),
            "final" => self.clear(),
            "warning" | "error" if !is_fatal => {
                let why = one_line(event["message"].as_str().unwrap_or_default()).into_owned();
                self.line(Tone::Warn.paint(why))
            }
            _ => Ok(()),
        }
    }

    /// On a terminal the line changes as the text grows; elsewhere each is a line.
    fn partial(&mut self, text: &str) -> Result<(), Exit> {
        if !self.output.is_terminal() {
            return self.output.line(format_args!("~ {text}"));
        }
        self.open = true;
        let line = Tone::Faint.paint(ending(text));
        write(&format!("\r\u{1b}[2K{line}"))
    }

    fn line(&mut self, line: String) -> Result<(), Exit> {
        self.clear()?;
        self.output.line(line)
    }

    fn clear(&mut self) -> Result<(), Exit> {
        match std::mem::take(&mut self.open) {
            true => write("\r\u{1b}[2K"),
            false => Ok(()),
        }
    }

    fn summary(&self, stopped: &Value) {
        let segments = stopped["segments"].as_array().map_or(0, Vec::len);
        let ms = stopped["audio_ms"].as_u64().unwrap_or_default();
        self.output.note(format_args!("{} in {}", count(segments, "segment"), clock(ms)));
        if stopped["truncated"] == true {
            self.output.note("the rest was not heard: the daemon took longer than 10 s for it");
        }
    }
}

fn said(event: &Value, text: &str) -> String {
    let at = Tone::Faint.paint(clock(event["start_ms"].as_u64().unwrap_or_default()));
    match event["speaker"]["label"].as_str() {
        Some(label) => format!("{at} {} {text}", Tone::Name.paint(one_line(label))),
        None => format!("{at} {text}"),
    }
}

/// The last characters of a text.
fn ending(text: &str) -> String {
    match text.chars().count().checked_sub(SHOWN) {
        None | Some(0) => text.to_owned(),
        Some(more) => format!("…{}", text.chars().skip(more + 1).collect::<String>()),
    }
}

fn write(text: &str) -> Result<(), Exit> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error: io::Error| unwritten(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_text_shows_its_end() {
        assert_eq!(ending("short"), "short");
        let long = ending(&"ab".repeat(SHOWN));
        assert_eq!((long.chars().count(), long.chars().next()), (SHOWN, Some('…')));
    }

    #[test]
    fn a_segment_is_shown_with_its_time_and_speaker() {
        let plain = |event: &Value| anstream::adapter::strip_str(&said(event, "yes")).to_string();
        assert_eq!(plain(&json!({ "start_ms": 1200 })), "00:01.2 yes");
        let event = json!({ "start_ms": 0, "speaker": { "label": "S1\u{1b}" } });
        assert_eq!(plain(&event), "00:00.0 S1\\u{1b} yes");
    }
}
