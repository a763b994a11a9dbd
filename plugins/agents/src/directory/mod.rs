//! Services that announce themselves by a file each; no process keeps the list.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use carport_core::{
    Result, RpcError, bounds, decode_name, encode_name, make_private_dir, resolve_under,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    config::{Config, ForeignPaths},
    files,
};

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

/// Where services may announce themselves.
#[derive(Debug)]
pub(crate) struct Places {
    base: PathBuf,
    listed: Vec<PathBuf>,
    foreign: ForeignPaths,
}

impl Places {
    /// Directories below `base`, and those that the operator lets in.
    pub(crate) fn new(base: PathBuf, config: &Config) -> Result<Self> {
        let listed: Vec<_> = config.registry_paths.iter().map(PathBuf::from).collect();
        match listed.iter().find(|path| !is_plain(path)) {
            None => Ok(Self { base, listed, foreign: config.registry_foreign_paths }),
            Some(path) => {
                let why = "must be an absolute path without `..`";
                let path = path.display();
                Err(RpcError::internal(format!("`agents.registry_paths`: `{path}` {why}")))
            }
        }
    }

    /// The usual directory, one below it, or a foreign one that is let in.
    pub(crate) fn directory(&self, path: Option<&str>) -> Result<Directory> {
        make_private_dir(&self.base).map_err(RpcError::internal)?;
        match path.map(Path::new) {
            None => Ok(Directory(self.base.clone())),
            Some(path) if path.is_absolute() => self.foreign(path),
            Some(path) => {
                let path = path.to_str().unwrap_or_default();
                Directory::made(resolve_under(&self.base, "registry_path", path)?)
            }
        }
    }

    fn foreign(&self, path: &Path) -> Result<Directory> {
        if self.listed.iter().any(|it| it == path) {
            return Directory::made(path.to_owned());
        }
        if self.foreign == ForeignPaths::Listed {
            return Err(refused(
                "must be relative, or listed in `agents.registry_paths`, unless \
                 `agents.registry_foreign_paths` is `entries_only`",
            ));
        }
        if !is_plain(path) {
            return Err(refused("must not contain `..` or a NUL"));
        }
        // Without a slash at its end, by which a link would be followed.
        let path: &Path = &path.components().collect::<PathBuf>();
        if path.is_symlink() {
            return Err(refused("must not be a symbolic link"));
        }
        match Directory(path.to_owned()).holds_entries_alone() {
            Ok(true) => Directory::made(path.to_owned()),
            Ok(false) => Err(refused("has `.json` files that are no entries")),
            Err(error) => Err(refused(format!("is no directory: {error}"))),
        }
    }
}

fn refused(why: impl Display) -> RpcError {
    RpcError::invalid_params("registry_path", why)
}

/// An absolute path without detours.
fn is_plain(path: &Path) -> bool {
    let detour = |part| part == Component::ParentDir;
    path.is_absolute()
        && !path.components().any(detour)
        && !path.as_os_str().as_bytes().contains(&0)
}

/// One directory of entries. Every call works on the files as they are.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// A directory, made if it is missing.
    fn made(path: PathBuf) -> Result<Self> {
        make_private_dir(&path).map_err(|error| refused(format!("is no directory: {error}")))?;
        Ok(Self(path))
    }

    /// Whether every `*.json` in it is an entry, so that no other file can be overwritten. One that
    /// does not exist holds nothing.
    fn holds_entries_alone(&self) -> io::Result<bool> {
        let files = match fs::read_dir(&self.0) {
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
