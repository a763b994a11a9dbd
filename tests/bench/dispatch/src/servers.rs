//! The servers that are compared, each in a process of its own.

use std::{error::Error, io, net::SocketAddr, process::Stdio, sync::Arc};

use carport_core::{Config, Host, Listener, Registry};
use clap::ValueEnum;
use futures_util::{FutureExt, SinkExt, StreamExt};
use jsonrpsee::{
    RpcModule,
    server::{ServerBuilder, ServerConfig},
};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::broadcast,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

/// A server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Server {
    /// tokio-tungstenite that parses each request and sends each reply at once.
    Bare,
    /// The same, with replies flushed once no request is waiting.
    Coalesced,
    /// jsonrpsee's server.
    Jsonrpsee,
    /// tokio-tungstenite that sends whatever one connection sends to all that subscribed.
    Broadcast,
    /// Carport, with authentication, approval check, deadline and panic guard on.
    Carport,
}

impl Server {
    /// Those that answer requests.
    pub const ALL: [Self; 4] = [Self::Bare, Self::Coalesced, Self::Jsonrpsee, Self::Carport];
}

/// A running server process; it ends when its standard input closes.
pub struct Process {
    child: Child,
    /// Its process id.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Starts `server` in a process of its own.
pub async fn spawn(server: Server) -> Result<Process, Box<dyn Error>> {
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

/// The server of this name.
pub fn named(name: &str) -> Result<Server, Box<dyn Error>> {
    Ok(Server::from_str(name, true)?)
}

impl Process {
    /// Ends it and waits for its end.
    pub async fn stop(&mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait().await.map(drop)
    }
}

/// Serves until standard input closes; the first line of output is the address.
pub async fn serve(server: Server) -> Result<(), Box<dyn Error>> {
    let ended = async {
        let mut nothing = Vec::new();
        let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    };
    let serving = async {
        match server {
            Server::Bare => echo(false).await,
            Server::Coalesced => echo(true).await,
            Server::Broadcast => broadcast().await,
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

/// Every text that contains `host.notify` goes to all that are connected, in one channel each.
async fn broadcast() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?).await?;
    let (tell, _) = broadcast::channel::<Utf8Bytes>(1024);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let tell = tell.clone();
        // An error ends this connection, as a client that leaves does.
        tokio::spawn(async move { broadcast_one(stream, tell).await.is_ok() });
    }
}

async fn broadcast_one(
    stream: TcpStream,
    tell: broadcast::Sender<Utf8Bytes>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept(stream).await?;
    let mut told = None::<broadcast::Receiver<Utf8Bytes>>;
    loop {
        let next = async {
            match &mut told {
                Some(told) => told.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            text = next => socket.send(Message::Text(text?)).await?,
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) if text.contains("host.notify") => {
                    // A send that fails found no subscriber.
                    let _ = tell.send(text);
                    socket.send(Message::text("{}")).await?;
                }
                Some(Ok(Message::Text(text))) => {
                    if text.contains("host.subscribe") {
                        told = Some(tell.subscribe());
                    }
                    socket.send(Message::text("{}")).await?;
                }
                _ => return Ok(()),
            },
        }
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[expect(dead_code, reason = "parsed as a server would")]
    method: &'a str,
}

/// A WebSocket with the daemon's own buffer sizes: tungstenite clears its whole read buffer before each
/// read, and with its default of 128 KiB that alone costs more than a request.
pub async fn accept(
    stream: TcpStream,
) -> Result<WebSocketStream<TcpStream>, Box<dyn Error + Send + Sync>> {
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(16 * 1024);
    Ok(accept_async_with_config(stream, Some(config)).await?)
}

async fn echo_one(stream: TcpStream, coalesced: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept(stream).await?;
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
    let config = ServerConfig::builder().max_connections(20_000).build();
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
    config.settings.transport.max_connections = 20_000;
    let registry = Registry::linked(&[], &[])?;
    let host: Arc<Host> = Host::start(registry, config).await?;
    let listener = Listener::bind(Some(SocketAddr::from(([127, 0, 0, 1], 0))), &[]).await?;
    announce(listener.address().ok_or("listens on TCP")?).await?;
    listener.serve(host).await;
    Ok(())
}
