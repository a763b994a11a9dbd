//! `carport voice listen`: what is said, while it is said.

use std::{
    io::{self, Write},
    pin::pin,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::codes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    clock,
    source::{PIECE_MS, Source},
};
use crate::{
    client::{
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
    },
    exit::Exit,
    output::{Output, Tone, count, one_line, unwritten},
};

/// The stream; its name is only this connection's.
const ID: &str = "listen";
/// Characters of a partial text on a terminal: its end says most, and it must not wrap.
const SHOWN: usize = 72;
/// How long to wait for room if the daemon does not say.
const RETRY_MS: u64 = 200;

/// What is listened to.
#[derive(Debug, clap::Args)]
pub(super) struct Listen {
    /// A WAV file of 16-bit or float samples; `-` reads raw 16-bit samples at 16 kHz, one channel,
    /// from standard input
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
    let mut screen = Screen { output, open: false, settles: wanted.speakers };
    let format = sound.format();
    let start = json!({
        "session_id": ID,
        "audio_source": {
            "kind": "pcm_push", "sample_rate": format.rate, "channels": format.channels,
            "format": format.name,
        },
        "options": {
            "provider": wanted.provider, "language": wanted.language, "diarizer": wanted.speakers,
        },
    });
    link.raw("voice.transcribe_stream.start", &start).await?;
    let mut fed = pin!(hear(link, sound, wanted.real_time));
    let mut ended = pin!(interrupted());
    let stopped = loop {
        tokio::select! {
            news = inbox.recv() => match news {
                Some(news) => screen.show(&news)?,
                None => return Err(CallError::Ended(link.ended().await).into()),
            },
            stopped = &mut fed => break stopped?,
            exit = &mut ended => return Err(exit),
        }
    };
    // Every event was sent before the reply.
    while let Ok(news) = inbox.try_recv() {
        screen.show(&news)?;
    }
    screen.summary(&stopped)
}

/// Pushes all of the sound to a stream of this connection.
pub(in crate::commands) async fn feed(
    link: &Link,
    stream: &str,
    sound: Source,
    real_time: bool,
) -> Result<(), Exit> {
    let (began, mut sent_ms) = (Instant::now(), 0);
    let mut pieces = sound.pieces();
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(|error| Exit::failed(format!("the sound: {error}")))?;
        if real_time {
            // A piece has been said by the time it is sent.
            sent_ms += PIECE_MS;
            sleep_until(began + Duration::from_millis(sent_ms)).await;
        }
        push(link, stream, &piece).await?;
    }
    Ok(())
}

/// Pushes all of the sound and stops; what the stop was answered with.
async fn hear(link: &Link, sound: Source, real_time: bool) -> Result<Value, Exit> {
    feed(link, ID, sound, real_time).await?;
    Ok(link.raw("voice.transcribe_stream.stop", &json!({ "session_id": ID })).await?)
}

/// Pushes a piece as soon as there is room for it.
async fn push(link: &Link, stream: &str, piece: &[u8]) -> Result<(), CallError> {
    let params = json!({ "session_id": stream, "pcm_b64": STANDARD.encode(piece) });
    loop {
        match link.raw("voice.transcribe_stream.push", &params).await {
            Err(CallError::Rpc(error)) if error.code == codes::OVERLOADED => {
                let after = error.data.as_ref().and_then(|it| it["retry_after_ms"].as_u64());
                sleep(Duration::from_millis(after.unwrap_or(RETRY_MS))).await;
            }
            pushed => return pushed.map(drop),
        }
    }
}

/// What is shown of a stream.
struct Screen {
    output: Output,
    /// Whether the line holds a partial text.
    open: bool,
    /// Whether segments are shown once their speaker is known.
    settles: bool,
}

impl Screen {
    fn show(&mut self, news: &Incoming) -> Result<(), Exit> {
        let Incoming::Notice(notice) = news else { return Ok(()) };
        if notice.method != "voice.event" || notice.params["session_id"] != ID {
            return Ok(());
        }
        let event = &notice.params["event"];
        if self.output.is_json() {
            return self.output.object(event);
        }
        let text = one_line(event["text"].as_str().unwrap_or_default()).into_owned();
        match event["type"].as_str().unwrap_or_default() {
            "partial" => self.partial(&text),
            "final" if !self.settles && !text.is_empty() => self.line(said(event, &text)),
            "transcript" if self.settles => self.line(said(event, &text)),
            "final" => self.clear(),
            "warning" | "error" => {
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

    fn summary(&mut self, stopped: &Value) -> Result<(), Exit> {
        self.clear()?;
        let segments = stopped["segments"].as_array().map_or(0, Vec::len);
        let ms = stopped["audio_ms"].as_u64().unwrap_or_default();
        self.output.note(format_args!("{} in {}", count(segments, "segment"), clock(ms)));
        Ok(())
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
