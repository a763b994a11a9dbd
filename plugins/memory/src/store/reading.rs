//! A graph read from its file, or from what another daemon left. Blocks on the disk.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::Path,
};

use carport_core::{Result, RpcError, Time};
use carport_memory_graph::{Graph, Limits, Line, Unreadable};

use super::{
    aside::{self, Damage},
    failed,
};
use crate::exports;

/// A graph, and what of its file it is made of.
pub(super) struct Read {
    pub(super) graph: Graph,
    /// Bytes of whole lines.
    pub(super) length: u64,
    pub(super) lines: usize,
    pub(super) damage: Damage,
}

/// Reads a graph. One without a file is empty. A torn last line is left out and logged; other lines that
/// do not read are left out, logged and told, and the good ones make the graph.
///
/// # Errors
/// The file cannot be read, or is of a later version; the message names file and line.
pub(super) fn read(path: &Path, limits: Limits) -> Result<Option<Read>> {
    let file = match aside::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut reader = BufReader::new(file);
    let mut read =
        Read { graph: Graph::new(limits), length: 0, lines: 0, damage: Damage::default() };
    let mut text = Vec::new();
    while reader.read_until(b'\n', &mut text).map_err(failed)? > 0 {
        let Some(line) = text.strip_suffix(b"\n") else {
            tracing::warn!(file = %path.display(), bytes = text.len(), "a torn last line was cut off");
            break;
        };
        let at = read.length..read.length + text.len() as u64;
        (read.length, read.lines) = (at.end, read.lines + 1);
        match Line::decode(line) {
            Ok(line) => read.graph.apply(line),
            // What a later build wrote is no damage: going on would leave out what that build knows.
            Err(why @ Unreadable::Version(_)) => {
                let at = format!("{}:{}", path.display(), read.lines);
                return Err(RpcError::internal(format!(
                    "{at}: {why}; use that build, or move the file"
                )));
            }
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(why) => read.damage.found(path, read.lines, at, &why.to_string()),
        }
        text.clear();
    }
    if read.damage.lines() > 0 {
        tracing::error!(file = %path.display(), lines = read.damage.lines(), "a graph was loaded without the lines that do not read");
    }
    Ok(Some(read))
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
