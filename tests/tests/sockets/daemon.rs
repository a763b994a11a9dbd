//! A daemon in a process of its own on a state root of its own, and connections to it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, UnixStream},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// How long a process may take over anything before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The binary of this build, beside the test's own.
pub(crate) fn binary() -> PathBuf {
    program("carport")
}

/// A program of this build.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    let path = path.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.exists(), "build it first: cargo build -p {name} (tests/run does)");
    path
}

/// Waits until `done` says so.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A state root, and perhaps a daemon on it.
pub(crate) struct Daemon {
    pub(crate) root: Arc<TempDir>,
    /// The state root as this process sees it.
    view: PathBuf,
    child: Child,
}

impl Daemon {
    pub(crate) async fn start(args: &[&str]) -> Self {
        Self::start_on(Arc::new(tempfile::tempdir().unwrap()), args).await
    }

    pub(crate) async fn with_config(config: &str) -> Self {
        let root = Arc::new(tempfile::tempdir().unwrap());
        fs::write(root.path().join("config.toml"), config).unwrap();
        Self::start_on(root, &[]).await
    }

    pub(crate) async fn start_on(root: Arc<TempDir>, args: &[&str]) -> Self {
        let _ = fs::remove_file(root.path().join("run/endpoint.json"));
        let mut serve = command(&binary(), root.path(), &SERVE);
        let child = started(serve.args(args), root.path());
        let view = root.path().to_owned();
        Self { root, view, child }.listening().await
    }

    /// A daemon on a file system of its own, which nobody else sees and which is gone when it ends.
    pub(crate) async fn mounted(kind: &str, options: &str, args: &[&str]) -> Self {
        let root = Arc::new(tempfile::tempdir().unwrap());
        let script = format!("mount -t {kind} -o {options} {kind} \"$1\"; shift; exec \"$@\"");
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount");
        if !rustix::process::getuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["sh", "-euc", &script, "sh"]).arg(root.path()).arg(binary()).args(SERVE);
        unshare.arg("--state-root").arg(root.path()).args(args);
        let child = started(&mut unshare, root.path());
        let inside = format!("/proc/{}/root{}", child.id().unwrap(), root.path().display());
        Self { root, view: inside.into(), child }.listening().await
    }

    async fn listening(mut self) -> Self {
        until("the daemon listens", || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}: {}", self.log());
            self.path("run/endpoint.json").exists()
        })
        .await;
        self
    }

    /// What the daemon wrote about itself.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.root.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.view.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) fn endpoint(&self) -> Value {
        serde_json::from_str(&self.read("run/endpoint.json")).unwrap()
    }

    pub(crate) fn address(&self) -> String {
        self.endpoint()["url"]
            .as_str()
            .unwrap()
            .trim_start_matches("ws://")
            .trim_end_matches('/')
            .into()
    }

    pub(crate) async fn stranger(&self) -> Peer {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        Peer::over(stream, &format!("ws://{}/", self.address())).await
    }

    pub(crate) async fn unix_stranger(&self) -> Peer {
        let stream = UnixStream::connect(self.path("run/carport.sock")).await.unwrap();
        Peer::over(stream, "ws://localhost/").await
    }

    pub(crate) async fn client(&self) -> Peer {
        self.known(json!({ "token": self.read("run/auth-token").trim() })).await
    }

    pub(crate) async fn host(&self) -> Peer {
        self.known(json!({ "host_token": self.read("run/host-token").trim() })).await
    }

    /// A connection of an agent, whose token is minted if it has none.
    pub(crate) async fn agent(&self, id: &str) -> Peer {
        let out = self.run(&["token", "agent", id, "--json"]).await;
        assert!(out.status.success(), "{out:?}");
        let token = self.read(&format!("run/agents/{id}.token"));
        self.known(json!({ "token": token.trim(), "agent_id": id })).await
    }

    pub(crate) async fn known(&self, proof: Value) -> Peer {
        let mut peer = self.stranger().await;
        peer.call("session.auth", proof).await.unwrap();
        peer
    }

    /// Runs a command of the binary on this state root.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        run_on(&self.view, args).await
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill")
            .args([format!("-{name}"), self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end of the process; its exit code.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap().code()
    }

    /// Kills it as a crash would.
    pub(crate) async fn crash(&mut self) {
        self.child.start_kill().unwrap();
        self.ended().await;
    }
}

const SERVE: [&str; 3] = ["serve", "--bind", "127.0.0.1:0"];

/// Starts a daemon that ends with the test and logs beside its state.
fn started(command: &mut Command, root: &Path) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(root.join("log"));
    let command = command.stdout(Stdio::null()).stderr(log.unwrap()).kill_on_drop(true);
    command.spawn().unwrap()
}

/// A command of a program on a state root, without the environment of whoever runs the tests.
pub(crate) fn command(program: &Path, root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .arg("--state-root")
        .arg(root)
        .env_remove("NOTIFY_SOCKET")
        .env("NO_COLOR", "1");
    for name in ["CARPORT_HOME", "CAR_HOME", "CARPORT_URL", "CARPORT_TOKEN", "CAR_DAEMON_URL"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command of the binary on a state root.
pub(crate) async fn run_on(root: &Path, args: &[&str]) -> Output {
    let running = command(&binary(), root, args).stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(PATIENCE, running).await.expect("it ends in time").unwrap()
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One connection.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<Box<dyn Stream>>,
    next: u64,
    aside: Vec<Value>,
}

impl Peer {
    async fn over(stream: impl Stream + 'static, url: &str) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (socket, _) = client_async(url, stream).await.unwrap();
        Self { socket, next: 0, aside: Vec::new() }
    }

    pub(crate) async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        let frame = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
        id
    }

    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.send(method, params).await;
        self.reply(id).await
    }

    pub(crate) async fn reply(&mut self, id: u64) -> Result<Value, Value> {
        let mut frame = self.frame(|it| it["id"] == id && it.get("method").is_none()).await;
        match frame.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(frame["result"].take()),
        }
    }

    pub(crate) async fn answer(&mut self, id: &Value, result: Value) {
        let frame = json!({ "jsonrpc": "2.0", "id": id, "result": result });
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn answer_error(&mut self, id: &Value, message: &str) {
        let error = json!({ "code": -32000, "message": message });
        let frame = json!({ "jsonrpc": "2.0", "id": id, "error": error });
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn frame(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at);
        }
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await.expect("a frame in time");
            let Some(Ok(message)) = next else { panic!("the connection ended: {next:?}") };
            if let Message::Text(text) = message {
                let frame: Value = serde_json::from_str(&text).unwrap();
                if wanted(&frame) {
                    return frame;
                }
                self.aside.push(frame);
            }
        }
    }

    /// Waits for the end: the close code, or `None` if the socket just ended.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("an end in time") {
                Some(Ok(Message::Close(frame))) => return frame.map(|it| it.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Everything that a raw TCP connection gets for these bytes.
pub(crate) async fn raw(address: &str, bytes: &[u8]) -> String {
    use tokio::io::AsyncWriteExt;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut all = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an end in time");
    String::from_utf8_lossy(&all).into_owned()
}
