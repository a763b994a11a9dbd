//! Services that announce themselves by a file each; no process keeps the list.

mod places;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use carport_core::{Result, RpcError, bounds, decode_name, encode_name, make_private_dir};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use places::Places;

use self::places::refused;
use crate::{files, methods::default_if_null};

/// How many services one directory holds, and how large the file of one and all files may be, in
/// bytes: the list of them has to fit a reply.
const MAX_ENTRIES: usize = 1024;
const MAX_FILE: u64 = 64 * 1024;
const MAX_ALL: u64 = 6 << 20;
/// How many directories of their own services may have.
const MAX_DIRECTORIES: usize = 256;
/// The largest whole number that every JSON reader keeps.
const MAX_TIME: i64 = (1 << 53) - 1;

/// What a service is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStatus {
    /// Working.
    #[default]
    Running,
    /// Waiting for work.
    Idle,
    /// Failed.
    Errored,
    /// About to end.
    Stopping,
}

/// A service that announces itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its name, formed as an agent's id.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// Where people find it: http or https, at most 2048 bytes.
    #[schemars(length(min = 1, max = 2048))]
    pub dashboard_url: String,
    /// What it is doing.
    #[serde(default, deserialize_with = "default_if_null")]
    pub status: ServiceStatus,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// Where it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When it came, in Unix seconds; 0 is now.
    #[serde(default, deserialize_with = "default_if_null")]
    #[schemars(range(min = 0, max = 9007199254740991_i64))]
    pub registered_at: i64,
    /// When it last said that it is there, in Unix seconds; 0 is now.
    #[serde(default, deserialize_with = "default_if_null")]
    #[schemars(range(min = 0, max = 9007199254740991_i64))]
    pub last_heartbeat_at: i64,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Entry {
    /// Checks the bounds of its members.
    pub(crate) fn validate(&self) -> Result<()> {
        carport_agents_process::agent_id("entry.name", &self.name)?;
        bounds::bytes("entry.dashboard_url", &self.dashboard_url, 1..=2048)?;
        bounds::within("entry.registered_at", self.registered_at, 0..=MAX_TIME)?;
        bounds::within("entry.last_heartbeat_at", self.last_heartbeat_at, 0..=MAX_TIME)?;
        let web = ["http://", "https://"].iter().any(|it| self.dashboard_url.starts_with(it));
        match web {
            false => Err(RpcError::invalid_params("entry.dashboard_url", "must be http or https")),
            true => bounds::encoded("entry", self, MAX_FILE as usize),
        }
    }
}

/// One directory of entries. Every call works on the files as they are.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    path: PathBuf,
    /// The usual directory, if this is one below it: the number of these is bounded.
    below: Option<PathBuf>,
}

impl Directory {
    /// Makes the directory, if the registry has room for one more.
    fn make(&self) -> Result<()> {
        if self.path.is_dir() {
            return Ok(());
        }
        if let Some(base) = &self.below {
            let missing = self.path.ancestors().take_while(|it| !it.is_dir()).count();
            let got = directories(base).map_err(RpcError::internal)? + missing;
            if got > MAX_DIRECTORIES {
                let error = RpcError::limit("directories of the registry", MAX_DIRECTORIES as u64);
                return Err(error.with("got", got));
            }
        }
        make_private_dir(&self.path).map_err(|error| refused(format!("is no directory: {error}")))
    }

    /// Whether every `*.json` in it is an entry, so that no other file can be overwritten. One that
    /// does not exist holds nothing.
    fn holds_entries_alone(&self) -> io::Result<bool> {
        let files = match fs::read_dir(&self.path) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        for file in files {
            let path = file?.path();
            let Some(stem) = path.file_name().and_then(|it| it.as_bytes().strip_suffix(b".json"))
            else {
                continue;
            };
            let name = str::from_utf8(stem).ok().and_then(decode_name);
            if name.is_none_or(|name| load(&path, &name).is_none()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn file(&self, name: &str) -> Result<PathBuf> {
        Ok(self.path.join(format!("{}.json", encode_name("name", name)?)))
    }

    /// Writes an entry; a reader sees the old one or the new one.
    pub(crate) fn register(&self, mut entry: Entry, now: i64) -> Result<()> {
        let path = self.file(&entry.name)?;
        for time in [&mut entry.registered_at, &mut entry.last_heartbeat_at] {
            // Nothing happened in the future: such an entry would never be reaped.
            *time = if *time == 0 { now } else { (*time).min(now) };
        }
        let bytes = encoded(&entry)?;
        self.make()?;
        let mut others = self.files().map_err(RpcError::internal)?;
        others.remove(&entry.name);
        let count = others.len() + 1;
        let size = others.values().map(|(_, size)| size).sum::<u64>() + bytes.len() as u64;
        let full = |what, limit: u64, got: u64| Err(RpcError::limit(what, limit).with("got", got));
        match (count <= MAX_ENTRIES, size <= MAX_ALL) {
            (false, _) => full("registry entries", MAX_ENTRIES as u64, count as u64),
            (_, false) => full("bytes of all registry entries", MAX_ALL, size),
            (true, true) => files::replace(&path, &bytes).map_err(RpcError::internal),
        }
    }

    /// Notes that a service is there; `false` if it has no entry that can be read.
    pub(crate) fn heartbeat(&self, name: &str, now: i64) -> Result<bool> {
        let path = self.file(name)?;
        let Some(mut entry) = load(&path, name) else { return Ok(false) };
        entry.last_heartbeat_at = now;
        files::replace(&path, &encoded(&entry)?).map(|()| true).map_err(RpcError::internal)
    }

    /// Removes an entry, if there is one.
    pub(crate) fn unregister(&self, name: &str) -> Result<()> {
        files::remove(&self.file(name)?).map(drop).map_err(RpcError::internal)
    }

    /// Entries by name; files that are none are passed over, and so are the last ones if strangers to
    /// this daemon wrote more than a reply holds.
    pub(crate) fn list(&self) -> Result<Vec<Entry>> {
        let mut room = MAX_ALL;
        let entries = self.read().map_err(RpcError::internal)?.into_values();
        let fitting = entries.map_while(|(entry, size)| {
            room = room.checked_sub(size)?;
            Some(entry)
        });
        Ok(fitting.collect())
    }

    /// Removes entries without a heartbeat for longer than `max_age` seconds; the names of those that
    /// went, sorted.
    pub(crate) fn reap(&self, max_age: i64, now: i64) -> Result<Vec<String>> {
        let entries = self.read().map_err(RpcError::internal)?.into_iter();
        let silent = |it: &Entry| now.saturating_sub(it.last_heartbeat_at) > max_age;
        let stale = entries.filter(|(_, (entry, _))| silent(entry)).map(|(name, _)| name);
        let went = |name: &String| {
            let removed = self.unregister(name);
            removed.inspect_err(|error| tracing::warn!(name, %error, "a service stays")).is_ok()
        };
        Ok(stale.filter(went).collect())
    }

    /// Entries by name, each with the size of its file.
    fn read(&self) -> io::Result<BTreeMap<String, (Entry, u64)>> {
        let files = self.files()?.into_iter();
        let loaded = files.filter_map(|(name, (path, size))| {
            let entry = load(&path, &name)?;
            Some((name, (entry, size)))
        });
        Ok(loaded.collect())
    }

    /// Files that may be entries, by the names of these, each with its size.
    fn files(&self) -> io::Result<BTreeMap<String, (PathBuf, u64)>> {
        let mut found = BTreeMap::new();
        let files = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            files => files?,
        };
        for file in files {
            let file = file?;
            let path = file.path();
            let stem = path.file_name().and_then(|it| it.to_str()?.strip_suffix(".json"));
            let Some(name) = stem.and_then(decode_name) else { continue };
            // Whatever was removed meanwhile is none.
            let Ok(about) = file.metadata() else { continue };
            if about.is_file() && about.len() <= MAX_FILE {
                found.insert(name, (path, about.len()));
            }
        }
        Ok(found)
    }
}

/// How many directories lie below `base`.
fn directories(base: &Path) -> io::Result<usize> {
    let mut found = 0;
    let mut open = vec![base.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                found += 1;
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The entry in a file, if it is one and bears the file's name.
fn load(path: &Path, name: &str) -> Option<Entry> {
    let found = path.symlink_metadata().ok()?;
    if !found.is_file() || found.len() > MAX_FILE {
        return None;
    }
    let entry: Entry = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (entry.name == name).then_some(entry)
}

/// An entry as its file has it, if a reader will take it.
fn encoded(entry: &Entry) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec_pretty(entry).map_err(RpcError::internal)?;
    let (limit, got) = (MAX_FILE as usize, bytes.len());
    if got > limit {
        let why = format!("must have at most {limit} bytes as a file, has {got}");
        return Err(RpcError::invalid_params("entry", why).with("limit", limit).with("got", got));
    }
    Ok(bytes)
}
