//! A real daemon on a state root, and connections to it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::Error;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// A kill of the daemon.
    Process,
    /// A power cut, but for the last 100 ms.
    Interval,
    /// A power cut.
    Record,
}

impl Durability {
    pub(crate) const ALL: [Self; 3] = [Self::Process, Self::Interval, Self::Record];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Interval => "interval",
            Self::Record => "record",
        }
    }
}

/// The daemon of the release build beside this program.
fn binary() -> Result<PathBuf, Error> {
    let path = env::current_exe()?.with_file_name("carport");
    match path.exists() {
        true => Ok(path),
        false => Err("build the daemon first: cargo build --release -p carport".into()),
    }
}

/// A daemon that ends with its value.
pub(crate) struct Daemon {
    root: PathBuf,
    address: String,
    child: Child,
    /// From the start of the process until it listened.
    pub(crate) took: Duration,
}

impl Daemon {
    /// Keeps every run, however many, so that nothing is removed while something is measured.
    pub(crate) async fn start(root: &Path, durability: Durability) -> Result<Self, Error> {
        let settings = format!(
            "durability = \"{}\"\n[runs]\nmax_per_agent = 0\nmax_age_days = 0\n\
             [transport]\nmax_connections = 4096\n",
            durability.word()
        );
        fs::write(root.join("config.toml"), settings)?;
        let endpoint = root.join("run/endpoint.json");
        let _ = fs::remove_file(&endpoint);
        let began = Instant::now();
        let child = Command::new(binary()?)
            .args(["serve", "--bind", "127.0.0.1:0", "--log", "error", "--state-root"])
            .arg(root)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut daemon =
            Self { root: root.into(), address: String::new(), child, took: Duration::ZERO };
        while !endpoint.exists() {
            if let Some(status) = daemon.child.try_wait()? {
                return Err(format!("the daemon ended: {status}").into());
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        daemon.took = began.elapsed();
        let endpoint: Value = serde_json::from_slice(&fs::read(endpoint)?)?;
        let url = endpoint["url"].as_str().ok_or("an endpoint has a url")?;
        daemon.address = url.trim_start_matches("ws://").trim_end_matches('/').into();
        Ok(daemon)
    }

    pub(crate) fn pid(&self) -> Result<u32, Error> {
        self.child.id().ok_or_else(|| "the daemon runs".into())
    }

    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.child.kill().await?;
        Ok(())
    }

    pub(crate) async fn host(&self) -> Result<Client, Error> {
        let token = fs::read_to_string(self.root.join("run/host-token"))?;
        self.proven(json!({ "host_token": token.trim() })).await
    }

    pub(crate) async fn agent(&self, id: &str) -> Result<Client, Error> {
        let minted = Command::new(binary()?)
            .args(["token", "agent", id, "--state-root"])
            .arg(&self.root)
            .output()
            .await?;
        let token = String::from_utf8(minted.stdout)?;
        self.proven(json!({ "agent_id": id, "token": token.trim() })).await
    }

    async fn proven(&self, proof: Value) -> Result<Client, Error> {
        let mut client = Client::connect(&self.address).await?;
        client.call("session.auth", &proof).await?;
        Ok(client)
    }
}

/// One connection.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = client_async(format!("ws://{address}/"), stream).await?;
        Ok(Self { socket })
    }

    /// A request as text.
    pub(crate) fn request(method: &str, params: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
    }

    /// Calls; nothing else may be on its way.
    pub(crate) async fn call(&mut self, method: &str, params: &Value) -> Result<Value, Error> {
        self.socket.send(Message::text(Self::request(method, params))).await?;
        let mut reply: Value = serde_json::from_str(&self.next().await?)?;
        match reply.get("error") {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => Ok(reply["result"].take()),
        }
    }

    /// The next text frame.
    pub(crate) async fn next(&mut self) -> Result<String, Error> {
        loop {
            match self.socket.next().await.ok_or("the daemon hung up")?? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(_) => return Err("the daemon closed the connection".into()),
                _ => {}
            }
        }
    }
}
