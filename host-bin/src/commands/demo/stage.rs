//! Where the demo plays: a temporary directory and the processes, all gone when it is over.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::process::{Agent, Process};
use crate::{daemon::root::StateRoot, exit::Exit};

/// The directory, the processes and the wishes of the audience.
pub(super) struct Stage {
    dir: TempDir,
    pub(super) root: StateRoot,
    /// How many files are read at most.
    pub(super) files: usize,
    pub(super) daemon: Option<Process>,
    pub(super) agent: Option<Agent>,
}

impl Stage {
    /// Makes the directory.
    pub(super) fn set(files: usize) -> Result<Self, Exit> {
        let dir = tempfile::Builder::new()
            .prefix("carport-demo-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|error| Exit::failed(format!("no temporary directory: {error}")))?;
        let root = StateRoot::resolve(Some(&dir.path().join("state")))?;
        Ok(Self { dir, root, files, daemon: None, agent: None })
    }

    /// Where a process writes its errors.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    /// Where reports are published.
    pub(super) fn reports(&self) -> PathBuf {
        self.dir.path().join("published")
    }

    /// Ends every process that is still there.
    pub(super) async fn strike(&mut self) {
        let agent = self.agent.take().map(|agent| agent.process);
        for mut process in agent.into_iter().chain(self.daemon.take()) {
            // Fails only for a process that has ended by itself.
            let _ = process.kill().await;
        }
    }

    /// Keeps the directory; where it is.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.path().to_owned()
    }

    /// Where it all is.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}
