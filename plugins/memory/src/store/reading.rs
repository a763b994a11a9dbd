//! A graph read from its file, or from what another daemon left. Blocks on the disk.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead, BufReader},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use carport_core::{Result, RpcError, Time};
use carport_memory_graph::{Graph, Limits, Line};

use super::failed;
use crate::exports;

/// A graph, and how many bytes and lines of its file it is made of.
pub(super) struct Read {
    pub(super) graph: Graph,
    pub(super) whole: (u64, usize),
}

/// Reads a graph. One without a file is empty. A torn last line is left out and logged.
///
/// # Errors
/// The file cannot be read, or another line of it is none; the message names file and line.
pub(super) fn read(path: &Path, limits: Limits) -> Result<Option<Read>> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK);
    let file = OpenOptions::new().read(true).custom_flags(no_follow.bits() as i32).open(path);
    let file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::new(file);
    let (mut graph, mut bytes, mut lines) = (Graph::new(limits), 0, 0);
    let mut text = Vec::new();
    while reader.read_until(b'\n', &mut text).map_err(failed)? > 0 {
        let Some(line) = text.strip_suffix(b"\n") else {
            tracing::warn!(file = %path.display(), bytes = text.len(), "a torn last line was cut off");
            break;
        };
        let line = Line::decode(line).map_err(|why| {
            let at = format!("{}:{}", path.display(), lines + 1);
            RpcError::internal(format!("{at}: {why}; mend or move the file and try again"))
        })?;
        graph.apply(line);
        bytes += text.len() as u64;
        lines += 1;
        text.clear();
    }
    Ok(Some(Read { graph, whole: (bytes, lines) }))
}

/// The facts that a daemon of the CAR family left beside a graph's file that is not there yet.
///
/// # Errors
/// They cannot be read.
pub(super) fn import(path: &Path, limits: Limits, now: Time) -> Result<Option<Graph>> {
    let path = path.with_extension("json");
    match fs::symlink_metadata(&path) {
        Ok(found) if found.is_file() => {}
        _ => return Ok(None),
    }
    let text = fs::read(&path).map_err(failed)?;
    let facts = exports::read(&text, now).map_err(|error| {
        RpcError::internal(format!("{}: {}; mend or move it", path.display(), error.message))
    })?;
    tracing::info!(file = %path.display(), facts = facts.len(), "facts of another daemon were imported");
    Ok(Some(Graph::replay(limits, facts.into_iter().map(Line::Add))))
}
