//! The load: connections that each keep a number of requests in flight.

use std::{
    fmt,
    net::SocketAddr,
    str::FromStr,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error as WsError, Message},
};

/// A client's end of a connection.
pub type Socket = WebSocketStream<TcpStream>;

/// How many connections, and how many requests each keeps in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections.
    pub connections: usize,
    /// Requests in flight on each.
    pub in_flight: usize,
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('x').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (connections, in_flight) = parts.ok_or("a shape is CONNECTIONSxIN_FLIGHT")?;
        Ok(Self { connections, in_flight })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.connections, self.in_flight)
    }
}

/// A shape and how long it lasts.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Connections and requests in flight.
    pub shape: Shape,
    /// How long.
    pub time: Duration,
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests that were answered.
    pub requests: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Latencies in nanoseconds, every 16th request.
    pub latencies: Vec<u64>,
}

/// Opens the connections and authenticates each; a server without authentication just answers.
pub async fn connect(address: SocketAddr, count: usize) -> Result<Vec<Socket>, WsError> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = client_async(format!("ws://{address}/"), stream).await?;
        let auth = r#"{"jsonrpc":"2.0","id":0,"method":"session.auth","params":{"token":"bench"}}"#;
        socket.send(Message::text(auth)).await?;
        socket.next().await.ok_or(WsError::ConnectionClosed)??;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Closes every connection with a closing handshake.
pub async fn close(sockets: Vec<Socket>) -> Result<(), WsError> {
    let mut tasks = JoinSet::new();
    for mut socket in sockets {
        tasks.spawn(async move {
            socket.close(None).await?;
            while let Some(Ok(_)) = socket.next().await {}
            Ok::<_, WsError>(())
        });
    }
    while let Some(closed) = tasks.join_next().await {
        closed.map_err(|_| WsError::ConnectionClosed)??;
    }
    Ok(())
}

/// Keeps every connection busy for the load's time; what is in flight at the end is answered.
pub async fn run(sockets: Vec<Socket>, load: Load) -> Result<(Vec<Socket>, Outcome), WsError> {
    let began = Instant::now();
    let until = began + load.time;
    let mut tasks = JoinSet::new();
    for socket in sockets {
        tasks.spawn(keep_busy(socket, load.shape.in_flight, until));
    }
    let (mut sockets, mut all) = (Vec::new(), Outcome::default());
    while let Some(joined) = tasks.join_next().await {
        let (socket, outcome) = joined.map_err(|_| WsError::ConnectionClosed)??;
        sockets.push(socket);
        all.requests += outcome.requests;
        all.latencies.extend(outcome.latencies);
    }
    all.elapsed = began.elapsed();
    Ok((sockets, all))
}

/// Sends a new request for each reply. Replies come in the order of requests from every server here,
/// so the oldest time of sending belongs to the reply that just came.
async fn keep_busy(
    mut socket: Socket,
    in_flight: usize,
    until: Instant,
) -> Result<(Socket, Outcome), WsError> {
    let mut outcome = Outcome::default();
    let mut sent = std::collections::VecDeque::with_capacity(in_flight);
    let mut next = 1u64;
    for _ in 0..in_flight {
        socket.feed(request(next)).await?;
        sent.push_back(Instant::now());
        next += 1;
    }
    socket.flush().await?;
    while let Some(began) = sent.pop_front() {
        let reply = socket.next().await.ok_or(WsError::ConnectionClosed)??;
        assert!(reply.to_text()?.contains("\"ok\":true"), "not an answer: {reply}");
        outcome.requests += 1;
        if outcome.requests.is_multiple_of(16) {
            outcome.latencies.push(began.elapsed().as_nanos() as u64);
        }
        if Instant::now() < until {
            socket.feed(request(next)).await?;
            sent.push_back(Instant::now());
            next += 1;
            // Replies that are here already are taken before the socket is flushed: a client with
            // many requests in flight writes them together, as the servers do.
            if sent.len() >= in_flight.div_ceil(2)
                && next.is_multiple_of((in_flight as u64).div_ceil(2))
            {
                socket.flush().await?;
            }
        } else {
            socket.flush().await?;
        }
    }
    Ok((socket, outcome))
}

fn request(id: u64) -> Message {
    Message::text(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"server.ping","params":{{}}}}"#))
}
