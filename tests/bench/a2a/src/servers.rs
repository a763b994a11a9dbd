//! The servers that are compared, each in a process of its own.

use std::{path::Path, process::Stdio};

use carport_bench_dispatch::{Error, daemon::Daemon};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A server; both do with a message what conformance tests ask for by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// The Python SDK's, which keeps tasks in memory.
    Sdk,
    /// The daemon, with tasks in memory.
    InMemory,
    /// The daemon as it is by default, with a file for each task.
    OnDisk,
}

enum Process {
    Python(Child),
    Daemon(Daemon),
}

/// A server that listens.
pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) pid: u32,
    process: Process,
    /// The state root of a daemon.
    _root: TempDir,
}

impl Server {
    /// The one that the others are compared with first.
    pub(crate) const ALL: [Self; 3] = [Self::Sdk, Self::InMemory, Self::OnDisk];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Sdk => "a2a-sdk, in memory",
            Self::InMemory => "carport, in memory",
            Self::OnDisk => "carport, on disk",
        }
    }

    pub(crate) async fn start(self, python: &Path) -> Result<Running, Error> {
        let root = tempfile::tempdir()?;
        match self {
            Self::Sdk => start_python(python, root).await,
            Self::InMemory => start_daemon("memory", root).await,
            Self::OnDisk => start_daemon("file", root).await,
        }
    }
}

async fn start_python(python: &Path, root: TempDir) -> Result<Running, Error> {
    if !python.exists() {
        let why = format!("{} is not there: tests/interop/a2a/run makes it", python.display());
        return Err(why.into());
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/server.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().ok_or("a server has an output")?;
    let port = BufReader::new(out).lines().next_line().await?.ok_or("the server did not start")?;
    let address = format!("127.0.0.1:{port}");
    // It says its port a moment before it accepts.
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let pid = child.id().ok_or("the server runs")?;
    Ok(Running { address, pid, process: Process::Python(child), _root: root })
}

async fn start_daemon(store: &str, root: TempDir) -> Result<Running, Error> {
    let settings = format!(
        "[a2a]\ntest_executor = true\nstore = \"{store}\"\n[a2a.listen]\nbind = \"127.0.0.1:0\"\n"
    );
    let daemon = Daemon::start(root.path(), &settings).await?;
    let status = daemon.client().await?.call("a2a.status", &json!({})).await?;
    let address = status["bound"].as_str().ok_or("the daemon serves A2A")?.to_owned();
    let pid = daemon.pid()?;
    Ok(Running { address, pid, process: Process::Daemon(daemon), _root: root })
}

impl Running {
    /// Ends it.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        match self.process {
            Process::Python(mut child) => Ok(child.kill().await?),
            Process::Daemon(daemon) => daemon.stop().await,
        }
    }
}
