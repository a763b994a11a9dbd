//! Facts written to files for other graphs, and read from them. What touches files blocks on the disk.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use atomic_write_file::AtomicWriteFile;
use carport_core::{Result, RpcError, Time, codes, make_private_dir, resolve_under};
use carport_memory_api::Mint;
use carport_memory_graph::{Fact, Record};
use serde::Deserialize;
use uuid::Uuid;

/// Bytes of a file that is loaded.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Facts of a file that is loaded.
const MOST_FACTS: usize = 100_000;

/// An id for a fact that came without one.
pub(crate) fn mint(by: Mint) -> String {
    let prefix = match by {
        Mint::Ws => "ws",
        Mint::Mcp => "mcp",
    };
    format!("{prefix}-{}", Uuid::now_v7())
}

/// A client's path under the base.
fn resolve(base: &Path, path: &str) -> Result<PathBuf> {
    make_private_dir(base).map_err(failed)?;
    resolve_under(base, "path", path).map_err(|error| {
        RpcError::invalid_params("path", format!("rejected path: {}", error.message))
    })
}

/// Writes facts as a JSON array, or leaves what was there alone.
///
/// # Errors
/// The path leads out of the base, or the disk fails.
pub(crate) fn write(base: &Path, path: &str, facts: &[Arc<Fact>]) -> Result<()> {
    let path = resolve(base, path)?;
    if path.is_dir() {
        return Err(RpcError::invalid_params("path", "rejected path: is a directory"));
    }
    if let Some(directory) = path.parent() {
        make_private_dir(directory).map_err(failed)?;
    }
    let write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(&path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        serde_json::to_writer(io::BufWriter::new(&mut file), facts)?;
        file.flush()?;
        file.commit()
    };
    write().map_err(failed)
}

/// Reads facts from a file.
///
/// # Errors
/// The path leads out of the base, there is no such file, it is too large, or something in it is wrong.
pub(crate) fn load(base: &Path, path: &str, now: Time) -> Result<Vec<Arc<Fact>>> {
    let full = resolve(base, path)?;
    if !full.is_file() {
        return Err(RpcError::not_found(format!("file `{path}`")));
    }
    let mut text = Vec::new();
    let file = File::open(full).map_err(failed)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(RpcError::limit("bytes of a file to load", MOST_BYTES));
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
        return Err(RpcError::limit("facts of a file to load", MOST_FACTS as u64)
            .with("got", records.len()));
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
