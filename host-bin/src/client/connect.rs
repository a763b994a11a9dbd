//! From an address to a connection that has proved who it is.

use std::{fmt, io, time::Duration};

use carport_core::{
    Method, RpcError, codes,
    host::{Authenticate, Handshake},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_tungstenite::{
    client_async_with_config,
    tungstenite::{Error as WsError, http::Response, protocol::WebSocketConfig},
};

use super::{
    link::{CallError, Inbox, Link},
    locate::{Address, Located},
    proof::{Proof, Role},
};
use crate::{
    cli::Global,
    exit::{Code, Exit},
};

/// How long a daemon may take to answer the door.
const PATIENCE: Duration = Duration::from_secs(10);
/// The protocol version that is offered; daemons of the family accept it everywhere.
const PROTOCOL: u64 = 3;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no daemon answers at {address} ({why}); start one with `carport serve`")]
    Unreachable { address: Address, why: String },
    #[error("{address} turned the connection away: {why}")]
    Refused { address: Address, why: String },
    #[error("the daemon did not accept the {role} token of {token}: {error}")]
    Denied { role: Role, token: String, error: RpcError },
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<ConnectError> for Exit {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable { .. } => Self::new(Code::NoDaemon, error),
            ConnectError::Refused { .. } => Self::new(Code::Denied, error),
            ConnectError::Denied { error: ref rpc, .. } => {
                let rpc = Some(rpc.clone());
                Self { rpc, ..Self::new(Code::Denied, error) }
            }
            ConnectError::Call(error) => error.into(),
        }
    }
}

/// Finds the daemon that the flags and the environment mean and connects to it.
pub(crate) async fn connect(global: &Global, role: &Role) -> Result<(Link, Inbox), Exit> {
    connect_to(&Located::find(global)?, role).await
}

/// Connects to a daemon that was found.
pub(crate) async fn connect_to(located: &Located, role: &Role) -> Result<(Link, Inbox), Exit> {
    connect_in(located, role, None).await
}

/// As [`connect_to`], bound to this memory.
pub(crate) async fn connect_in(
    located: &Located,
    role: &Role,
    namespace: Option<&str>,
) -> Result<(Link, Inbox), Exit> {
    let proof = Proof::find(role, located)?;
    let address = &located.address;
    let unreachable = |why: &dyn fmt::Display| ConnectError::Unreachable {
        address: address.clone(),
        why: why.to_string(),
    };
    let opening = async {
        let (link, inbox) = open(address).await?;
        introduce(&link, role, &proof, namespace).await?;
        Ok((link, inbox))
    };
    match timeout(PATIENCE, opening).await {
        Ok(opened) => opened.map_err(|error: ConnectError| error.into()),
        Err(_) => Err(unreachable(&format!("silent for {} s", PATIENCE.as_secs())).into()),
    }
}

async fn open(address: &Address) -> Result<(Link, Inbox), ConnectError> {
    let unreachable = |error: io::Error| ConnectError::Unreachable {
        address: address.clone(),
        why: plain(&error),
    };
    match address {
        Address::Tcp { url, host, port } => {
            let stream = TcpStream::connect((&**host, *port)).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            upgrade(address, url, stream).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(unreachable)?;
            upgrade(address, "ws://localhost/", stream).await
        }
    }
}

async fn upgrade<S>(address: &Address, url: &str, stream: S) -> Result<(Link, Inbox), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The daemon decides how large its messages are.
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    match client_async_with_config(url, stream, Some(config)).await {
        Ok((socket, _)) => Ok(Link::on(socket)),
        Err(WsError::Http(response)) => {
            Err(ConnectError::Refused { address: address.clone(), why: answered(&response) })
        }
        Err(WsError::Io(error)) => {
            Err(ConnectError::Unreachable { address: address.clone(), why: plain(&error) })
        }
        Err(error) => {
            let why = format!("what listens there is no Carport daemon: {error}");
            Err(ConnectError::Unreachable { address: address.clone(), why })
        }
    }
}

/// What a refused upgrade was answered with; daemons say why in the body.
fn answered(response: &Response<Option<Vec<u8>>>) -> String {
    let body = response.body().as_deref().unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let first = body.lines().next().unwrap_or_default().trim();
    match first {
        "" => response.status().to_string(),
        why => format!("{} ({why})", response.status()),
    }
}

/// `os error 111` helps nobody.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such socket".into(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".into(),
        _ => error.to_string(),
    }
}

/// Proves the role and settles the protocol version, in one round trip.
async fn introduce(
    link: &Link,
    role: &Role,
    proof: &Proof,
    namespace: Option<&str>,
) -> Result<(), ConnectError> {
    let who = Authenticate { memory_namespace: namespace.map(str::to_owned), ..proof.params() };
    let hello = Handshake {
        protocol_version: PROTOCOL.into(),
        client_version: Some(env!("CARGO_PKG_VERSION").into()),
        required_capabilities: None,
    };
    let proved = link.begin(Authenticate::NAME, &who).await?;
    let settled = link.begin(Handshake::NAME, &hello).await?;
    proved.reply().await.map_err(|error| match error {
        CallError::Rpc(error) if error.field() != Some("memory_namespace") => {
            denied(role, proof, error)
        }
        error => error.into(),
    })?;
    match settled.reply().await {
        // A daemon without versions has nothing to settle.
        Err(CallError::Rpc(error)) if error.code == codes::METHOD_NOT_FOUND => Ok(()),
        settled => Ok(settled.map(drop)?),
    }
}

fn denied(role: &Role, proof: &Proof, error: RpcError) -> ConnectError {
    ConnectError::Denied { role: role.clone(), token: proof.source().into(), error }
}
