//! Providers over a network and as a program, against a server on this machine that misbehaves.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod elevenlabs;
mod espeak;
mod openai;
mod server;

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::testing::{TestClient, TestHost};
use carport_voice as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;

/// What nobody but the server may ever see.
const KEY: &str = "sk-0123456789-abcdefghijkl";
/// Bytes of half a second of 16 kHz s16le.
const PUSH: usize = 16_000;
/// Bytes of a WAV header as the samples have it.
const HEADER: usize = 44;

/// Everything that was logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log() -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone());
        subscriber.init();
        log
    })
}

/// A host with one provider, `cloud`, whose service is a server of the test.
struct Lab {
    host: TestHost,
    server: Server,
    /// What clients were told.
    told: Mutex<String>,
    _directory: TempDir,
}

impl Lab {
    async fn start(kind: &str) -> Self {
        Self::patient(kind, 1).await
    }

    /// With so many seconds that the service may say nothing.
    async fn patient(kind: &str, timeout_secs: u64) -> Self {
        log();
        let directory = TempDir::new().unwrap();
        let key = directory.path().join("key");
        std::fs::write(&key, format!("{KEY}\n")).unwrap();
        let server = Server::start().await;
        let cloud = json!({
            "kind": kind,
            "base_url": server.base,
            "key": format!("file:{}", key.display()),
            "timeout_secs": timeout_secs,
        });
        let host = host(json!({ "cloud": cloud })).await;
        Self { host, server, told: Mutex::default(), _directory: directory }
    }

    /// Starts a stream and waits for its first event.
    async fn listen(&self, client: &mut TestClient, options: Value) -> Value {
        let mut options = options;
        options["provider"] = "cloud".into();
        let params = json!({ "session_id": "s", "options": options });
        client.raw("voice.transcribe_stream.start", params).await.unwrap();
        self.next(client).await
    }

    /// The next event.
    async fn next(&self, client: &mut TestClient) -> Value {
        let frame = client.frame(|it| it["method"] == "voice.event").await;
        self.told.lock().unwrap().push_str(&frame.to_string());
        frame["params"]["event"].clone()
    }

    /// The next event of this type.
    async fn event(&self, client: &mut TestClient, kind: &str) -> Value {
        loop {
            let event = self.next(client).await;
            if event["type"] == kind {
                return event;
            }
            assert_ne!(event["type"], "session_stopped", "there was no {kind}");
        }
    }

    /// The failure that a stream or speech ends with.
    async fn error(&self, client: &mut TestClient, kind: &str) -> (String, Value) {
        let error = self.event(client, kind).await;
        (error["code"].as_str().unwrap().to_owned(), error["retry_after_ms"].clone())
    }

    async fn speak(&self, client: &mut TestClient, text: &str) {
        let options = json!({ "provider": "cloud", "format": "pcm" });
        let params = json!({ "stream_id": "t", "text": text, "options": options });
        client.raw("voice.tts_stream.start", params).await.unwrap();
    }

    /// All samples of a speech.
    async fn sound(&self, client: &mut TestClient) -> Vec<u8> {
        let mut sound = Vec::new();
        loop {
            let chunk = self.event(client, "tts_chunk").await;
            sound.extend(STANDARD.decode(chunk["audio_b64"].as_str().unwrap()).unwrap());
            if chunk["is_final"] == true {
                return sound;
            }
        }
    }

    /// Nothing is left, and nobody but the server saw the key.
    async fn is_clean(&self) {
        settled(&self.host).await;
        let seen = self.server.seen.lock().unwrap();
        assert!(!seen.is_empty() && seen.iter().all(|it| it.head.contains(KEY)));
        let log = String::from_utf8_lossy(&log().0.lock().unwrap()).into_owned();
        assert!(log.contains("TRACE"), "the log would show everything");
        assert!(!log.contains(KEY) && !self.told.lock().unwrap().contains(KEY));
    }
}

async fn host(providers: Value) -> TestHost {
    let config = json!({ "local": false, "providers": providers });
    TestHost::builder().plugin("voice", config).start().await
}

/// Waits until no stream, speech or thread is left.
async fn settled(host: &TestHost) {
    let patience = Instant::now() + Duration::from_secs(10);
    let mut client = host.host().await;
    loop {
        let reply = client.raw("host.metrics", json!({})).await.unwrap();
        let text = reply["text"].as_str().unwrap();
        let is_none = |it: &str| text.contains(&format!("carport_voice_{it} 0\n"));
        if ["streams", "speeches", "threads"].into_iter().all(is_none) {
            return;
        }
        assert!(Instant::now() < patience, "something is left: {text}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A person's voice, as 16 kHz s16le.
fn recording() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples/librivox_0880.wav");
    std::fs::read(path).unwrap().split_off(HEADER)
}

async fn push(client: &mut TestClient, pcm: &[u8]) {
    for piece in pcm.chunks(PUSH) {
        let params = json!({ "session_id": "s", "pcm_b64": STANDARD.encode(piece) });
        client.raw("voice.transcribe_stream.push", params).await.unwrap();
    }
}

async fn stop(client: &mut TestClient) -> Value {
    client.raw("voice.transcribe_stream.stop", json!({ "session_id": "s" })).await.unwrap()
}
