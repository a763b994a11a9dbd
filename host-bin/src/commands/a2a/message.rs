//! The message that a command sends: words, files and data.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use carport_a2a_types::{Content, MAX_PARTS, Message, Part, Role};
use serde_json::Value;
use uuid::Uuid;

use crate::exit::Exit;

/// Bytes of all files of a message: with base64 and the rest a request then has less than 10 MiB.
const MOST_BYTES: u64 = 7 << 20;

/// What is sent.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Parts {
    /// What is said; `-` reads standard input
    text: Option<String>,
    /// Send this file too, or where one is if it is a URL; repeat it for more
    #[arg(long = "file", value_name = "FILE|URL")]
    files: Vec<PathBuf>,
    /// Send this JSON too, or that of a file with `@FILE`; repeat it for more
    #[arg(long, value_name = "JSON|@FILE")]
    data: Vec<String>,
    /// Go on with this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Stay in this conversation
    #[arg(long, value_name = "ID")]
    context: Option<String>,
}

impl Parts {
    /// Whether standard input is read.
    pub(super) fn is_stdin(&self) -> bool {
        self.text.as_deref() == Some("-")
    }

    /// The message, with everything in it that it is to hold.
    pub(super) fn message(&self) -> Result<Message, Exit> {
        let mut parts = Vec::new();
        match self.text.as_deref() {
            Some("-") => {
                let text = io::read_to_string(io::stdin());
                let text =
                    text.map_err(|error| Exit::failed(format!("standard input: {error}")))?;
                parts.push(Part::text(text));
            }
            Some(text) => parts.push(Part::text(text)),
            None => {}
        }
        let mut left = MOST_BYTES;
        for path in &self.files {
            parts.push(file(path, &mut left)?);
        }
        for json in &self.data {
            parts.push(data(json)?);
        }
        if !(1..=MAX_PARTS).contains(&parts.len()) {
            return Err(Exit::usage(format!(
                "a message has 1 to {MAX_PARTS} parts, and this has {}: give a text, `--file` or `--data`",
                parts.len()
            )));
        }
        Ok(Message {
            message_id: Uuid::now_v7().to_string(),
            context_id: self.context.clone(),
            task_id: self.task.clone(),
            role: Role::User,
            parts,
            metadata: None,
            extensions: Vec::new(),
            reference_task_ids: Vec::new(),
        })
    }
}

fn file(path: &Path, left: &mut u64) -> Result<Part, Exit> {
    let media_type = media_type(path).map(str::to_owned);
    if let Some(url) = path.to_str().filter(|it| it.contains("://")) {
        return Ok(Part { media_type, ..Part::of(Content::Url(url.into())) });
    }
    let failed = |why: String| Exit::failed(format!("{}: {why}", path.display()));
    let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    *left = left.checked_sub(size).ok_or_else(|| {
        failed(format!(
            "the files of a message have at most {MOST_BYTES} bytes; give a URL of it instead"
        ))
    })?;
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let filename = path.file_name().map(|it| it.to_string_lossy().into_owned());
    Ok(Part { filename, media_type, ..Part::of(Content::Raw(bytes)) })
}

/// By the end of its name; of others the agent finds out by itself.
fn media_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "txt" => "text/plain",
        "md" => "text/markdown",
        "html" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        _ => return None,
    })
}

fn data(given: &str) -> Result<Part, Exit> {
    let (what, text) = match given.strip_prefix('@') {
        None => ("`--data`", given.to_owned()),
        Some(path) => {
            let text = fs::read_to_string(path);
            (path, text.map_err(|error| Exit::failed(format!("{path}: {error}")))?)
        }
    };
    let data: Value = serde_json::from_str(&text)
        .map_err(|error| Exit::usage(format!("{what} is no JSON: {error}")))?;
    Ok(Part::of(Content::Data(data)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::flags, exit::Code};

    fn parsed(words: &[&str]) -> Result<Message, Exit> {
        flags::<Parts>(words.iter().copied()).unwrap().message()
    }

    #[test]
    fn a_message_holds_words_files_and_data_in_that_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        fs::write(&path, "tck").unwrap();
        let path = path.to_str().unwrap();
        let words =
            ["hello", "--data", "[1]", "--file", path, "--file", "https://a/b.PNG", "--task", "t"];
        let message = parsed(&words).unwrap();
        assert_eq!(
            json!(message.parts),
            json!([
                { "text": "hello" },
                { "raw": "dGNr", "filename": "a.txt", "mediaType": "text/plain" },
                { "url": "https://a/b.PNG", "mediaType": "image/png" },
                { "data": [1] },
            ])
        );
        assert_eq!((message.task_id.as_deref(), message.context_id), (Some("t"), None));
        assert_ne!(message.message_id, parsed(&words).unwrap().message_id);
        let kept = parsed(&["--data", &format!("@{path}")]).unwrap_err();
        assert!(kept.message.contains("a.txt is no JSON"), "{kept}");
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        for (words, code, why) in [
            (&[][..], Code::Usage, "1 to 100 parts"),
            (&["--data", "{"], Code::Usage, "`--data` is no JSON"),
            (&["--file", "/no/such"], Code::Failed, "/no/such: "),
            (&["--data", "@/no/such"], Code::Failed, "/no/such: "),
        ] {
            let exit = parsed(words).unwrap_err();
            assert_eq!(exit.code, code, "{words:?}");
            assert!(exit.message.contains(why), "{exit}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        fs::File::create(&path).unwrap().set_len(MOST_BYTES).unwrap();
        let large = path.to_str().unwrap();
        assert!(parsed(&["--file", large]).is_ok());
        let path = directory.path().join("more");
        fs::write(&path, "x").unwrap();
        let exit = parsed(&["--file", large, "--file", path.to_str().unwrap()]).unwrap_err();
        assert!(exit.message.contains("7340032 bytes"), "{exit}");
    }
}
