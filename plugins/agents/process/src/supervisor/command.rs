//! One command under a shim of its own, with its output piped to whoever asked for it.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, time::Duration};

use tokio::{
    process::{ChildStderr, ChildStdout},
    time::{Instant, timeout_at},
};

use super::{
    driver::{MARGIN, end_tree},
    link::{Link, Opened},
};
use crate::{
    error::SpawnError,
    incarnation::Incarnation,
    machine::Exit,
    shim::{Report, Run},
};

/// What is to be run. It is not held against the rules for commands: see
/// [`Rules::check_command`](crate::Rules::check_command).
#[derive(Debug, Clone)]
pub struct Command {
    /// An absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub cwd: PathBuf,
    /// How long what it leaves behind may go on once it ended by itself; then it is killed.
    pub grace: Duration,
    /// Whether it has a standard input; see [`Process::write`].
    pub input: bool,
}

/// How a process is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// It ended so, and nothing of its tree is left.
    Exited(Exit),
    /// These outlived KILL by [`KILL_WAIT`](crate::KILL_WAIT).
    Outlived(Vec<u32>),
}

/// A running command. Dropping it ends its whole tree, within a second and without waiting for it.
pub struct Process {
    link: Link,
    incarnation: Option<Incarnation>,
    /// When the shim must have said what became of the tree; set by [`Self::end`].
    patience: Option<Instant>,
}

/// What [`Command::start`] answers.
pub struct Started {
    /// The command as it runs.
    pub process: Process,
    /// Its standard output; it ends when the tree has let go of it. Somebody has to read it.
    pub stdout: ChildStdout,
    /// Its standard error, likewise.
    pub stderr: ChildStderr,
}

impl Command {
    /// Starts it. `shim` is the program and first arguments that run [`shim::run`](crate::shim::run),
    /// and whatever a list of processes is to show.
    pub async fn start(self, shim: &[OsString]) -> Result<Started, SpawnError> {
        let program = self.program.display().to_string();
        let run = Run {
            name: program.clone(),
            program,
            args: self.args,
            env: self.env.into_iter().collect(),
            cwd: self.cwd.display().to_string(),
            grace_ms: u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX),
            input: self.input,
        };
        let Opened { mut link, shim_pid, stdout, stderr } = Link::open(shim)?;
        let before = Incarnation::of(shim_pid, shim_pid).ok();
        let pid = match (link.run(run).await, before) {
            (Ok(pid), _) => pid,
            (Err(error @ SpawnError::Exec(_)), _) | (Err(error), None) => return Err(error),
            (Err(error), Some(record)) => {
                end_tree(record).await;
                return Err(error);
            }
        };
        let incarnation = Incarnation::of(pid, shim_pid).ok();
        Ok(Started { process: Process { link, incarnation, patience: None }, stdout, stderr })
    }
}

impl Process {
    /// Queues a text for its standard input. A process that does not read gets no more once 256 wait.
    pub async fn write(&mut self, text: String) {
        self.link.input(Some(text)).await;
    }

    /// Ends its standard input behind what was written.
    pub async fn finish_input(&mut self) {
        self.link.input(None).await;
    }

    /// Asks for the end of its tree: TERM, so long a grace, KILL. Without a grace, KILL at once.
    /// [`Self::gone`] tells when it is done.
    pub async fn end(&mut self, grace: Duration) {
        let patience = Instant::now() + grace + crate::KILL_WAIT + MARGIN;
        let patience = self.patience.map_or(patience, |earlier| earlier.min(patience));
        self.patience = Some(patience);
        // A shim that takes no order is noticed by its silence.
        let _ = timeout_at(patience, self.link.end(grace)).await;
    }

    /// Waits until nothing of its tree is left, however that comes about; once its end is asked for,
    /// not for ever. May be cancelled.
    pub async fn gone(&mut self) -> Gone {
        loop {
            let report = match self.patience {
                Some(patience) => timeout_at(patience, self.link.report()).await.unwrap_or(None),
                None => self.link.report().await,
            };
            match report {
                Some(Report::Gone(exit)) => return Gone::Exited(exit),
                Some(Report::Outlived(pids)) => return Gone::Outlived(pids),
                Some(Report::Started { .. } | Report::Failed(_)) => {}
                None => return self.sweep().await,
            }
        }
    }

    /// Somebody killed or stopped the shim: what is left of the tree is ended from here.
    async fn sweep(&self) -> Gone {
        let left = match self.incarnation.clone() {
            Some(incarnation) => end_tree(incarnation).await,
            None => Vec::new(),
        };
        match left.is_empty() {
            true => Gone::Exited(Exit::Unknown),
            false => Gone::Outlived(left),
        }
    }
}
