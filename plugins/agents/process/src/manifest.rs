//! The manifest: what is to run, on disk, with one daemon that may change it.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};
use carport_core::{ManifestRole, RpcError, make_private_dir};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::spec::{AgentSpec, MAX_AGENTS};

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// Why a manifest was not read, owned or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not a manifest.
    #[error("{}:{line}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Counted from 1; the line where reading stopped.
        line: usize,
        /// In words.
        why: String,
    },
    /// Somebody changed it since it was read.
    #[error("{} was changed on disk since it was read: restart the daemon to read it", .0.display())]
    Changed(PathBuf),
    /// Another daemon holds it, or this one has not taken it.
    #[error("observe-only: the agents of {} are supervised by another daemon", .0.display())]
    NotOwned(PathBuf),
    /// There is no room for another agent.
    #[error("agents in one manifest: the limit is {MAX_AGENTS}")]
    Full {
        /// How many there would be.
        got: usize,
    },
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<ManifestError> for RpcError {
    fn from(error: ManifestError) -> Self {
        match &error {
            ManifestError::Changed(path) => {
                Self::conflict(&error).with("manifest_path", path.display().to_string())
            }
            ManifestError::NotOwned(path) => Self::conflict(&error)
                .with("manifest_path", path.display().to_string())
                .with("role", "observer"),
            ManifestError::Full { got } => {
                Self::limit("agents in one manifest", MAX_AGENTS as u64).with("got", *got)
            }
            _ => Self::internal(&error),
        }
    }
}

/// A manifest that was read, and the lock on it if this daemon supervises its agents.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    agents: BTreeMap<String, AgentSpec>,
    /// Members beside `agents` that this build does not know.
    other: Map<String, Value>,
    stamp: Option<Stamp>,
    lock: Option<File>,
    refused: bool,
}

/// By what a change on disk is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        let modified = (found.mtime(), found.mtime_nsec());
        Self { inode: found.ino(), length: found.len(), modified }
    }
}

impl Manifest {
    /// Reads the manifest at `path`; one that does not exist is empty. Takes no lock.
    pub fn open(path: &Path) -> Result<Self, ManifestError> {
        let mut manifest = Self {
            path: path.to_owned(),
            agents: BTreeMap::new(),
            other: Map::new(),
            stamp: None,
            lock: None,
            refused: false,
        };
        manifest.reload()?;
        Ok(manifest)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The agents by id, as of the last read or write.
    pub fn agents(&self) -> &BTreeMap<String, AgentSpec> {
        &self.agents
    }

    /// `Owner` with the lock, `Observer` after it was refused, `None` before it was asked for.
    pub fn role(&self) -> ManifestRole {
        match (&self.lock, self.refused) {
            (Some(_), _) => ManifestRole::Owner,
            (None, true) => ManifestRole::Observer,
            (None, false) => ManifestRole::None,
        }
    }

    /// Takes the lock and reads the manifest anew, since its last owner may have changed it. `false`
    /// if another daemon holds the lock. The kernel drops it with this process.
    pub fn own(&mut self) -> Result<bool, ManifestError> {
        if self.lock.is_some() {
            return Ok(true);
        }
        let lock = self.open_lock().map_err(|error| self.io(error))?;
        match lock.try_lock() {
            Ok(()) => {
                self.reload()?;
                self.lock = Some(lock);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => {
                self.refused = true;
                Ok(false)
            }
            Err(TryLockError::Error(error)) => Err(self.io(error)),
        }
    }

    /// Reads the file again. If that fails, what was known stays.
    pub fn reload(&mut self) -> Result<(), ManifestError> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (self.agents, self.other, self.stamp) = (BTreeMap::new(), Map::new(), None);
                return Ok(());
            }
            Err(error) => return Err(self.io(error)),
        };
        // Before the text: a change while it is read is noticed at the next write.
        let stamp = file.metadata().map(|found| Some(Stamp::of(&found)));
        let stamp = stamp.map_err(|error| self.io(error))?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| self.io(error))?;
        let (agents, other) = read(&text).map_err(|(line, why)| ManifestError::Unreadable {
            path: self.path.clone(),
            line,
            why,
        })?;
        (self.agents, self.other, self.stamp) = (agents, other, stamp);
        Ok(())
    }

    /// Adds an agent or puts it in the place of the one with its id. The file has it when this returns.
    pub fn put(&mut self, spec: AgentSpec) -> Result<(), ManifestError> {
        let mut agents = self.agents.clone();
        agents.insert(spec.id.clone(), spec);
        self.write(agents)
    }

    /// Takes an agent out; `false` if it is not in it.
    pub fn remove(&mut self, id: &str) -> Result<bool, ManifestError> {
        let mut agents = self.agents.clone();
        match agents.remove(id) {
            Some(_) => self.write(agents).map(|()| true),
            None => Ok(false),
        }
    }

    /// Whether a change would be taken now: this daemon owns the file, and it is as it was last read.
    pub fn may_write(&self) -> Result<(), ManifestError> {
        if self.lock.is_none() {
            return Err(ManifestError::NotOwned(self.path.clone()));
        }
        match self.look()? == self.stamp {
            true => Ok(()),
            false => Err(ManifestError::Changed(self.path.clone())),
        }
    }

    /// Whole or not at all: a temporary file, synced, renamed over the old one, the directory synced.
    fn write(&mut self, agents: BTreeMap<String, AgentSpec>) -> Result<(), ManifestError> {
        if agents.len() > MAX_AGENTS {
            return Err(ManifestError::Full { got: agents.len() });
        }
        self.may_write()?;
        let mut whole = self.other.clone();
        whole.insert("version".into(), VERSION.into());
        whole.insert("agents".into(), json!(agents.values().collect::<Vec<_>>()));
        self.replace(&Value::Object(whole)).map_err(|error| self.io(error))?;
        self.agents = agents;
        self.stamp = self.look()?;
        Ok(())
    }

    fn replace(&self, whole: &Value) -> io::Result<()> {
        let mut options = AtomicWriteFile::options();
        options.preserve_mode(false).mode(0o600);
        let mut file = options.open(&self.path)?;
        serde_json::to_writer_pretty(&mut file, whole)?;
        file.write_all(b"\n")?;
        file.commit()?;
        let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn open_lock(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            make_private_dir(directory)?;
        }
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(name)
    }

    fn look(&self) -> Result<Option<Stamp>, ManifestError> {
        match fs::metadata(&self.path) {
            Ok(found) => Ok(Some(Stamp::of(&found))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io(error)),
        }
    }

    fn io(&self, source: io::Error) -> ManifestError {
        ManifestError::Io { path: self.path.clone(), source }
    }
}

/// The form that is written.
#[derive(Deserialize)]
struct Versioned {
    agents: Vec<AgentSpec>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// The line where reading stopped, and why.
type Unread = (usize, String);

/// Agents by id, and what else the file holds.
type Known = (BTreeMap<String, AgentSpec>, Map<String, Value>);

/// Reads any of the three forms: the versioned object, a bare array, a map by id.
fn read(text: &str) -> Result<Known, Unread> {
    let shape: Value = parse(text)?;
    let (specs, mut other) = match &shape {
        Value::Array(_) => (parse::<Vec<AgentSpec>>(text)?, Map::new()),
        Value::Object(whole) if whole.get("agents").is_some_and(Value::is_array) => {
            let versioned: Versioned = parse(text)?;
            (versioned.agents, versioned.other)
        }
        Value::Object(whole) if !whole.contains_key("version") => (by_id(whole)?, Map::new()),
        _ => return Err((1, "is no manifest: `agents` must be an array".into())),
    };
    match other.remove("version") {
        Some(version) if version != VERSION => {
            return Err((1, format!("has version {version}; this daemon reads {VERSION}")));
        }
        _ => {}
    }
    if specs.len() > MAX_AGENTS {
        return Err((1, format!("has {} agents; the limit is {MAX_AGENTS}", specs.len())));
    }
    let mut agents = BTreeMap::new();
    for spec in specs {
        spec.validate().map_err(|error| (1, format!("agent `{}`: {}", spec.id, error.message)))?;
        if let Some(twice) = agents.insert(spec.id.clone(), spec) {
            return Err((1, format!("has the agent `{}` twice", twice.id)));
        }
    }
    Ok((agents, other))
}

/// The map's key is the id; a spec in it may leave its own out and may not differ.
fn by_id(whole: &Map<String, Value>) -> Result<Vec<AgentSpec>, Unread> {
    let specs = whole.iter().map(|(id, spec)| {
        let mut spec = spec.clone();
        if let Value::Object(members) = &mut spec {
            let own = members.entry("id").or_insert_with(|| id.clone().into());
            if *own != *id {
                return Err((1, format!("has the agent {own} under the key `{id}`")));
            }
        }
        serde_path_to_error::deserialize(spec).map_err(|error| (1, format!("`{id}`: {error}")))
    });
    specs.collect()
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unread> {
    let mut from = serde_json::Deserializer::from_str(text);
    let read = serde_path_to_error::deserialize(&mut from).and_then(|value| {
        // What follows the value is an error of the whole text.
        from.end().map(|()| value).map_err(|error| {
            serde_path_to_error::Error::new(serde_path_to_error::Track::new().path(), error)
        })
    });
    read.map_err(|error| (error.inner().line().max(1), error.to_string()))
}
