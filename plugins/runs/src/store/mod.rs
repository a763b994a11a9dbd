//! Runs on disk: one JSONL file a run, one writer a file, a line a record.

mod aside;
mod file;
mod reading;
mod recovery;
mod scan;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use carport_core::{
    DiskSync, Durability, RpcError, Time, blocking_io, encode_name, make_private_dir,
};

pub(crate) use file::RunFile;
pub(crate) use reading::{Bounds, Page};
pub(crate) use recovery::Found;
pub(crate) use scan::Stamp;

use crate::record::Line;

/// `O_NOFOLLOW`: a link in the place of a run's file is refused.
pub(crate) const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// The directory of every run. What does not say otherwise blocks on the disk.
#[derive(Clone)]
pub(crate) struct Store {
    root: PathBuf,
    disk: DiskSync,
}

impl Store {
    pub(crate) fn new(root: PathBuf, durability: Durability) -> Self {
        Self { root, disk: DiskSync::new(durability) }
    }

    /// Where the file of a run is. The names are encoded, so that they stay under the root.
    pub(crate) fn path(&self, agent_id: &str, run_id: &str) -> Result<PathBuf, RpcError> {
        let run = encode_name("run_id", run_id)?;
        Ok(self.directory(agent_id)?.join(format!("{run}.jsonl")))
    }

    fn directory(&self, agent_id: &str) -> Result<PathBuf, RpcError> {
        Ok(self.root.join(encode_name("agent_id", agent_id)?))
    }

    /// Makes the file of a new run with its first line. Does not block.
    pub(crate) async fn create(
        &self,
        agent_id: &str,
        run_id: &str,
        line: &str,
    ) -> Result<RunFile, RpcError> {
        let (store, directory) = (self.clone(), self.directory(agent_id)?);
        let path = self.path(agent_id, run_id)?;
        let made = blocking_io(move || Ok((store.begin(&directory, &path)?, path)));
        let (mut file, path) = made.await.map_err(failed)?;
        if let Err(error) = file.lines.append(format!("{line}\n").as_bytes()).await {
            // Nobody is told of this run, so that its name is free again.
            let _ = fs::remove_file(path);
            return Err(failed(error));
        }
        Ok(file)
    }

    /// Makes the file, and the agent's directory if it is the first.
    fn begin(&self, directory: &Path, path: &Path) -> io::Result<RunFile> {
        let is_new = !directory.exists();
        make_private_dir(directory)?;
        if !fs::symlink_metadata(directory)?.is_dir() {
            let why = format!("{} is not a directory: a link is not followed", directory.display());
            return Err(io::Error::other(why));
        }
        let file = RunFile::create(path, self.disk.clone())?;
        let parents = [Some(directory), is_new.then_some(self.root.as_path())];
        let settled = parents.into_iter().flatten().try_for_each(|it| self.settle_directory(it));
        settled.inspect_err(|_| drop(fs::remove_file(path)))?;
        Ok(file)
    }

    /// Has the entries of a directory reach the disk when the records in its files do.
    fn settle_directory(&self, directory: &Path) -> io::Result<()> {
        match self.disk.durability() {
            Durability::Process => {}
            Durability::Interval => self.disk.later(fs::File::open(directory)?),
            Durability::Record => fs::File::open(directory)?.sync_all()?,
        }
        Ok(())
    }

    /// Syncs what was written since the last time. Does not block.
    pub(crate) async fn sync(&self) {
        self.disk.sync("a run").await;
    }

    /// A page of a run's records; `None` if there is no such file. Does not block.
    pub(crate) async fn page(
        &self,
        agent_id: &str,
        run_id: &str,
        cursor: u64,
        bounds: Bounds,
    ) -> Result<Option<Page>, RpcError> {
        let path = self.path(agent_id, run_id)?;
        if_there(blocking_io(move || reading::page(&path, cursor, bounds)).await)
    }

    /// The newest turns before `end` that fit into `bytes`, oldest first, with the first's index;
    /// `None` if there is no such file. Does not block.
    pub(crate) async fn newest_turns(
        &self,
        agent_id: &str,
        run_id: &str,
        end: u64,
        bytes: usize,
    ) -> Result<Option<(u64, Vec<Line>)>, RpcError> {
        let path = self.path(agent_id, run_id)?;
        if_there(blocking_io(move || reading::newest_turns(&path, end, bytes)).await)
    }

    /// The agents that have runs.
    pub(crate) fn agents(&self) -> io::Result<Vec<String>> {
        scan::agents(&self.root)
    }

    /// The runs of an agent, with what their files look like from outside.
    pub(crate) fn runs(&self, agent_id: &str) -> io::Result<Vec<(String, Stamp)>> {
        scan::runs(&self.directory(agent_id).map_err(io::Error::other)?)
    }

    /// What a run's file says, and what it looks like; `None` if there is none that says anything.
    pub(crate) fn look(&self, agent_id: &str, run_id: &str) -> io::Result<Option<(Found, Stamp)>> {
        let path = self.path(agent_id, run_id).map_err(io::Error::other)?;
        // Before the look: what is written meanwhile makes the stamp old, never the row.
        let looked = Stamp::of(&path).and_then(|stamp| Ok((recovery::look(&path)?, stamp)));
        match looked {
            Ok((found, stamp)) => Ok(found.map(|found| (found, stamp))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a run's file looks like from outside.
    pub(crate) fn stamp(&self, agent_id: &str, run_id: &str) -> io::Result<Stamp> {
        Stamp::of(&self.path(agent_id, run_id).map_err(io::Error::other)?)
    }

    /// Makes a dead process's file whole and ends its run. `true` if the file is there afterwards.
    pub(crate) fn adopt(&self, agent_id: &str, run_id: &str, now: Time) -> io::Result<bool> {
        let path = self.path(agent_id, run_id).map_err(io::Error::other)?;
        match recovery::last_record(&path)? {
            Some(_) => Ok(true),
            None => recovery::adopt(&path, now, self.disk.durability()),
        }
    }

    /// Removes a run's file and what was kept aside of it.
    pub(crate) fn remove(&self, agent_id: &str, run_id: &str) -> io::Result<()> {
        let path = self.path(agent_id, run_id).map_err(io::Error::other)?;
        gone(fs::remove_file(aside::path(&path)))?;
        gone(fs::remove_file(&path))
    }

    /// Removes an agent's directory if it is empty; files that were removed from it are gone for good.
    pub(crate) fn tidy(&self, agent_id: &str) -> io::Result<()> {
        let directory = self.directory(agent_id).map_err(io::Error::other)?;
        match fs::remove_dir(&directory) {
            Ok(()) => self.settle_directory(&self.root),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                self.settle_directory(&directory)
            }
            failed => gone(failed),
        }
    }
}

/// What is not there needs no removal.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn if_there<T>(read: io::Result<T>) -> Result<Option<T>, RpcError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// What a caller hears of a failing disk: retrying may help once it works again.
#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
pub(crate) fn failed(error: io::Error) -> RpcError {
    tracing::error!(%error, "a run's file failed");
    RpcError::internal(format!("the run's file could not be used: {}", error.kind()))
        .with("retryable", true)
}
