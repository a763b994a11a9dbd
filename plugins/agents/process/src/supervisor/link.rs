//! The daemon's end of a shim.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as Pair},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{ChildStderr, ChildStdout, Command},
    time::timeout,
};

use crate::{
    error::SpawnError,
    shim::{Order, Report, Run},
};

/// How long a shim may take to say whether the child was started.
const PATIENCE: Duration = Duration::from_secs(10);

/// A shim that runs a child. Dropping it ends the tree, as the daemon's death does.
pub(super) struct Link {
    reports: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
}

/// A shim that has nothing to run yet.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) shim_pid: u32,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Link {
    /// Starts a shim. `shim` is its program and arguments; it gets an empty environment and no working
    /// directory that it could keep from being unmounted.
    pub(super) fn open(shim: &[std::ffi::OsString]) -> Result<Opened, SpawnError> {
        let [program, arguments @ ..] = shim else {
            return Err(failed("finding the shim", io::ErrorKind::NotFound.into()));
        };
        let (ours, theirs) = Pair::pair().map_err(|error| failed("making a socket", error))?;
        let link = Self::over(ours).map_err(|error| failed("opening a socket", error))?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir("/").stdin(OwnedFd::from(theirs));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed("starting the shim", error))?;
        // The command holds the shim's end of the socket, which would hide the shim's death.
        drop(command);
        let (Some(stdout), Some(stderr), Some(shim_pid)) =
            (child.stdout.take(), child.stderr.take(), child.id())
        else {
            return Err(died());
        };
        tokio::spawn(async move { child.wait().await });
        Ok(Opened { link, shim_pid, stdout, stderr })
    }

    /// Has the shim run this and answers the child. After [`SpawnError::Exec`] the shim ends by itself;
    /// after another error it may still be there.
    pub(super) async fn run(&mut self, run: Run) -> Result<u32, SpawnError> {
        let ran = async {
            let told = self.order(&Order::Run(Box::new(run))).await;
            told.map_err(|error| failed("telling the shim", error))?;
            match self.report().await {
                Some(Report::Started { pid }) => Ok(pid),
                Some(Report::Failed(why)) => Err(SpawnError::Exec(why)),
                _ => Err(died()),
            }
        };
        let late = |_| failed("waiting for the shim", io::ErrorKind::TimedOut.into());
        timeout(PATIENCE, ran).await.map_err(late)?
    }

    fn over(ours: Pair) -> io::Result<Self> {
        ours.set_nonblocking(true)?;
        let (reports, orders) = UnixStream::from_std(ours)?.into_split();
        Ok(Self { reports: BufReader::new(reports).lines(), orders })
    }

    /// Asks for the end of the tree. A shim that is gone is noticed by its reports.
    pub(super) async fn end(&mut self, grace: Duration) {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let _ = self.order(&Order::End { grace_ms }).await;
    }

    /// More for the child's standard input; `None` ends it. A shim that is gone is noticed by its reports.
    pub(super) async fn input(&mut self, text: Option<String>) {
        let _ = self.order(&Order::Input(text)).await;
    }

    /// The next report; `None` if the shim is gone. May be cancelled without losing one.
    pub(super) async fn report(&mut self) -> Option<Report> {
        let line = self.reports.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    async fn order(&mut self, order: &Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.orders.write_all(&line).await
    }
}

fn died() -> SpawnError {
    failed("starting the shim", io::ErrorKind::UnexpectedEof.into())
}

fn failed(what: &'static str, source: io::Error) -> SpawnError {
    SpawnError::Io { what, source }
}
