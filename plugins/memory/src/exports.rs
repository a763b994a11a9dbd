//! Facts written to files for other graphs, and read from them. What touches files blocks on the disk.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use carport_core::{Result, RpcError, Time, codes, make_private_dir, resolve_under};
use carport_memory_api::Mint;
use carport_memory_graph::{Fact, Record};
use rustix::{
    fs::{Mode, OFlags, mkdirat, openat},
    io::Errno,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::whole;

/// Bytes of a file that is loaded.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Facts of a file that is loaded.
const MOST_FACTS: usize = 100_000;
/// Bytes of one name in a path: what file systems take.
const MOST_NAME: usize = 255;
/// How a directory, or a file, is opened: never through a link.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// An id for a fact that came without one.
pub(crate) fn mint(by: Mint) -> String {
    let prefix = match by {
        Mint::Ws => "ws",
        Mint::Mcp => "mcp",
    };
    format!("{prefix}-{}", Uuid::now_v7())
}

/// The bounds of a client's path: none of its names is too long for a file.
pub(crate) fn check_names(path: &str) -> Result<()> {
    match path.split('/').map(str::len).find(|length| *length > MOST_NAME) {
        None => Ok(()),
        Some(got) => {
            let why = format!("a name in it has {got} bytes, the limit is {MOST_NAME}; shorten it");
            Err(rejected(why).with("limit", MOST_NAME).with("got", got))
        }
    }
}

fn rejected(why: impl std::fmt::Display) -> RpcError {
    RpcError::invalid_params("path", format!("rejected path: {why}"))
}

/// A client's path under the base, which is made, and the base.
fn resolve(base: &Path, path: &str) -> Result<(PathBuf, PathBuf)> {
    make_private_dir(base).map_err(failed)?;
    let full = resolve_under(base, "path", path).map_err(|error| rejected(error.message))?;
    match Path::new(path).components().any(|it| matches!(it, Component::Normal(_))) {
        true => Ok((base.canonicalize().map_err(failed)?, full)),
        false => Err(rejected("names no file")),
    }
}

/// Opens the directory of a resolved path name by name, through no link: what was judged when the path
/// was resolved may have been swapped for one since. With `makes`, directories that are not there are made.
fn open_directory(base: &Path, directory: &Path, makes: bool) -> Result<File> {
    let relative =
        directory.strip_prefix(base).map_err(|_| rejected("leads out of its directory"))?;
    let step = |above: File, name: Component<'_>| -> rustix::io::Result<File> {
        if makes {
            match mkdirat(&above, name.as_os_str(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(openat(&above, name.as_os_str(), FLAGS | OFlags::DIRECTORY, Mode::empty())?.into())
    };
    let base = File::open(base).map_err(failed)?;
    relative.components().try_fold(base, step).map_err(|error| match error {
        Errno::LOOP | Errno::NOTDIR => rejected("leads over something that is no directory"),
        error => failed(error.into()),
    })
}

/// Writes facts as a JSON array, or leaves what was there alone.
///
/// # Errors
/// The path leads out of the base or names no file, or the disk fails.
pub(crate) fn write(base: &Path, path: &str, facts: &[Arc<Fact>]) -> Result<()> {
    let (base, full) = resolve(base, path)?;
    if full.is_dir() {
        return Err(rejected("is a directory"));
    }
    let (Some(above), Some(name)) = (full.parent(), full.file_name()) else {
        return Err(rejected("names no file"));
    };
    let directory = open_directory(&base, &real(above)?, true)?;
    // A name of its own, for two may write to the same file.
    let half = OsString::from(format!(".{}.half", Uuid::new_v4()));
    let write = |file: &mut io::BufWriter<File>| Ok(serde_json::to_writer(file, facts)?);
    whole::put(&directory, name, &half, write).map(drop).map_err(failed)
}

/// A path with the links resolved in what there is of it.
fn real(path: &Path) -> Result<PathBuf> {
    let there = path.ancestors().find(|it| it.symlink_metadata().is_ok()).unwrap_or(path);
    let missing = path.strip_prefix(there).unwrap_or(Path::new(""));
    Ok(there.canonicalize().map_err(failed)?.join(missing))
}

/// Reads facts from a file.
///
/// # Errors
/// The path leads out of the base, there is no such file, it is too large, or something in it is wrong.
pub(crate) fn load(base: &Path, path: &str, now: Time) -> Result<Vec<Arc<Fact>>> {
    let (base, full) = resolve(base, path)?;
    let missing = || RpcError::not_found(format!("file `{path}` under memory/exports"));
    let real = full.canonicalize().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing(),
        _ => failed(error),
    })?;
    let (Some(above), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(rejected("names no file"));
    };
    let directory = open_directory(&base, above, false)?;
    // A pipe is not waited for.
    let file = openat(&directory, name, FLAGS | OFlags::NONBLOCK, Mode::empty());
    let file: File = file.map(File::from).map_err(|error| match error {
        Errno::NOENT => missing(),
        Errno::LOOP => rejected("leads out of its directory"),
        error => failed(error.into()),
    })?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(rejected("is no file"));
    }
    let mut text = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        let what = "bytes of a file to load (split it, or load what matters)";
        return Err(RpcError::limit(what, MOST_BYTES).with("field", "path"));
    }
    read(&text, now)
}

/// The facts in a text: an array of them, an object with a member `facts`, or one fact a line.
///
/// # Errors
/// The first fact that does not read or is out of its bounds, by its number from 0.
pub(crate) fn read(text: &[u8], now: Time) -> Result<Vec<Arc<Fact>>> {
    #[derive(Deserialize)]
    struct Whole {
        facts: Vec<Record>,
    }
    let invalid = |field: &str, error: serde_json::Error| {
        RpcError::invalid_params(field, error).with("reason", "content")
    };
    let start = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let records: Vec<Record> = match (start, serde_json::from_slice::<Whole>(text)) {
        (None, _) => Vec::new(),
        (Some(b'['), _) => serde_json::from_slice(text).map_err(|error| invalid("facts", error))?,
        (_, Ok(whole)) => whole.facts,
        (_, Err(_)) => {
            let lines =
                text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            let record = |(at, line)| {
                serde_json::from_slice(line)
                    .map_err(|error| invalid(&format!("facts[{at}]"), error))
            };
            lines.enumerate().map(record).collect::<Result<_>>()?
        }
    };
    if records.len() > MOST_FACTS {
        let what = "facts of a file to load (split it, or load what matters)";
        let error = RpcError::limit(what, MOST_FACTS as u64).with("field", "path");
        return Err(error.with("got", records.len()));
    }
    let fact = |(at, record): (usize, Record)| {
        record.into_fact(&format!("facts[{at}]"), now, || mint(Mint::Ws))
    };
    records.into_iter().enumerate().map(fact).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn failed(error: io::Error) -> RpcError {
    tracing::error!(%error, "an export failed");
    RpcError::new(codes::INTERNAL, format!("the file could not be used: {}", error.kind()))
        .with("retryable", true)
}
