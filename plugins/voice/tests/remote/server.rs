//! A server on this machine that answers as a test says, and keeps what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

/// The server's side of a WebSocket.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// What a request is answered with.
pub(crate) enum Act {
    /// A whole answer.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// A body in chunks of which the last never comes, as when a server dies.
    Torn(Vec<u8>),
    /// The start of a body, and then nothing for good.
    Stuck(Vec<u8>),
    /// Nothing at all.
    Hang,
    /// A WebSocket, which the test gets.
    Socket,
}

pub(crate) fn answer(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Act {
    Act::Answer { status, headers: vec![("content-type", kind.into())], body: body.into() }
}

pub(crate) fn refusal(status: u16, headers: &[(&'static str, &str)]) -> Act {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Act::Answer { status, headers, body: crate::KEY.into() }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| line.split_once(':').map(|(it, _)| it.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|it| of(it) == Some(true))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }
}

pub(crate) struct Server {
    pub(crate) base: String,
    acts: Arc<Mutex<VecDeque<Act>>>,
    pub(crate) seen: Arc<Mutex<Vec<Request>>>,
    sockets: mpsc::Receiver<Socket>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (acts, seen) =
            (Arc::<Mutex<VecDeque<Act>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (opened, sockets) = mpsc::channel(16);
        let (script, book) = (acts.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), book.clone(), opened.clone()));
            }
        });
        Self { base, acts, seen, sockets }
    }

    /// The next request that nothing is planned for is answered so.
    pub(crate) fn plan(&self, act: Act) {
        self.acts.lock().unwrap().push_back(act);
    }

    pub(crate) async fn socket(&mut self) -> Socket {
        self.sockets.recv().await.unwrap()
    }

    pub(crate) fn last(&self) -> Request {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    acts: Arc<Mutex<VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<Request>>>,
    opened: mpsc::Sender<Socket>,
) {
    let Some(request) = read(&mut stream).await else { return };
    let nonce = request.header("sec-websocket-key").map(str::to_owned);
    seen.lock().unwrap().push(request);
    let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Hang);
    match act {
        Act::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
        Act::Torn(body) => chunked(&mut stream, &body).await,
        Act::Stuck(body) => {
            chunked(&mut stream, &body).await;
            idle(&mut stream).await;
        }
        Act::Hang => idle(&mut stream).await,
        Act::Socket => {
            let accept = derive_accept_key(nonce.unwrap().as_bytes());
            let head = format!(
                "HTTP/1.1 101 X\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {accept}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            let _ = opened.send(socket).await;
        }
    }
}

async fn chunked(stream: &mut TcpStream, body: &[u8]) {
    let head = "HTTP/1.1 200 X\r\ncontent-type: audio/pcm\r\ntransfer-encoding: chunked\r\n\r\n";
    let size = format!("{:x}\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), size.as_bytes(), body, b"\r\n"].concat()).await;
}

/// Says nothing until the other side goes.
async fn idle(stream: &mut TcpStream) {
    let mut bytes = [0; 64];
    while stream.read(&mut bytes).await.is_ok_and(|it| it > 0) {}
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let mut request = Request { line, head, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |it| it.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    request.body = body;
    Some(request)
}
