//! `carport voice transcribe`: what is said in a file.

use std::{
    fs::File,
    io::{self, Read},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{super::waiting::shown, clock};
use crate::{
    client::link::Link,
    exit::Exit,
    output::{Cell, Output, Table, Tone, one_line},
};

/// A message to the daemon holds no longer file: 16 MiB with base64 and the rest.
const MOST: u64 = 11 << 20;

/// The recording.
#[derive(Debug, clap::Args)]
pub(super) struct Transcribe {
    /// The recording: WAV, MP3, FLAC or Ogg Vorbis; `-` reads standard input
    file: String,
    /// Show when each segment was said
    #[arg(long)]
    timestamps: bool,
    /// The language that is spoken
    #[arg(long, value_name = "LANG")]
    language: Option<String>,
    /// Words that may come up
    #[arg(long, value_name = "WORDS")]
    prompt: Option<String>,
    /// The provider: `carport voice models` lists them (default: local)
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// The provider's model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
}

/// What the daemon heard. What is not shown is kept for `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<Segment>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Segment {
    text: String,
    start_ms: u64,
    end_ms: u64,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Transcribe {
    /// Reads the recording, which lies on this side.
    pub(super) fn read(&self) -> Result<Vec<u8>, Exit> {
        let failed = |error: io::Error| Exit::failed(format!("{}: {error}", self.file));
        let mut sound = Vec::new();
        let read = match self.file.as_str() {
            "-" => io::stdin().lock().take(MOST + 1).read_to_end(&mut sound),
            path => File::open(path).and_then(|it| it.take(MOST + 1).read_to_end(&mut sound)),
        };
        read.map_err(failed)?;
        match sound.len() as u64 > MOST {
            true => Err(Exit::usage(format!(
                "{}: longer than {} MiB; store it as FLAC or Ogg, or use `carport voice listen --from`",
                self.file,
                MOST >> 20
            ))),
            false => Ok(sound),
        }
    }
}

pub(super) async fn run(
    wanted: &Transcribe,
    sound: &[u8],
    link: &Link,
    output: Output,
) -> Result<(), Exit> {
    let params = json!({
        "audio_b64": STANDARD.encode(sound),
        "timestamps": wanted.timestamps,
        "language": wanted.language,
        "prompt": wanted.prompt,
        "provider": wanted.provider,
        "model": wanted.model,
    });
    let what = format!("listening to {}", one_line(&wanted.file));
    let heard: Heard = shown(&what, output, link.ask("transcribe", &params)).await?;
    match (&heard.segments, output.is_json()) {
        (_, true) => output.document(&heard),
        (Some(segments), false) => output.table(&table(segments), "nothing is said"),
        (None, false) => output.text(&format!("{}\n", heard.text)),
    }
}

fn table(segments: &[Segment]) -> Table {
    let mut table = Table::new(["from", "to", "text"]);
    for segment in segments {
        table.row([
            Cell::number(clock(segment.start_ms)).tone(Tone::Faint),
            Cell::number(clock(segment.end_ms)).tone(Tone::Faint),
            Cell::new(&segment.text),
        ]);
    }
    table
}
