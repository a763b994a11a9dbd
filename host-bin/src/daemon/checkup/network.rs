//! Where a daemon listens, or would.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use super::Finding;
use crate::daemon::{
    boot::MAX_SOCKET_PATH, endpoint::Endpoint, root::StateRoot, settings::own::OwnSettings,
};

/// How long a daemon may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// The endpoint file, against who holds the lock.
pub(super) fn published(root: &StateRoot, held: bool) -> Finding {
    let check = "endpoint";
    match (Endpoint::read(root), held) {
        (Err(exit), _) => Finding::fail(check, exit.message, "restart the daemon"),
        (Ok(None), false) => Finding::ok(check, "none: no daemon runs here"),
        (Ok(None), true) => Finding::warn(
            check,
            "a daemon holds the lock and does not listen",
            "it may be starting: look again, then at its log",
        ),
        (Ok(Some(stale)), false) => Finding::warn(
            check,
            format!("left by process {}, which was killed", stale.pid),
            "the next start replaces it",
        ),
        (Ok(Some(endpoint)), true) => match reach(&endpoint.url) {
            Ok(()) => Finding::ok(check, endpoint.url),
            Err(error) => Finding::fail(
                check,
                format!("process {} does not answer at {}: {error}", endpoint.pid, endpoint.url),
                format!("kill {} and start it again", endpoint.pid),
            ),
        },
    }
}

fn reach(url: &str) -> io::Result<()> {
    let address = url.strip_prefix("ws://").and_then(|it| it.parse().ok());
    let address: SocketAddr = address.ok_or(io::ErrorKind::InvalidData)?;
    TcpStream::connect_timeout(&address, PATIENCE).map(drop)
}

pub(super) fn address(bind: SocketAddr, running: Option<&Endpoint>) -> Finding {
    let check = "port";
    if !bind.ip().is_loopback() {
        let remedy = "listen on 127.0.0.1 and put a TLS proxy in front";
        return Finding::fail(check, format!("{bind} can be reached from other machines"), remedy);
    }
    match running {
        Some(daemon) if daemon.url == format!("ws://{bind}") => {
            Finding::ok(check, format!("{bind} is this daemon's"))
        }
        _ => match TcpListener::bind(bind) {
            Ok(_) => Finding::ok(check, format!("{bind} is free")),
            Err(error) => Finding::fail(
                check,
                format!("{bind}: {error}"),
                "choose another with --bind ADDR:PORT or `listen.bind` (port 0: any free one)",
            ),
        },
    }
}

pub(super) fn socket(root: &StateRoot, own: &OwnSettings) -> Finding {
    let check = "unix socket";
    let path = root.socket();
    let length = path.as_os_str().len();
    match own.listen.socket {
        false => Finding::ok(check, "switched off"),
        true if length > MAX_SOCKET_PATH => Finding::fail(
            check,
            format!("its path has {length} bytes, and the system takes {MAX_SOCKET_PATH}"),
            "name a state root with a shorter path, or switch it off (--no-socket)",
        ),
        true => Finding::ok(check, path.display().to_string()),
    }
}
