//! Connections of the listener: how many, how long what they begin with may take, and their end.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{App, door, tls::Tls};

/// Connections at a time; more are told to come again.
const MAX_CONNECTIONS: usize = 256;
/// With fewer free places than this, a connection ends with its answer: none is kept for what may come.
const FEW_PLACES: usize = MAX_CONNECTIONS / 2;
/// Connections beyond these that get a TLS handshake at a time, which is what costs most, only to be told so.
const MAX_TURNED_AWAY: usize = 16;
/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Milliseconds that a peer may leave unacknowledged what it was sent, or take nothing. A stream says
/// something every 15 s, so one whose peer is gone without a word ends within a minute; by itself the
/// kernel would go on sending for a quarter of an hour.
#[cfg(target_os = "linux")]
const SILENCE_LIMIT_MS: u32 = 30_000;
/// How long calls may go on when the listener stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long is waited when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is asked whether there is a new certificate.
const LOOK_EVERY: Duration = Duration::from_secs(60);

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\
                      Connection: close\r\n\r\n";

/// Serves until it is told to stop, over TLS if there is a certificate.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    app: Arc<App>,
    stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, tls.as_ref(), &app, stop, &mut connections) => {}
        () = keep_fresh(tls.as_ref()) => {}
    }
    drop(listener);
    let ended = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        connections.shutdown().await;
    }
}

/// Has a changed certificate read. Never ends.
async fn keep_fresh(tls: Option<&Tls>) {
    let Some(tls) = tls else { return pending().await };
    loop {
        sleep(LOOK_EVERY).await;
        tls.refresh().await;
    }
}

/// Takes connections in until it is told to stop.
async fn accept(
    listener: &TcpListener,
    tls: Option<&Tls>,
    app: &Arc<App>,
    mut stop: watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let doorsteps = Arc::new(Semaphore::new(MAX_TURNED_AWAY));
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => match (places.clone().try_acquire_owned(), tls.map(Tls::acceptor)) {
                (Ok(place), tls) => {
                    let talk =
                        Talk { app: app.clone(), places: places.clone(), stop: stop.clone() };
                    connections.spawn(connection(stream, tls, talk, place));
                }
                // Nobody waits for its request: what is said is said at once.
                (Err(_), None) => drop(stream.try_write(FULL)),
                (Err(_), Some(tls)) => {
                    if let Ok(doorstep) = doorsteps.clone().try_acquire_owned() {
                        connections.spawn(turn_away(stream, tls, doorstep));
                    }
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    mut talk: Talk,
    _place: OwnedSemaphorePermit,
) {
    prepare(&stream);
    let Some(tls) = tls else { return talk.run(stream).await };
    let greeted = tokio::select! {
        greeted = timeout(HANDSHAKE_LIMIT, tls.accept(stream)) => greeted,
        _ = talk.stop.wait_for(|stop| *stop) => return,
    };
    // Whoever is too slow or speaks something else is let go without a word in the log: it may be anybody.
    if let Ok(Ok(stream)) = greeted {
        talk.run(stream).await;
    }
}

/// Tells a client over TLS to come again, once it has begun to ask.
async fn turn_away(stream: TcpStream, tls: TlsAcceptor, _doorstep: OwnedSemaphorePermit) {
    let told = async {
        let mut stream = tls.accept(stream).await?;
        if stream.read(&mut [0; 1024]).await? > 0 {
            stream.write_all(FULL).await?;
        }
        stream.shutdown().await
    };
    // How a client takes it is its own affair.
    let _ = timeout(HANDSHAKE_LIMIT, told).await;
}

/// Has the kernel treat a connection as one that carries events. Without it all works, only later.
fn prepare(stream: &TcpStream) {
    // Events are small and come one by one: none waits until the one before is acknowledged.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, SILENCE_LIMIT_MS);
}

/// What answers the requests of one connection.
struct Talk {
    app: Arc<App>,
    /// The places of all connections.
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl Talk {
    async fn run(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let (app, places) = (self.app, self.places);
        let service = service_fn(move |request: Request<Incoming>| {
            let (app, places) = (app.clone(), places.clone());
            async move {
                let mut response: Response = door::enter(&app, request.map(Body::new)).await;
                if places.available_permits() < FEW_PLACES {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        // How a client leaves is its own affair.
        let _ = connection.await;
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use rustix::net::sockopt::tcp_user_timeout;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up_by_the_kernel() {
        let (_silent, mut served) = pair().await;
        prepare(&served);
        assert_eq!(tcp_user_timeout(&served).unwrap(), SILENCE_LIMIT_MS);
        // The same with a limit that a test can wait for.
        rustix::net::sockopt::set_tcp_user_timeout(&served, 300).unwrap();
        let bytes = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = served.write_all(&bytes).await {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    }
}
