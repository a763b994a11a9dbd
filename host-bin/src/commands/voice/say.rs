//! `carport voice say`: a text becomes speech in a file.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    client::link::Link,
    exit::Exit,
    output::{Output, unwritten},
};

/// The text.
#[derive(Debug, clap::Args)]
pub(super) struct Say {
    /// What is said; `-` reads standard input
    text: String,
    /// The file on this side; `-` writes standard output (default: a file of the daemon's, which it
    /// deletes after an hour)
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
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

/// Speech that was made. What is not shown is kept for `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Spoken {
    audio_path: String,
    duration_ms: u64,
    #[serde(default, skip_serializing)]
    audio_b64: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Say {
    /// Reads what is on standard input, for as long as that takes.
    pub(super) fn read(&mut self) -> Result<(), Exit> {
        if self.text == "-" {
            self.text = io::read_to_string(io::stdin())
                .map_err(|error| Exit::failed(format!("standard input: {error}")))?;
        }
        Ok(())
    }

    fn format(&self) -> Format {
        let ending = self.output.as_deref().and_then(Path::extension).and_then(|it| it.to_str());
        let named = ending.and_then(|it| Format::from_str(it, true).ok());
        self.format.or(named).unwrap_or(Format::Wav)
    }
}

pub(super) async fn run(wanted: &Say, link: &Link, output: Output) -> Result<(), Exit> {
    let params = json!({
        "text": wanted.text,
        "format": wanted.format(),
        "voice": wanted.voice,
        "speed": wanted.speed,
        "language": wanted.language,
        "provider": wanted.provider,
    });
    let mut spoken: Spoken = link.ask("synthesize", &params).await?;
    if let Some(file) = &wanted.output {
        let bytes = STANDARD.decode(&spoken.audio_b64).map_err(Exit::failed)?;
        if file == Path::new("-") {
            let mut out = io::stdout().lock();
            let written = out.write_all(&bytes).and_then(|()| out.flush());
            return written.map_err(|error| unwritten(&error));
        }
        std::fs::write(file, bytes)
            .map_err(|error| Exit::failed(format!("{}: {error}", file.display())))?;
        spoken.audio_path = file.display().to_string();
    }
    match output.is_json() {
        true => output.document(&spoken),
        false => {
            let seconds = spoken.duration_ms as f64 / 1000.0;
            output.line(format_args!("{}: {seconds:.1} s of speech", spoken.audio_path))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_its_name_says() {
        let say = |output: Option<&str>, format| Say {
            text: "x".into(),
            output: output.map(PathBuf::from),
            format,
            voice: None,
            speed: 1.0,
            language: None,
            provider: None,
        };
        assert_eq!(say(None, None).format(), Format::Wav);
        assert_eq!(say(Some("a.MP3"), None).format(), Format::Mp3);
        assert_eq!(say(Some("a.pcm"), None).format(), Format::Pcm);
        assert_eq!(say(Some("a.mp3"), Some(Format::Wav)).format(), Format::Wav);
        assert_eq!(say(Some("a"), None).format(), Format::Wav);
    }
}
