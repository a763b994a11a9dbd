//! Meetings on disk: a directory each, of which one task at a time changes the files. Blocks on the disk.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};
use carport_core::{DiskSync, Durability, Guarded, LineFile, encode_name};
use carport_meetings_record::{Meeting, Read, Wanted, read, recovered};
use carport_memory_api::GraphRef;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// A link in the place of a file is refused, and a pipe not waited for.
const FLAGS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
const RECORD: &str = "meeting.json";
pub(crate) const TRANSCRIPT: &str = "transcript.jsonl";
const SUMMARY: &str = "summary.md";
/// What is being made or removed; no name of a meeting begins so.
const ASIDE: [&str; 2] = [".new-", ".old-"];
/// Bytes of a transcript that are read at once.
const AT_ONCE: usize = 64 << 10;
/// Bytes of a `meeting.json` and a `summary.md`.
const MOST_BYTES: u64 = 256 << 10;

/// What `meeting.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(flatten)]
    pub(crate) meeting: Meeting,
    /// Where its turns went, unless that graph ends with its connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    graph: Option<Graph>,
}

/// A graph that outlives its connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Graph {
    Agent(String),
    Namespace(String),
    Shared,
}

impl Kept {
    pub(crate) fn new(meeting: Meeting, graph: Option<&GraphRef>) -> Self {
        let graph = graph.and_then(|it| match it {
            GraphRef::Agent(id) => Some(Graph::Agent(id.clone())),
            GraphRef::Namespace(name) => Some(Graph::Namespace(name.clone())),
            GraphRef::Shared => Some(Graph::Shared),
            GraphRef::Session(_) => None,
        });
        Self { meeting, graph }
    }

    /// Where its turns went, if that graph may be there still.
    pub(crate) fn graph(&self) -> Option<GraphRef> {
        self.graph.clone().map(|it| match it {
            Graph::Agent(id) => GraphRef::Agent(id),
            Graph::Namespace(name) => GraphRef::Namespace(name),
            Graph::Shared => GraphRef::Shared,
        })
    }
}

/// A directory of meetings.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) root: PathBuf,
    disk: DiskSync,
    /// Directories that were logged because they hold no meeting.
    told: Guarded<HashSet<PathBuf>>,
}

impl Shelf {
    pub(crate) fn new(root: PathBuf, disk: DiskSync) -> Self {
        Self { root, disk, told: Guarded::default() }
    }

    fn directory(&self, id: &str) -> io::Result<PathBuf> {
        encode_name("meeting_id", id).map(|it| self.root.join(it)).map_err(io::Error::other)
    }

    /// Whether anything has this name, a meeting or not.
    pub(crate) fn holds(&self, id: &str) -> io::Result<bool> {
        Ok(self.directory(id)?.symlink_metadata().is_ok())
    }

    /// Makes the directory of a new meeting, whole or not at all.
    ///
    /// # Errors
    /// The disk's; `AlreadyExists` if the name is taken.
    pub(crate) fn begin(&self, kept: &Kept) -> io::Result<LineFile> {
        let directory = self.directory(&kept.meeting.id)?;
        let new = self.aside(ASIDE[0]);
        fs::DirBuilder::new().mode(0o700).create(&new)?;
        let made = || -> io::Result<LineFile> {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).custom_flags(FLAGS);
            let file = options.open(new.join(TRANSCRIPT))?;
            let transcript = LineFile::new(file, self.disk.clone());
            put(&new.join(RECORD), &serde_json::to_vec(kept)?)?;
            if self.disk.durability() != Durability::Process {
                File::open(&new)?.sync_all()?;
            }
            // A directory with something in it is never replaced; that it is empty is looked for.
            if directory.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(&new, &directory)?;
            self.settle_root()?;
            Ok(transcript)
        };
        made().inspect_err(|_| drop(fs::remove_dir_all(&new)))
    }

    fn aside(&self, what: &str) -> PathBuf {
        self.root.join(format!("{what}{}", uuid::Uuid::now_v7().simple()))
    }

    fn settle_root(&self) -> io::Result<()> {
        match self.disk.durability() {
            Durability::Process => {}
            Durability::Interval => self.disk.later(File::open(&self.root)?),
            Durability::Record => File::open(&self.root)?.sync_all()?,
        }
        Ok(())
    }

    /// Puts another `meeting.json` in the place of the old one.
    pub(crate) fn rewrite(&self, kept: &Kept) -> io::Result<()> {
        put(&self.directory(&kept.meeting.id)?.join(RECORD), &serde_json::to_vec(kept)?)
    }

    pub(crate) fn put_summary(&self, id: &str, text: &str) -> io::Result<()> {
        put(&self.directory(id)?.join(SUMMARY), text.as_bytes())
    }

    /// What is known of a meeting; `None` if there is none.
    pub(crate) fn kept(&self, id: &str) -> io::Result<Option<Kept>> {
        let directory = self.directory(id)?;
        Ok(if_there(record(&directory))?.filter(|it| it.meeting.id == id))
    }

    /// What is wanted of a transcript. A file of any length is read in little memory.
    pub(crate) fn transcript(&self, id: &str, wanted: Wanted) -> io::Result<Read> {
        let path = self.directory(id)?.join(TRANSCRIPT);
        match if_there(open(&path))? {
            Some(file) => read(BufReader::with_capacity(AT_ONCE, file), wanted),
            None => Ok(Read::default()),
        }
    }

    pub(crate) fn summary(&self, id: &str) -> io::Result<Option<String>> {
        let text = if_there(short(&self.directory(id)?.join(SUMMARY)))?;
        Ok(text.map(|it| String::from_utf8_lossy(&it).into_owned()))
    }

    /// Shows every meeting, one at a time. A directory that holds none is logged once.
    pub(crate) fn each(&self, mut show: impl FnMut(Kept)) -> io::Result<()> {
        let Some(entries) = if_there(fs::read_dir(&self.root))? else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            // Names that begin with a point are somebody else's, or aside.
            if name.as_encoded_bytes().starts_with(b".") || !entry.file_type()?.is_dir() {
                continue;
            }
            let named = |it: &Kept| encode_name("id", &it.meeting.id).is_ok_and(|it| *it == *name);
            let why = match record(&entry.path()) {
                Ok(kept) if named(&kept) => {
                    show(kept);
                    continue;
                }
                Ok(_) => "it has another id".into(),
                Err(error) => error.to_string(),
            };
            if self.told.lock().insert(entry.path()) {
                tracing::warn!(directory = %entry.path().display(), why, "a directory holds no meeting");
            }
        }
        Ok(())
    }

    /// Removes a meeting; `false` if there was nothing of this name.
    pub(crate) fn remove(&self, id: &str) -> io::Result<bool> {
        let old = self.aside(ASIDE[1]);
        // Renamed first: what is half removed is no meeting.
        match fs::rename(self.directory(id)?, &old) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        discard(&old)?;
        self.settle_root()?;
        Ok(true)
    }

    /// Makes whole what a dead daemon left: what it was recording is interrupted, and a torn last line is
    /// cut.
    pub(crate) fn recover(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_aside = |it: &&str| name.as_encoded_bytes().starts_with(it.as_bytes());
            if ASIDE.iter().any(is_aside)
                && let Err(error) = discard(&entry.path())
            {
                tracing::error!(%error, "what was left of a meeting could not be removed");
            }
        }
        self.each(|kept| {
            let id = kept.meeting.id.clone();
            if let Err(error) = self.interrupt(kept) {
                tracing::error!(meeting = id, %error, "a meeting of an earlier daemon could not be closed");
            }
        })
    }

    fn interrupt(&self, kept: Kept) -> io::Result<()> {
        let Kept { meeting, graph } = kept;
        let id = meeting.id.clone();
        if meeting.status != carport_meetings_record::Status::Recording {
            return Ok(());
        }
        let path = self.directory(&id)?.join(TRANSCRIPT);
        // Somebody else put it there: it is not read, and not cut.
        let is_foreign = path.symlink_metadata().is_ok_and(|it| !it.is_file());
        let found = match is_foreign {
            true => Read::default(),
            false => self.transcript(&id, Wanted::ALL)?,
        };
        if is_foreign {
            tracing::error!(meeting = id, "a transcript is no regular file");
        }
        if !found.damaged.is_empty() {
            tracing::warn!(meeting = id, lines = ?found.damaged, "lines of a transcript do not read");
        }
        let length = path.symlink_metadata().map_or(0, |it| it.len());
        if !is_foreign && length > found.whole {
            tracing::warn!(
                meeting = id,
                bytes = length - found.whole,
                "a torn last line was cut off"
            );
            let file = OpenOptions::new().write(true).custom_flags(FLAGS).open(&path)?;
            file.set_len(found.whole)?;
            if self.disk.durability() != Durability::Process {
                file.sync_all()?;
            }
        }
        let Some(meeting) = recovered(meeting, &found.segments) else { return Ok(()) };
        tracing::info!(meeting = id, segments = meeting.segments, "a meeting was interrupted");
        self.rewrite(&Kept { meeting, graph })
    }
}

/// Reads a `meeting.json`.
fn record(directory: &Path) -> io::Result<Kept> {
    if !directory.symlink_metadata()?.is_dir() {
        return Err(io::Error::other("it is no directory"));
    }
    Ok(serde_json::from_slice(&short(&directory.join(RECORD))?)?)
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(FLAGS).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("is no regular file")),
    }
}

fn short(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= MOST_BYTES {
        true => Ok(bytes),
        false => Err(io::Error::other(format!("is longer than {MOST_BYTES} bytes"))),
    }
}

/// A file of mode `0600`: whoever reads it sees the old or the new, never half of one.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = AtomicWriteFile::options();
    options.preserve_mode(false).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Removes what is not wanted, a link itself and not what it leads to.
fn discard(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

fn if_there<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
