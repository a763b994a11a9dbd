//! `carport memory export` and `import`: facts handed on in files of whoever asks.
//!
//! The daemon reads and writes files under `memory/exports` of its state root alone. A file anywhere
//! else goes by way of one there, which is gone when the command ends.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;
use carport_core::make_private_dir;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{
    client::{locate::Located, memory::Facts},
    exit::Exit,
    output::{Output, Tone, count, one_line},
};

/// Bytes that a daemon reads.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The file, written whole or not at all; `-` is standard output
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Where from.
#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// The file: an array of facts, an object with an array `facts`, or one fact a line; `-` reads
    /// standard input
    file: PathBuf,
    /// Replace the facts that are there without asking
    #[arg(long)]
    replace: bool,
}

/// A file under the exports of the daemon, gone with this.
struct Between {
    file: NamedTempFile,
    /// What the daemon calls it.
    name: String,
}

impl Between {
    fn new(located: &Located) -> Result<Self, Exit> {
        let Some(root) = &located.root else {
            return Err(Exit::usage(format!(
                "{}: that is not the daemon of this state root, so there is no directory to hand a \
                 file over in; name its own with --state-root",
                located.address
            )));
        };
        let exports = root.path().join("memory/exports");
        let made = make_private_dir(&exports)
            .and_then(|()| tempfile::Builder::new().prefix("cli-").tempfile_in(&exports));
        let file = made.map_err(|error| failed(&exports, &error))?;
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { file, name })
    }
}

fn failed(path: &Path, error: &io::Error) -> Exit {
    Exit::failed(format!("{}: {error}", path.display()))
}

fn is_stream(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(super) async fn export(
    wanted: &Export,
    facts: &Facts<'_>,
    located: &Located,
    output: Output,
) -> Result<(), Exit> {
    let between = Between::new(located)?;
    let number = facts.persist(&between.name).await?;
    let written = between.file.path();
    let mut text = fs::read_to_string(written).map_err(|error| failed(written, &error))?;
    text.push('\n');
    if is_stream(&wanted.file) {
        return output.text(&text);
    }
    let write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(&wanted.file)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    };
    write().map_err(|error| failed(&wanted.file, &error))?;
    match output.is_json() {
        true => output.document(&json!({ "file": wanted.file, "facts": number })),
        false => output.line(format_args!(
            "{}: {}",
            one_line(&wanted.file.display().to_string()),
            count(number, "fact")
        )),
    }
}

impl Import {
    /// Reads the facts, for as long as that takes.
    pub(super) fn read(&self) -> Result<Vec<u8>, Exit> {
        let mut text = Vec::new();
        let from: io::Result<Box<dyn Read>> = match is_stream(&self.file) {
            true => Ok(Box::new(io::stdin())),
            false => fs::File::open(&self.file).map(|file| Box::new(file) as _),
        };
        // The daemon says what is wrong with more.
        let read = from.and_then(|from| from.take(MOST_BYTES + 1).read_to_end(&mut text));
        let shown = if is_stream(&self.file) { Path::new("standard input") } else { &self.file };
        read.map_err(|error| failed(shown, &error))?;
        Ok(text)
    }

    /// Refuses to replace facts that nobody said should be.
    fn may_replace(&self, there: usize, whose: &str, output: Output) -> Result<(), Exit> {
        if there == 0 || self.replace {
            return Ok(());
        }
        let what = format!("{} of {whose} would be replaced", count(there, "fact"));
        let remedy = "`carport memory export` keeps them in a file";
        let person = io::stdin().is_terminal() && io::stderr().is_terminal();
        if output.is_json() || !person || is_stream(&self.file) {
            return Err(Exit::usage(format!("{what}: add --replace to do that; {remedy}")));
        }
        output.note(format_args!("{}; {remedy}", one_line(&what)));
        output.note(Tone::Warn.paint("replace them? [y/N]"));
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        match read.is_ok() && matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            true => Ok(()),
            false => Err(Exit::failed("nothing was changed")),
        }
    }
}

pub(super) async fn import(
    wanted: &Import,
    text: &[u8],
    facts: &Facts<'_>,
    located: &Located,
    output: Output,
) -> Result<(), Exit> {
    let mut between = Between::new(located)?;
    let (there, whose) = replaced(facts).await?;
    wanted.may_replace(there, &whose, output)?;
    let written = between.file.write_all(text).and_then(|()| between.file.flush());
    written.map_err(|error| failed(between.file.path(), &error))?;
    let number = facts.load(&between.name).await?;
    match output.is_json() {
        true => output.document(&json!({ "facts": number, "replaced": there })),
        false => {
            let instead =
                if there > 0 { format!(", in the place of {there}") } else { String::new() };
            let whose = one_line(&whose);
            output.line(format_args!("{} in {whose}{instead}", count(number, "fact")))
        }
    }
}

/// How many facts a file would take the place of, and whose they are.
async fn replaced(facts: &Facts<'_>) -> Result<(usize, String), Exit> {
    let everybodys = Facts { tenant: None, ..*facts }.stats().await?;
    Ok(match facts.tenant {
        None => (everybodys.facts_in_all as usize, everybodys.whose()),
        Some(tenant) => {
            let seen = facts.stats().await?.fact_count;
            let own = seen.saturating_sub(everybodys.fact_count);
            (own as usize, format!("tenant {tenant} in {}", everybodys.whose()))
        }
    })
}
