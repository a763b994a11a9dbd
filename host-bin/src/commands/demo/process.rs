//! The processes of the demo: the daemon and the agent, each of this same program.

use std::{
    collections::VecDeque,
    env,
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use super::said::Said;
use crate::{
    daemon::{boot::MAX_SOCKET_PATH, endpoint::Endpoint, root::StateRoot},
    exit::Exit,
    output::one_line,
};

/// How long a daemon may take to listen, and to stop when it is asked to.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often the endpoint file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of a log that an error quotes.
const QUOTED: usize = 5;

/// A process that does not outlive this value, with a log for what it says on standard error.
pub(super) struct Process {
    child: Child,
    pid: u32,
    name: &'static str,
    log: PathBuf,
}

impl Process {
    fn start(
        name: &'static str,
        log: PathBuf,
        args: &[&str],
        root: &StateRoot,
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self, Exit> {
        let failed = |error| Exit::failed(format!("cannot start the {name}: {error}"));
        let errors = append(&log).map_err(failed)?;
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command.args(args).arg("--state-root").arg(root.path());
        for (name, _) in env::vars_os().filter(|(name, _)| is_foreign(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stderr(errors);
        // A group of its own: Ctrl-C is for the demo, which then ends everything in order.
        change(&mut command).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(failed)?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid, name, log })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends SIGKILL and waits for the end.
    pub(super) async fn kill(&mut self) -> Result<(), Exit> {
        let killed = self.child.kill().await;
        killed.map_err(|error| Exit::failed(format!("cannot kill the {}: {error}", self.name)))
    }

    /// Sends SIGTERM and waits for the end.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus, Exit> {
        if self.child.id().is_some()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            kill_process(pid, Signal::TERM).map_err(Exit::failed)?;
        }
        self.ended(PATIENCE).await
    }

    /// Waits for the end.
    pub(super) async fn ended(&mut self, patience: Duration) -> Result<ExitStatus, Exit> {
        match timeout(patience, self.child.wait()).await {
            Ok(status) => status.map_err(Exit::failed),
            Err(_) => Err(self.failed(&format!("did not end within {} s", patience.as_secs()))),
        }
    }

    /// What went wrong with it, and the last that it said.
    pub(super) fn failed(&self, why: &str) -> Exit {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: VecDeque<_> = log.lines().collect();
        last.drain(..last.len().saturating_sub(QUOTED));
        let last: Vec<_> = last.into_iter().map(one_line).collect();
        let name = self.name;
        match last.is_empty() {
            true => Exit::failed(format!("the {name} {why}")),
            false => Exit::failed(format!("the {name} {why}; it said: {}", last.join(" | "))),
        }
    }
}

/// A variable that would make a process of the demo talk to a daemon or work on files of the user's.
fn is_foreign(name: &str) -> bool {
    name.starts_with("CARPORT_") || name.starts_with("CAR_") || name == "NOTIFY_SOCKET"
}

fn append(log: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(log)
}

/// Starts a daemon and waits until it listens.
pub(super) async fn daemon(root: &StateRoot, log: PathBuf) -> Result<(Process, Endpoint), Exit> {
    let mut args = vec!["serve", "--bind", "127.0.0.1:0"];
    if root.socket().as_os_str().len() > MAX_SOCKET_PATH {
        args.push("--no-socket");
    }
    let mut process = Process::start("daemon", log, &args, root, |it| it.stdout(Stdio::null()))?;
    let listening = async {
        loop {
            // The file of a daemon that was killed is still there, with another process id.
            if let Ok(Some(endpoint)) = Endpoint::read(root)
                && endpoint.pid == process.pid
            {
                return Ok(endpoint);
            }
            if let Some(status) = process.child.try_wait().map_err(Exit::failed)? {
                return Err(process.failed(&format!("ended at its start ({status})")));
            }
            sleep(LOOK_EVERY).await;
        }
    };
    let endpoint = match timeout(PATIENCE, listening).await {
        Ok(endpoint) => endpoint?,
        Err(_) => return Err(process.failed("does not listen")),
    };
    Ok((process, endpoint))
}

/// The agent's process, and what it tells.
pub(super) struct Agent {
    pub(super) process: Process,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Agent {
    /// Starts the agent with the identity that a supervisor would give it.
    pub(super) fn start(
        root: &StateRoot,
        log: PathBuf,
        files: usize,
        id: &str,
        token: &str,
    ) -> Result<Self, Exit> {
        let files = files.to_string();
        let args = ["demo", "--part", "agent", "--files", &files];
        let mut process = Process::start("agent", log, &args, root, |command| {
            command.stdout(Stdio::piped());
            command.env("CARPORT_AGENT_ID", id).env("CARPORT_AGENT_TOKEN", token)
        })?;
        match process.child.stdout.take() {
            Some(stdout) => Ok(Self { process, lines: BufReader::new(stdout).lines() }),
            None => Err(Exit::failed("the agent has no output")),
        }
    }

    /// The next thing it tells; `None` once it tells no more.
    pub(super) async fn next(&mut self) -> Result<Option<Said>, Exit> {
        let Some(line) = self.lines.next_line().await.map_err(Exit::failed)? else {
            return Ok(None);
        };
        serde_json::from_str(&line)
            .map(Some)
            .map_err(|error| Exit::failed(format!("the agent said `{}`: {error}", one_line(&line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_daemon_is_kept_out() {
        for name in ["CARPORT_HOME", "CARPORT_URL", "CARPORT__LOG__LEVEL", "CAR_TOKEN"] {
            assert!(is_foreign(name), "{name}");
        }
        for name in ["PATH", "CARGO_HOME", "CARD", "HOME"] {
            assert!(!is_foreign(name), "{name}");
        }
    }
}
