//! `carport voice say`: a text becomes speech in a file.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use hound::{SampleFormat, WavSpec, WavWriter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    client::link::{CallError, Inbox, Incoming, Link},
    exit::{Code, Exit},
    output::{Output, unwritten},
};

/// The stream; its name is only this connection's.
const ID: &str = "say";

/// The text.
#[derive(Debug, clap::Args)]
pub(super) struct Say {
    /// What is said; `-` reads standard input
    text: String,
    /// Where the sound is written, in the place of a file that is there; `-` is standard output
    /// (default: a new file `speech.wav` here)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What the file is (default: by its name, else wav)
    #[arg(long)]
    format: Option<Format>,
    /// One of the provider's voices
    #[arg(long, value_name = "VOICE")]
    voice: Option<String>,
    /// How fast, 0.5 to 2
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The language of the text
    #[arg(long, value_name = "LANG")]
    language: Option<String>,
    /// The provider: `carport voice models` lists them (default: local)
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Wav,
    Mp3,
    Pcm,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.5..=2.0).contains(&speed) => Ok(speed),
        _ => Err("a number from 0.5 to 2".into()),
    }
}

/// What the start was answered with.
#[derive(Debug, Deserialize)]
struct Started {
    sample_rate: u32,
}

/// What was written, for `--json`.
#[derive(Debug, Serialize)]
struct Written<'a> {
    path: &'a Path,
    format: Format,
    sample_rate: u32,
    bytes: usize,
    /// Not known of MP3.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
}

impl Say {
    /// Reads what is on standard input, for as long as that takes, and looks whether the file may be
    /// written, before anybody works.
    pub(super) fn read(&mut self) -> Result<(), Exit> {
        self.format()?;
        if self.output.is_none() && self.place()?.exists() {
            return Err(taken(&self.place()?));
        }
        if self.text == "-" {
            self.text = io::read_to_string(io::stdin())
                .map_err(|error| Exit::failed(format!("standard input: {error}")))?;
        }
        match self.text.trim().is_empty() {
            true => Err(Exit::usage("there is no text to say")),
            false => Ok(()),
        }
    }

    fn format(&self) -> Result<Format, Exit> {
        let ending = self.output.as_deref().and_then(Path::extension);
        let named = ending.map(|it| Format::from_str(&it.to_string_lossy(), true).ok());
        match (self.format, named) {
            (Some(format), _) | (None, Some(Some(format))) => Ok(format),
            (None, None) => Ok(Format::Wav),
            (None, Some(None)) => Err(Exit::usage(
                "the file's name says none of wav, mp3 and pcm: name it so, or say `--format`",
            )),
        }
    }

    fn place(&self) -> Result<PathBuf, Exit> {
        let ending = match self.format()? {
            Format::Wav => "wav",
            Format::Mp3 => "mp3",
            Format::Pcm => "pcm",
        };
        Ok(self.output.clone().unwrap_or_else(|| format!("speech.{ending}").into()))
    }

    /// Writes the file; one that was not named takes no other's place.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Exit> {
        let mut options = OpenOptions::new();
        match self.output {
            Some(_) => options.create(true).truncate(true),
            None => options.create_new(true),
        };
        let written = options.write(true).open(path).and_then(|mut it| it.write_all(bytes));
        written.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => taken(path),
            _ => Exit::failed(format!("{}: {error}", path.display())),
        })
    }
}

fn taken(path: &Path) -> Exit {
    Exit::failed(format!("{} is there already: name another file with `-o`", path.display()))
}

pub(super) async fn run(
    wanted: &Say,
    link: &Link,
    mut inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    let (format, path) = (wanted.format()?, wanted.place()?);
    let start = json!({
        "stream_id": ID,
        "text": wanted.text,
        "options": {
            "provider": wanted.provider, "voice_id": wanted.voice, "language": wanted.language,
            "speed": wanted.speed,
            // One header for all of it is written here.
            "format": if format == Format::Wav { Format::Pcm } else { format },
        },
    });
    let Started { sample_rate } = link.ask("voice.tts_stream.start", &start).await?;
    let is_stdout = path == Path::new("-");
    let (mut sound, mut chunks) = (Vec::new(), 0);
    loop {
        let Some(news) = inbox.recv().await else {
            return Err(CallError::Ended(link.ended().await).into());
        };
        let Some(chunk) = chunk(&news, &mut chunks)? else { continue };
        sound.extend(chunk.bytes);
        // What needs no header is heard while it is made.
        if is_stdout && format != Format::Wav {
            print(&std::mem::take(&mut sound))?;
        }
        if chunk.is_final {
            break;
        }
    }
    let duration_ms = (sound.len() / 2) as u64 * 1000 / u64::from(sample_rate.max(1));
    if format == Format::Wav {
        sound = wav(&sound, sample_rate).map_err(Exit::failed)?;
    }
    if is_stdout {
        return print(&sound);
    }
    wanted.write(&path, &sound)?;
    let duration_ms = (format != Format::Mp3).then_some(duration_ms);
    if output.is_json() {
        let (path, bytes) = (&*path, sound.len());
        return output.document(&Written { path, format, sample_rate, bytes, duration_ms });
    }
    let length = duration_ms.map(|ms| format!("{:.1} s of ", ms as f64 / 1000.0));
    output.line(format_args!("{}: {}speech", path.display(), length.unwrap_or_default()))
}

/// A piece of the speech.
#[derive(Debug, PartialEq)]
struct Chunk {
    bytes: Vec<u8>,
    is_final: bool,
}

/// The chunk that the daemon tells of, if it is one; `chunks` counts them.
fn chunk(news: &Incoming, chunks: &mut u64) -> Result<Option<Chunk>, Exit> {
    let Incoming::Notice(notice) = news else { return Ok(None) };
    if notice.method != "voice.event" || notice.params["session_id"] != ID {
        return Ok(None);
    }
    let event = &notice.params["event"];
    let text = |member: &str| event[member].as_str().unwrap_or_default();
    match text("type") {
        "tts_error" => Err(Exit::new(Code::Answered, text("message"))),
        "tts_chunk" if event["seq"] == json!(*chunks) => {
            *chunks += 1;
            let bytes = STANDARD.decode(text("audio_b64")).map_err(Exit::failed)?;
            Ok(Some(Chunk { bytes, is_final: event["is_final"] == Value::Bool(true) }))
        }
        "tts_chunk" => Err(Exit::failed("a piece of the speech was lost on its way")),
        _ => Ok(None),
    }
}

fn print(bytes: &[u8]) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| unwritten(&error))
}

/// 16-bit samples under one header.
fn wav(pcm: &[u8], sample_rate: u32) -> Result<Vec<u8>, hound::Error> {
    let mut file = io::Cursor::new(Vec::with_capacity(44 + pcm.len()));
    let spec =
        WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut writer = WavWriter::new(&mut file, spec)?;
    for sample in pcm.as_chunks().0 {
        writer.write_sample(i16::from_le_bytes(*sample))?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::link::Notice;

    fn say(output: Option<&str>, format: Option<Format>) -> Say {
        Say {
            text: "x".into(),
            output: output.map(PathBuf::from),
            format,
            voice: None,
            speed: 1.0,
            language: None,
            provider: None,
        }
    }

    #[test]
    fn a_file_is_what_its_name_says() {
        let format = |output, format| say(output, format).format().ok();
        assert_eq!(format(None, None), Some(Format::Wav));
        assert_eq!(format(Some("a.MP3"), None), Some(Format::Mp3));
        assert_eq!(format(Some("a.pcm"), None), Some(Format::Pcm));
        assert_eq!(format(Some("a.mp3"), Some(Format::Wav)), Some(Format::Wav));
        assert_eq!(format(Some("a"), None), Some(Format::Wav));
        assert_eq!(format(Some("-"), None), Some(Format::Wav));
        assert_eq!(format(Some("a.ogg"), None), None);
        assert_eq!(say(None, Some(Format::Pcm)).place().unwrap(), Path::new("speech.pcm"));
    }

    #[test]
    fn only_a_file_that_was_named_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("speech.wav");
        say(None, None).write(&path, b"one").unwrap();
        assert!(say(None, None).write(&path, b"two").unwrap_err().message.contains("`-o`"));
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        say(path.to_str(), None).write(&path, b"2").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
    }

    #[test]
    fn chunks_come_one_after_the_other() {
        let news = |event: Value| {
            let params = json!({ "session_id": ID, "event": event });
            Incoming::Notice(Notice { method: "voice.event".into(), params })
        };
        let sound = |seq: u64, is_final: bool| {
            news(
                json!({ "type": "tts_chunk", "seq": seq, "audio_b64": "AQI=", "is_final": is_final }),
            )
        };
        let mut chunks = 0;
        assert_eq!(chunk(&news(json!({ "type": "tts_started" })), &mut chunks).unwrap(), None);
        for (seq, is_final) in [(0, false), (1, true)] {
            let told = chunk(&sound(seq, is_final), &mut chunks).unwrap();
            assert_eq!(told, Some(Chunk { bytes: vec![1, 2], is_final }));
        }
        assert!(chunk(&sound(3, true), &mut chunks).is_err(), "one is missing");
        let broken = news(json!({ "type": "tts_error", "message": "no key" }));
        assert_eq!(chunk(&broken, &mut chunks).unwrap_err().message, "no key");
    }

    #[test]
    fn one_header_stands_before_all_samples() {
        let file = wav(&[1, 0, 255, 255], 24_000).unwrap();
        let mut reader = hound::WavReader::new(io::Cursor::new(file)).unwrap();
        assert_eq!(reader.spec().sample_rate, 24_000);
        assert_eq!(reader.samples().map(Result::unwrap).collect::<Vec<i16>>(), [1, -1]);
    }
}
