//! Tasks that survive the process: a file of lines for each, and one for its receivers.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};
use carport_core::{Durability, Guarded, blocking_io, decode_name, encode_name, make_private_dir};
use rustix::fs::OFlags;

use super::{StoreSettings, backing::Backing, kept::Kept, lines::row_of};
use crate::index::{Index, Row};

/// What stands in the place of a file is refused if it is a link, and never waited for if it is a pipe.
const FLAGS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

/// Files that may wait for their sync at a time; another one is synced at once.
const UNSYNCED: usize = 256;

/// Keeps tasks on disk: `tasks/{id}.jsonl` and `push/{id}.json` under a directory of its own.
pub type FileStore = Kept<Disk>;

impl FileStore {
    /// Opens a store and reads what is there, file by file and line by line, on a thread that may block.
    ///
    /// A torn last line is cut off, and a file without a whole line removed. A file whose first line does
    /// not read is left alone and in no list, which the log tells.
    ///
    /// # Errors
    /// What keeps the directories from being made or read.
    pub async fn open(
        directory: &Path,
        durability: Durability,
        settings: StoreSettings,
    ) -> io::Result<Self> {
        let disk = Disk::new(directory, durability);
        blocking_io(move || {
            make_private_dir(&disk.tasks)?;
            make_private_dir(&disk.push)?;
            let index = disk.load()?;
            Ok(Self::over(disk, settings, index))
        })
        .await
    }
}

/// Files of a directory.
#[derive(Debug)]
pub struct Disk {
    tasks: PathBuf,
    push: PathBuf,
    durability: Durability,
    /// Only under [`Durability::Interval`].
    unsynced: Guarded<HashMap<PathBuf, File>>,
    /// Files that a failed change may have left something in, and their bytes before it.
    torn: Guarded<HashMap<PathBuf, u64>>,
    /// Brings what a file holds to the disk.
    sync: fn(&File) -> io::Result<()>,
    /// Cuts a file.
    cut: fn(&File, u64) -> io::Result<()>,
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(FLAGS);
    options
}

fn named(directory: &Path, id: &str, ending: &str) -> io::Result<PathBuf> {
    let name = encode_name("id", id).map_err(io::Error::other)?;
    Ok(directory.join(format!("{name}.{ending}")))
}

/// Removes a file that may be gone already.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what is of no use; what cannot be removed is no reason not to start.
fn clear(path: &Path) {
    if let Err(error) = remove(path) {
        tracing::error!(%error, file = %path.display(), "what is left over could not be removed");
    }
}

impl Disk {
    fn new(directory: &Path, durability: Durability) -> Self {
        Self {
            tasks: directory.join("tasks"),
            push: directory.join("push"),
            durability,
            unsynced: Guarded::default(),
            torn: Guarded::default(),
            sync: File::sync_data,
            cut: File::set_len,
        }
    }

    fn task(&self, id: &str) -> io::Result<PathBuf> {
        named(&self.tasks, id, "jsonl")
    }

    fn receivers(&self, id: &str) -> io::Result<PathBuf> {
        named(&self.push, id, "json")
    }

    /// Makes a write as durable as it has to be before it is acknowledged.
    fn settle(&self, path: &Path, file: &File) -> io::Result<()> {
        match self.durability {
            Durability::Process => return Ok(()),
            Durability::Interval => {
                let mut unsynced = self.unsynced.lock();
                if unsynced.contains_key(path) {
                    return Ok(());
                }
                if unsynced.len() < UNSYNCED {
                    unsynced.insert(path.to_owned(), file.try_clone()?);
                    return Ok(());
                }
            }
            Durability::Record => {}
        }
        (self.sync)(file)
    }

    /// Cuts what a failed change left.
    fn mend(&self, path: &Path, file: &File) -> io::Result<()> {
        let good = self.torn.lock().get(path).copied();
        if let Some(good) = good {
            (self.cut)(file, good)?;
            self.torn.lock().remove(path);
        }
        Ok(())
    }

    /// Every task whose file reads.
    fn load(&self) -> io::Result<Index> {
        let mut index = Index::default();
        for entry in fs::read_dir(&self.tasks)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            let Some(id) = name.strip_suffix(".jsonl").and_then(decode_name) else { continue };
            match self.load_task(&path, &id) {
                Ok(Some(row)) => index.insert(id, row),
                // An earlier process ended while it made the task: nobody was told of it.
                Ok(None) => clear(&path),
                Err(error) => {
                    tracing::error!(%error, file = %path.display(), "a task does not read and is left alone");
                }
            }
        }
        self.forget_strays(&index)?;
        Ok(index)
    }

    /// Removes receivers whose task is gone, and what an earlier process was about to put in the place of
    /// others: their files hold secrets.
    fn forget_strays(&self, index: &Index) -> io::Result<()> {
        for entry in fs::read_dir(&self.push)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                clear(&path);
                continue;
            }
            let id = name.strip_suffix(".json").and_then(decode_name);
            let kept = |id: &String| self.task(id).is_ok_and(|it| it.exists());
            if id.is_some_and(|id| index.row(&id).is_none() && !kept(&id)) {
                clear(&path);
            }
        }
        Ok(())
    }

    /// A task from its file; `None` if no whole line is in it.
    fn load_task(&self, path: &Path, id: &str) -> io::Result<Option<Row>> {
        let file = options().read(true).open(path)?;
        let length = file.metadata()?.len();
        let (row, whole) = match row_of(id, BufReader::new(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let torn = length.saturating_sub(whole as u64);
        if torn > 0 {
            tracing::warn!(file = %path.display(), bytes = torn, "a torn last line was cut off");
            options().write(true).open(path)?.set_len(whole as u64)?;
        }
        Ok(Some(row))
    }
}

impl Backing for Disk {
    fn begin(&self, id: &str, line: &[u8]) -> io::Result<()> {
        let path = self.task(id)?;
        let mut file = options().append(true).create_new(true).open(&path)?;
        let written = file.write_all(line).and_then(|()| {
            self.settle(&path, &file)?;
            match self.durability {
                Durability::Process => Ok(()),
                // Without its name in the directory the file is nothing.
                _ => self.settle(&self.tasks, &File::open(&self.tasks)?),
            }
        });
        written.or_else(|error| {
            remove(&path)?;
            Err(error)
        })
    }

    fn append(&self, id: &str, line: &[u8]) -> io::Result<()> {
        let path = self.task(id)?;
        let mut file = options().append(true).open(&path)?;
        self.mend(&path, &file)?;
        let before = file.metadata()?.len();
        let written = file.write_all(line).and_then(|()| self.settle(&path, &file));
        // What is not acknowledged is not there either: the next change has its number.
        written.inspect_err(|_| {
            self.torn.lock().insert(path.clone(), before);
            // If this fails too, the next change begins with it.
            let _ = self.mend(&path, &file);
        })
    }

    fn read(&self, id: &str, from: u64) -> io::Result<impl BufRead> {
        let mut file = options().read(true).open(self.task(id)?)?;
        file.seek(SeekFrom::Start(from))?;
        Ok(BufReader::new(file))
    }

    fn remove(&self, id: &str) -> io::Result<()> {
        let path = self.task(id)?;
        remove(&self.receivers(id)?)?;
        remove(&path)?;
        self.torn.lock().remove(&path);
        Ok(())
    }

    fn read_push(&self, id: &str) -> io::Result<Option<Vec<u8>>> {
        match options().read(true).open(self.receivers(id)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                let mut document = Vec::new();
                opened?.read_to_end(&mut document)?;
                Ok(Some(document))
            }
        }
    }

    fn write_push(&self, id: &str, document: &[u8]) -> io::Result<()> {
        let mut options = AtomicWriteFile::options();
        options.preserve_mode(false).mode(0o600);
        let mut file = options.open(self.receivers(id)?)?;
        file.write_all(document)?;
        file.commit()
    }

    fn with_push(&self) -> io::Result<Vec<String>> {
        let named = |entry: io::Result<fs::DirEntry>| {
            let name = entry?.file_name();
            Ok(name.to_str().and_then(|it| it.strip_suffix(".json")).and_then(decode_name))
        };
        fs::read_dir(&self.push)?.map(named).filter_map(Result::transpose).collect()
    }

    fn sync(&self) {
        let files = std::mem::take(&mut *self.unsynced.lock());
        for (path, file) in files {
            if let Err(error) = (self.sync)(&file) {
                tracing::error!(%error, file = %path.display(), "a task could not be synced to disk");
                self.unsynced.lock().entry(path).or_insert(file);
            }
        }
    }
}

#[cfg(test)]
mod tests;
