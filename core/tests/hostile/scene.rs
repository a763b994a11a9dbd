//! A listening host, a bystander that keeps asking, and the memory of this process.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use carport_core::{Config, Host, Listener, Registry, Settings};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// How long anything here may take before the test fails; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Socket = WebSocketStream<TcpStream>;

pub(crate) struct Scene {
    pub(crate) host: Arc<Host>,
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Scene {
    pub(crate) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut config = Config::default();
        config.tokens.client = Some("token".into());
        config.tokens.host = Some("host-token".into());
        change(&mut config.settings);
        let registry = Registry::linked(&[], &[]).unwrap();
        let host = Host::start(registry, config).await.unwrap();
        let listener = Listener::bind(Some(([127, 0, 0, 1], 0).into()), &[]).await.unwrap();
        let address = listener.address().unwrap();
        let serving = tokio::spawn(listener.serve(host.clone()));
        Self { host, address, serving }
    }

    pub(crate) async fn stream(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn stranger(&self) -> Socket {
        let url = format!("ws://{}/", self.address);
        client_async(url, self.stream().await).await.unwrap().0
    }

    pub(crate) async fn client(&self) -> Socket {
        let mut socket = self.stranger().await;
        let reply = ask(&mut socket, "session.auth", r#"{"token":"token"}"#).await;
        assert_eq!(reply["result"]["role"], "client", "{reply}");
        socket
    }

    /// Starts a bystander that asks one question after another until it is dismissed.
    pub(crate) async fn bystander(&self) -> Bystander {
        let mut socket = self.client().await;
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn({
            let (stop, answered) = (stop.clone(), answered.clone());
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let reply = ask(&mut socket, "server.ping", "{}").await;
                    assert_eq!(reply["result"]["ok"], true);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Bystander { stop, answered, task }
    }

    /// Waits until only `count` sessions are open.
    pub(crate) async fn settles_at(&self, count: usize) {
        let settled = async {
            while self.host.open_sessions() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let open = || self.host.open_sessions();
        assert!(timeout(PATIENCE, settled).await.is_ok(), "{} open, not {count}", open());
    }

    pub(crate) async fn close(self) {
        self.host.shutdown().await;
        timeout(PATIENCE, self.serving).await.unwrap().unwrap();
    }
}

pub(crate) struct Bystander {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Bystander {
    /// Waits until it has been answered so many times more.
    pub(crate) async fn is_answered(&self, times: u64) {
        let until = self.answered.load(Ordering::Relaxed) + times;
        let answered = async {
            while self.answered.load(Ordering::Relaxed) < until {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, answered).await.expect("the bystander is answered");
    }

    pub(crate) async fn dismiss(self) {
        self.stop.store(true, Ordering::Relaxed);
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// One call and its answer.
pub(crate) async fn ask(socket: &mut Socket, method: &str, params: &str) -> Value {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    socket.send(Message::text(text)).await.unwrap();
    let next = timeout(PATIENCE, socket.next()).await.expect("an answer in time");
    serde_json::from_str(next.unwrap().unwrap().to_text().unwrap()).unwrap()
}

/// Reads to the end: the close code, if a close frame came.
pub(crate) async fn close_code(socket: &mut Socket) -> Option<u16> {
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("an end in time") {
            Some(Ok(Message::Close(frame))) => return frame.map(|it| it.code.into()),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

/// Resident memory of this process in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
