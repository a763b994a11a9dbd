//! Journals of ended connections: which of them go, and that none goes that is open.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_core::{Guarded, Time, decode_name};
use chrono::{DateTime, TimeDelta, Utc};

/// What journals may take. An absent bound does not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// How long a journal is kept after its last event.
    pub max_age: Option<TimeDelta>,
    /// Bytes of all journals, those of open connections among them.
    pub max_bytes: Option<u64>,
}

/// The encoded names of journals that are open or being removed.
pub(crate) type Claims = Arc<Guarded<HashSet<String>>>;

/// The right to a journal's file, for one at a time.
pub(crate) struct Claim {
    name: String,
    claims: Claims,
}

impl Claim {
    /// `None` if somebody else has it.
    pub(crate) fn take(claims: &Claims, name: &str) -> Option<Self> {
        let free = claims.lock().insert(name.to_owned());
        free.then(|| Self { name: name.to_owned(), claims: claims.clone() })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.name);
    }
}

/// A file in the directory of journals.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    name: String,
    path: PathBuf,
    bytes: u64,
    modified: Time,
    /// Left of a rewrite that a crash interrupted, or under way.
    half: bool,
}

/// Removes files of ended connections that are beyond `keep`. Returns how many went. Blocks on the disk.
pub(crate) fn retire(
    directory: &Path,
    claims: &Claims,
    keep: Keep,
    now: Time,
) -> io::Result<usize> {
    let found = scan(directory)?;
    let open = claims.lock().clone();
    let mut removed = 0;
    for file in expired(found, &open, keep, now) {
        let Some(_claim) = Claim::take(claims, &file.name) else { continue };
        match fs::remove_file(&file.path) {
            Ok(()) => removed += 1,
            Err(error) => {
                tracing::warn!(%error, file = %file.path.display(), "a journal could not be removed");
            }
        }
    }
    Ok(removed)
}

/// The files that go: what is left of rewrites, what is too old, and the oldest of what is too much.
fn expired(mut files: Vec<Found>, open: &HashSet<String>, keep: Keep, now: Time) -> Vec<Found> {
    files.sort_by(|a, b| (a.modified, &a.name).cmp(&(b.modified, &b.name)));
    let oldest = keep.max_age.and_then(|age| now.checked_sub_signed(age));
    let total = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.bytes));
    let mut over = keep.max_bytes.map_or(0, |most| total.saturating_sub(most));
    let goes = |file: &Found| {
        let old = oldest.is_some_and(|oldest| *file.modified < oldest);
        let goes = !open.contains(&file.name) && (file.half || old || over > 0);
        if goes {
            over = over.saturating_sub(file.bytes);
        }
        goes
    };
    files.into_iter().filter(goes).collect()
}

/// The journals in the directory. What is none, and links, are left alone.
fn scan(directory: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let half = name.strip_suffix(".half");
        let Some(encoded) = half.unwrap_or(&name).strip_suffix(".jsonl") else { continue };
        // Of a link, the metadata are its own.
        let metadata = match entry.metadata() {
            Ok(metadata) if metadata.is_file() && decode_name(encoded).is_some() => metadata,
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        found.push(Found {
            name: encoded.to_owned(),
            path: entry.path(),
            bytes: metadata.len(),
            modified: DateTime::<Utc>::from(metadata.modified()?).into(),
            half: half.is_some(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
