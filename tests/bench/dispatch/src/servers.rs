//! The servers that are compared, each in a process of its own.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    process::Stdio,
    sync::Arc,
};

use carport_core::{Config, Host, Listener, Registry};
use clap::ValueEnum;
use futures_util::{FutureExt, SinkExt, StreamExt};
use jsonrpsee::{RpcModule, server::{ServerBuilder, ServerConfig}};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Server {
    /// tokio-tungstenite that parses each request and sends each reply at once.
    Bare,
    /// The same, with replies flushed once no request is waiting.
    Coalesced,
    /// jsonrpsee's server.
    Jsonrpsee,
    /// Carport, with authentication, approval check, deadline and panic guard on.
    Carport,
}

impl Server {
    pub(crate) const ALL: [Self; 4] =
        [Self::Bare, Self::Coalesced, Self::Jsonrpsee, Self::Carport];
}

/// A running server process; it ends when its standard input closes.
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
}

/// Starts `server` in a process of its own.
pub(crate) async fn spawn(server: Server) -> Result<Process, Box<dyn Error>> {
    let name = server.to_possible_value().ok_or("a server has a name")?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--serve", name.get_name()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().ok_or("standard output is piped")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).await?;
    let pid = child.id().ok_or("the server has ended")?;
    Ok(Process { child, pid, address: line.trim().parse()? })
}

impl Process {
    pub(crate) async fn stop(&mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await.map(drop)
    }
}

/// Serves until standard input closes; the first line of output is the address.
pub(crate) async fn serve(server: Server) -> Result<(), Box<dyn Error>> {
    let ended = async {
        let mut nothing = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    };
    let serving = async {
        match server {
            Server::Bare => echo(false).await,
            Server::Coalesced => echo(true).await,
            Server::Jsonrpsee => jsonrpsee().await,
            Server::Carport => carport().await,
        }
    };
    tokio::select! { () = ended => Ok(()), result = serving => result }
}

async fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{address}\n").as_bytes()).await?;
    out.flush().await
}

async fn echo(coalesced: bool) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            // An error ends this connection, as a client that leaves does.
            let _ = echo_one(stream, coalesced).await;
            io::Result::Ok(())
        });
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[expect(dead_code, reason = "parsed as a server would")]
    method: &'a str,
}

async fn echo_one(stream: TcpStream, coalesced: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let mut message = message?;
        loop {
            if let Message::Text(text) = &message {
                let request: Request<'_> = serde_json::from_str(text)?;
                let id = request.id.get();
                let reply = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"ok":true}}}}"#);
                match coalesced {
                    true => socket.feed(Message::text(reply)).await?,
                    false => socket.send(Message::text(reply)).await?,
                }
            }
            match coalesced.then(|| socket.next().now_or_never()).flatten() {
                Some(Some(next)) => message = next?,
                _ => break,
            }
        }
        if coalesced {
            socket.flush().await?;
        }
    }
    Ok(())
}

async fn jsonrpsee() -> Result<(), Box<dyn Error>> {
    let config = ServerConfig::builder().max_connections(2000).build();
    let server = ServerBuilder::with_config(config).build("127.0.0.1:0").await?;
    let mut module = RpcModule::new(());
    for method in ["server.ping", "session.auth"] {
        module.register_method(method, |_, (), _| json!({ "ok": true }))?;
    }
    announce(server.local_addr()?).await?;
    server.start(module).stopped().await;
    Ok(())
}

async fn carport() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.tokens.client = Some("bench".into());
    let registry = Registry::linked(&[], &[])?;
    let host: Arc<Host> = Host::start(registry, config).await?;
    let listener = Listener::bind(Some(SocketAddr::from(([127, 0, 0, 1], 0))), &[]).await?;
    announce(listener.address().ok_or("listens on TCP")?).await?;
    listener.serve(host).await;
    Ok(())
}
