//! From a fresh socket to a WebSocket: who may upgrade, and what everybody else is told.

use std::{io, net::IpAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::{
            machine::TryParse,
            server::{Request, create_response, write_response},
        },
        http::{StatusCode, header},
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{
    dispatch::{config::TransportSettings, connection::Socket},
    wire::metered::Metered,
};

/// How long a client may take over its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);
/// How large the request may be.
const REQUEST_BYTES: usize = 16 * 1024;
/// What one connection reads at once; most frames are far smaller.
const READ_BUFFER: usize = 4 * 1024;
/// Replies are collected up to this many bytes before they are written.
const WRITE_BUFFER: usize = 16 * 1024;

/// Why a socket did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("answered {0}: {1}")]
    Answered(StatusCode, &'static str),
}

/// What the rules say about a request.
pub(crate) struct Door<'a> {
    pub(crate) settings: &'a TransportSettings,
    /// Whether `Host` has to be a name of this machine: over TCP, against DNS rebinding.
    pub(crate) check_host: bool,
}

/// Reads the request, checks it and answers. What came after the request is not lost.
pub(crate) async fn upgrade<S>(mut stream: S, door: &Door<'_>) -> Result<Socket, Refused>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let opened = timeout(REQUEST_LIMIT, open(&mut stream, door)).await;
    let opened = opened.unwrap_or(Err(Refused::Answered(
        StatusCode::REQUEST_TIMEOUT,
        "the request did not come in time",
    )));
    match opened {
        Ok(rest) => {
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER)
                .write_buffer_size(WRITE_BUFFER)
                .max_message_size(Some(door.settings.max_message_bytes))
                .max_frame_size(Some(door.settings.max_message_bytes));
            let stream = Metered::new(stream);
            let role = Role::Server;
            Ok(WebSocketStream::from_partially_read(stream, rest, role, Some(config)).await)
        }
        Err(refused) => {
            if let Refused::Answered(status, why) = &refused {
                let _ = timeout(REQUEST_LIMIT, turn_away(&mut stream, *status, why)).await;
            }
            Err(refused)
        }
    }
}

async fn open<S>(stream: &mut S, door: &Door<'_>) -> Result<Vec<u8>, Refused>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (request, rest) = read_request(stream).await?;
    door.admit(&request).map_err(|why| Refused::Answered(StatusCode::FORBIDDEN, why))?;
    let response = create_response(&request).map_err(|_| {
        Refused::Answered(StatusCode::UPGRADE_REQUIRED, "this port speaks WebSocket 13")
    })?;
    let mut head = Vec::new();
    write_response(&mut head, &response).map_err(io::Error::other)?;
    stream.write_all(&head).await?;
    Ok(rest)
}

async fn read_request<S>(stream: &mut S) -> Result<(Request, Vec<u8>), Refused>
where
    S: AsyncRead + Unpin,
{
    let mut head = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match Request::try_parse(&head) {
            Ok(Some((size, request))) => return Ok((request, head.split_off(size))),
            Ok(None) if head.len() < REQUEST_BYTES => {}
            Ok(None) => {
                let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                return Err(Refused::Answered(status, "the request is larger than 16 KiB"));
            }
            Err(_) => {
                let why = "the request is malformed or not a GET";
                return Err(Refused::Answered(StatusCode::BAD_REQUEST, why));
            }
        }
    }
}

async fn turn_away<S>(stream: &mut S, status: StatusCode, why: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let reason = status.canonical_reason().unwrap_or("Refused");
    let answer = format!(
        "HTTP/1.1 {} {reason}\r\nConnection: close\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{why}",
        status.as_str(),
        why.len(),
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Unread bytes would reset the connection and could take the answer with it.
    let mut rest = [0; 1024];
    let mut left = 256 * 1024;
    while left > 0 {
        match stream.read(&mut rest).await? {
            0 => break,
            count => left -= count.min(left),
        }
    }
    Ok(())
}

impl Door<'_> {
    fn admit(&self, request: &Request) -> Result<(), &'static str> {
        let header = |name| request.headers().get(name).map(|it| it.to_str().unwrap_or(""));
        if let Some(origin) = header(header::ORIGIN)
            && !self.settings.allowed_origins.contains(origin)
        {
            return Err("this Origin is not in transport.allowed_origins");
        }
        let host = host_name(header(header::HOST).unwrap_or(""));
        if self.check_host && !is_loopback(host) && !self.settings.allowed_hosts.contains(host) {
            return Err("this Host is not in transport.allowed_hosts");
        }
        Ok(())
    }
}

/// The name in a `Host` header, without its port.
fn host_name(header: &str) -> &str {
    match header.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => header.rsplit_once(':').map_or(header, |(name, _)| name),
    }
}

fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_is_given_up_after_ten_seconds() {
        let (mut near, far) = tokio::io::duplex(1024);
        let began = tokio::time::Instant::now();
        let upgrading = tokio::spawn(async move {
            let settings = TransportSettings::default();
            upgrade(far, &Door { settings: &settings, check_host: false }).await.map(drop)
        });
        for byte in b"GET / HTTP/1.1\r\n" {
            near.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert_eq!(began.elapsed().as_secs(), 10);
        drop(near);
        assert!(upgrading.await.unwrap().is_err());
    }

    #[test]
    fn a_host_header_is_a_name_and_perhaps_a_port() {
        for (header, name, loopback) in [
            ("localhost", "localhost", true),
            ("LocalHost:9170", "LocalHost", true),
            ("127.0.0.1:9170", "127.0.0.1", true),
            ("127.9.9.9", "127.9.9.9", true),
            ("[::1]:9170", "::1", true),
            ("[::1]", "::1", true),
            ("evil.example:9170", "evil.example", false),
            ("localhost.evil.example", "localhost.evil.example", false),
            ("", "", false),
        ] {
            assert_eq!((host_name(header), is_loopback(host_name(header))), (name, loopback));
        }
    }
}
