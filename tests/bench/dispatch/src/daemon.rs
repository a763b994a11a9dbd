//! A real daemon on a state root, and connections to it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::{Error, client::Socket};

/// The daemon that was built beside this program.
fn binary() -> Result<PathBuf, Error> {
    let path = env::current_exe()?.with_file_name("carport");
    match path.exists() {
        true => Ok(path),
        false => Err("build the daemon first: cargo build --release -p carport".into()),
    }
}

/// A daemon that ends with its value.
pub struct Daemon {
    root: PathBuf,
    address: String,
    child: Child,
    /// From the start of the process until it listened.
    pub took: Duration,
}

impl Daemon {
    /// Starts one on a state root, with what `settings` put into its `config.toml`.
    pub async fn start(root: &Path, settings: &str) -> Result<Self, Error> {
        fs::write(root.join("config.toml"), settings)?;
        let endpoint = root.join("run/endpoint.json");
        // What a killed daemon left says nothing of this one.
        let _ = fs::remove_file(&endpoint);
        let began = Instant::now();
        let mut child = Command::new(binary()?)
            .args(["serve", "--bind", "127.0.0.1:0", "--log", "error", "--state-root"])
            .arg(root)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        while !endpoint.exists() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("the daemon ended: {status}").into());
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        let took = began.elapsed();
        let endpoint: Value = serde_json::from_slice(&fs::read(endpoint)?)?;
        let url = endpoint["url"].as_str().ok_or("an endpoint has a url")?;
        let address = url.trim_start_matches("ws://").trim_end_matches('/').into();
        Ok(Self { root: root.into(), address, child, took })
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32, Error> {
        self.child.id().ok_or_else(|| "the daemon runs".into())
    }

    /// Ends it.
    pub async fn stop(mut self) -> Result<(), Error> {
        Ok(self.child.kill().await?)
    }

    /// A connection with the daemon token.
    pub async fn client(&self) -> Result<Client, Error> {
        let token = fs::read_to_string(self.root.join("run/auth-token"))?;
        self.proven(&json!({ "token": token.trim() })).await
    }

    /// A connection with the host token.
    pub async fn host(&self) -> Result<Client, Error> {
        let token = fs::read_to_string(self.root.join("run/host-token"))?;
        self.proven(&json!({ "host_token": token.trim() })).await
    }

    /// A connection of an agent, whose token is minted if it has none.
    pub async fn agent(&self, id: &str) -> Result<Client, Error> {
        let minted = Command::new(binary()?)
            .args(["token", "agent", id, "--state-root"])
            .arg(&self.root)
            .output()
            .await?;
        let token = String::from_utf8(minted.stdout)?;
        self.proven(&json!({ "agent_id": id, "token": token.trim() })).await
    }

    async fn proven(&self, proof: &Value) -> Result<Client, Error> {
        let mut client = Client::connect(&self.address).await?;
        client.call("session.auth", proof).await?;
        Ok(client)
    }
}

/// One connection.
pub struct Client {
    /// The connection itself, for whoever has more than one request on its way.
    pub socket: Socket,
}

impl Client {
    /// Connects, and proves nothing.
    pub async fn connect(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (socket, _) = client_async(format!("ws://{address}/"), stream).await?;
        Ok(Self { socket })
    }

    /// A request as text.
    pub fn request(method: &str, params: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
    }

    /// Calls; nothing else may be on its way.
    pub async fn call(&mut self, method: &str, params: &Value) -> Result<Value, Error> {
        let text = self.exchange(&Self::request(method, params)).await?;
        let mut reply: Value = serde_json::from_str(&text)?;
        match reply.get("error") {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => Ok(reply["result"].take()),
        }
    }

    /// Sends a text and returns the next one.
    pub async fn exchange(&mut self, text: &str) -> Result<String, Error> {
        self.socket.send(Message::text(text)).await?;
        self.next().await
    }

    /// The next text frame.
    pub async fn next(&mut self) -> Result<String, Error> {
        loop {
            match self.socket.next().await.ok_or("the daemon hung up")?? {
                Message::Text(text) => return Ok(text.to_string()),
                Message::Close(_) => return Err("the daemon closed the connection".into()),
                _ => {}
            }
        }
    }
}
