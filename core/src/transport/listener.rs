//! Listens on TCP and on Unix sockets, and serves what comes.

use std::{
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    task::JoinSet,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::upgrade::{Door, upgrade};
use crate::{
    contract::session::Origin,
    dispatch::{
        closing::say_goodbye,
        connection::{self, Socket},
        host::Host,
    },
};

/// Connections that have not yet proved who they are.
const MAX_STRANGERS: usize = 64;
/// Sockets above the limit that are still told so; further ones are dropped unread.
const MAX_TOLD: usize = 128;

/// Where a host listens.
pub struct Listener {
    tcp: Option<TcpListener>,
    unix: Vec<(UnixListener, PathBuf)>,
}

/// Why a host cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Tcp(SocketAddr, #[source] io::Error),
    /// The address can be reached from other machines.
    #[error(
        "{0} can be reached from other machines, which needs TLS: listen on 127.0.0.1 and put a \
         TLS proxy in front"
    )]
    Routable(SocketAddr),
    /// The socket cannot be made.
    #[error("cannot listen on {path}: {error}", path = path.display())]
    Unix {
        /// Where the socket should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

impl Listener {
    /// Binds every address. A Unix socket that is left from a dead daemon is replaced, so call this
    /// only while holding the lock of the state root.
    pub async fn bind(tcp: Option<SocketAddr>, unix: &[PathBuf]) -> Result<Self, ListenError> {
        let tcp = match tcp {
            None => None,
            Some(address) if !address.ip().is_loopback() => {
                return Err(ListenError::Routable(address));
            }
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|error| ListenError::Tcp(address, error))?)
            }
        };
        let bind = |path: &PathBuf| {
            let bound =
                bind_unix(path).map_err(|error| ListenError::Unix { path: path.clone(), error })?;
            Ok((bound, path.clone()))
        };
        let unix = unix.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { tcp, unix })
    }

    /// The TCP address, with the port that the kernel chose.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|it| it.local_addr().ok())
    }

    /// Serves connections until the host stops and the last one has ended.
    pub async fn serve(self, host: Arc<Host>) {
        let Self { tcp, unix } = self;
        let hall = Arc::new(Hall { host: host.clone(), open: 0.into(), strangers: 0.into() });
        let mut stopping = host.shared().stopping.subscribe();
        let mut loops = JoinSet::new();
        if let Some(tcp) = tcp {
            loops.spawn(accept_tcp(tcp, hall.clone()));
        }
        let paths: Vec<_> = unix.iter().map(|(_, path)| path.clone()).collect();
        for (socket, _) in unix {
            loops.spawn(accept_unix(socket, hall.clone()));
        }
        // An error means that the host itself is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        loops.shutdown().await;
        for path in paths {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = UnixListener::bind(path)?;
    // The directory is 0700 already, so nobody else reaches the socket before its mode is set.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(socket)
}

async fn accept_tcp(tcp: TcpListener, hall: Arc<Hall>) {
    loop {
        match tcp.accept().await {
            Ok((stream, address)) => {
                // Replies are collected before they are written; waiting for more only delays them.
                let _ = stream.set_nodelay(true);
                hall.receive(stream, Origin::Tcp(address));
            }
            Err(error) => accept_failed(&error).await,
        }
    }
}

async fn accept_unix(socket: UnixListener, hall: Arc<Hall>) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => hall.receive(stream, Origin::Unix),
            Err(error) => accept_failed(&error).await,
        }
    }
}

/// Most often the process is out of file descriptors; some come back when connections end.
async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Everybody who is connected, and how many.
struct Hall {
    host: Arc<Host>,
    open: AtomicUsize,
    strangers: AtomicUsize,
}

/// One place in a count, given back when dropped.
struct Place(Arc<Hall>, fn(&Hall) -> &AtomicUsize);

impl Place {
    fn take(hall: &Arc<Hall>, count: fn(&Hall) -> &AtomicUsize) -> (Self, usize) {
        let taken = count(hall).fetch_add(1, Ordering::AcqRel) + 1;
        (Self(hall.clone(), count), taken)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        (self.1)(&self.0).fetch_sub(1, Ordering::AcqRel);
    }
}

impl Hall {
    fn receive<S>(self: &Arc<Self>, stream: S, origin: Origin)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limit = self.host.shared().settings.transport.max_connections;
        let (place, open) = Place::take(self, |hall| &hall.open);
        if open > limit + MAX_TOLD {
            return;
        }
        let hall = self.clone();
        tokio::spawn(async move {
            let settings = &hall.host.shared().settings.transport;
            let door = Door { settings, check_host: matches!(origin, Origin::Tcp(_)) };
            let (stranger, strangers) = Place::take(&hall, |hall| &hall.strangers);
            match upgrade(stream, &door).await {
                Err(refused) => tracing::debug!(%refused, %origin, "no upgrade"),
                Ok(socket) if open > limit || strangers > MAX_STRANGERS => {
                    tracing::warn!(%origin, open, strangers, "too many connections");
                    too_many(socket).await;
                }
                Ok(socket) => {
                    let known = Box::new(move || drop(stranger));
                    let session = hall.host.open(origin).await;
                    connection::serve(hall.host.clone(), session, socket, Some(known)).await;
                }
            }
            drop(place);
        });
    }
}

async fn too_many(mut socket: Socket) {
    let reason = Utf8Bytes::from_static("too many connections");
    let frame = CloseFrame { code: CloseCode::Again, reason };
    let _ = timeout(Duration::from_secs(1), say_goodbye(&mut socket, frame)).await;
}
