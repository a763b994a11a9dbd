//! Services that announce themselves by a file each; no process keeps the list.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use carport_core::{
    Result, RpcError, bounds, decode_name, encode_name, make_private_dir, resolve_under,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::files;

/// How many services one directory holds, and how large the file of one may be.
const MAX_ENTRIES: usize = 1024;
const MAX_FILE: u64 = 64 * 1024;

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
    #[serde(default)]
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
    #[serde(default)]
    pub registered_at: i64,
    /// When it last said that it is there, in Unix seconds; 0 is now.
    #[serde(default)]
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
        let web = ["http://", "https://"].iter().any(|it| self.dashboard_url.starts_with(it));
        match web {
            false => Err(RpcError::invalid_params("entry.dashboard_url", "must be http or https")),
            true => bounds::encoded("entry", self, MAX_FILE as usize),
        }
    }
}

/// One directory of entries. Every call works on the files as they are.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// `base` itself, or the directory `path` below it.
    pub(crate) fn under(base: &Path, path: Option<&str>) -> Result<Self> {
        make_private_dir(base).map_err(RpcError::internal)?;
        let Some(path) = path else { return Ok(Self(base.to_owned())) };
        let directory = resolve_under(base, "registry_path", path)?;
        make_private_dir(&directory).map_err(|error| {
            RpcError::invalid_params("registry_path", format!("is no directory: {error}"))
        })?;
        Ok(Self(directory))
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        Ok(self.0.join(format!("{}.json", encode_name("name", name)?)))
    }

    /// Writes an entry; a reader sees the old one or the new one.
    pub(crate) fn register(&self, mut entry: Entry, now: i64) -> Result<()> {
        let path = self.path(&entry.name)?;
        if !path.exists() && self.read().map_err(RpcError::internal)?.len() >= MAX_ENTRIES {
            return Err(RpcError::limit("registry entries", MAX_ENTRIES as u64));
        }
        for time in [&mut entry.registered_at, &mut entry.last_heartbeat_at] {
            *time = if *time == 0 { now } else { *time };
        }
        write(&path, &entry)
    }

    /// Notes that a service is there; `false` if it has no entry that can be read.
    pub(crate) fn heartbeat(&self, name: &str, now: i64) -> Result<bool> {
        let path = self.path(name)?;
        let Some(mut entry) = load(&path, name) else { return Ok(false) };
        entry.last_heartbeat_at = now;
        write(&path, &entry).map(|()| true)
    }

    /// Removes an entry, if there is one.
    pub(crate) fn unregister(&self, name: &str) -> Result<()> {
        files::remove(&self.path(name)?).map(drop).map_err(RpcError::internal)
    }

    /// Entries by name; files that are none are passed over.
    pub(crate) fn list(&self) -> Result<Vec<Entry>> {
        Ok(self.read().map_err(RpcError::internal)?.into_values().collect())
    }

    /// Removes entries without a heartbeat for longer than `max_age` seconds; their names, sorted.
    pub(crate) fn reap(&self, max_age: i64, now: i64) -> Result<Vec<String>> {
        let entries = self.read().map_err(RpcError::internal)?;
        let stale = entries.into_iter().filter(|(_, it)| now - it.last_heartbeat_at > max_age);
        let names = stale.map(|(name, _)| self.unregister(&name).map(|()| name));
        names.collect()
    }

    fn read(&self) -> io::Result<BTreeMap<String, Entry>> {
        let mut entries = BTreeMap::new();
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let stem = path.file_name().and_then(|it| it.to_str()?.strip_suffix(".json"));
            let Some(name) = stem.and_then(decode_name) else { continue };
            if let Some(entry) = load(&path, &name) {
                entries.insert(name, entry);
            }
        }
        Ok(entries)
    }
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

fn write(path: &Path, entry: &Entry) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(entry).map_err(RpcError::internal)?;
    files::replace(path, &bytes).map_err(RpcError::internal)
}
