//! The document of a task's receivers.

use std::io;

use super::{MAX_PUSH_CONFIGS, PushEntry, StoreError, backing::Backing};

pub(super) fn read(backing: &impl Backing, id: &str) -> io::Result<Vec<PushEntry>> {
    match backing.read_push(id)? {
        None => Ok(Vec::new()),
        Some(document) => Ok(serde_json::from_slice(&document)?),
    }
}

pub(super) fn write(backing: &impl Backing, id: &str, entries: &[PushEntry]) -> io::Result<()> {
    backing.write_push(id, &serde_json::to_vec(entries)?)
}

/// Adds a receiver, in the place of one of its id.
pub(super) fn put(entries: &mut Vec<PushEntry>, entry: PushEntry) -> Result<(), StoreError> {
    match entries.iter().position(|it| it.config.id == entry.config.id) {
        Some(known) => entries[known] = entry,
        None if entries.len() >= MAX_PUSH_CONFIGS => return Err(StoreError::ManyPushConfigs),
        None => entries.push(entry),
    }
    Ok(())
}
