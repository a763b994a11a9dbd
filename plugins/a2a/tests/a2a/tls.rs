//! The listener over TLS: all of it works, bad files are refused, and who does not speak it costs a place.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use carport_core::{
    Config, Host, Registry,
    testing::{TestHost, TestHostBuilder},
};
use carport_engine_api::{ENGINE, Engine};
use reqwest::{Certificate, Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, pause, resume},
};

use crate::{
    http::Listener,
    scene::{FakeEngine, say, state, with_engine, with_obedient},
};

/// A certificate and its key in files, as the configuration names them.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        files.put("cert.pem", include_str!("certificates/leaf.pem"), 0o644);
        files.put("key.pem", include_str!("certificates/leaf.key"), 0o600);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn put(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn section(&self) -> Value {
        json!({ "cert": self.path("cert.pem"), "key": self.path("key.pem") })
    }
}

/// A client that trusts the tests' authority and nobody else.
fn trusting(authority: &str) -> Client {
    let authority = Certificate::from_pem(authority.as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
}

fn client() -> Client {
    trusting(include_str!("certificates/ca.pem"))
}

/// Posts a call of v1.0 with the token.
async fn post(client: &Client, url: &str, method: &str, params: Value) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": "r1", "method": method, "params": params });
    let request = client.post(url).header("A2A-Version", "1.0").bearer_auth("token-of-ann");
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    request.send().await.expect("an answer")
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn cards_calls_streams_and_refusals_go_over_tls() {
    let files = Files::new();
    files.put("ann", "token-of-ann", 0o600);
    let tokens = json!({ "ann": format!("file:{}", files.path("ann").display()) });
    let section = json!({
        "tls": files.section(),
        "tokens": tokens,
        "allowed_origins": ["https://app.example"],
        "listen": { "bind": "127.0.0.1:0", "auth": "bearer" },
    });
    let (builder, _) = with_obedient();
    let host = builder.plugin("a2a", section).start().await;
    let status = host.client().await.raw("a2a.status", json!({})).await.unwrap();
    let url = format!("https://{}", status["bound"].as_str().unwrap());
    assert_eq!(status["public_url"], url);
    let client = client();
    let card_url = format!("{url}/.well-known/agent-card.json");
    let card = client.get(&card_url).send().await.unwrap();
    assert_eq!(card.version(), reqwest::Version::HTTP_11);
    let card = json_of(card).await;
    assert_eq!(card["supportedInterfaces"][0]["url"], format!("{url}/"));
    assert_eq!(card["securityRequirements"], json!([{ "schemes": { "bearer": { "list": [] } } }]));
    let by_name = card_url.replace("127.0.0.1", "localhost");
    assert_eq!(client.get(by_name).send().await.unwrap().status(), 200);
    for (name, value, status) in [
        ("host", "evil.example", 403),
        ("origin", "https://evil.example", 403),
        ("origin", "https://app.example", 200),
    ] {
        let answer = client.get(&card_url).header(name, value).send().await.unwrap();
        assert_eq!(answer.status(), status, "{name} {value}");
    }
    let refused = client.post(&url).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    let sent = json_of(post(&client, &url, "SendMessage", say("it")).await).await;
    let said = &sent["result"]["task"]["status"]["message"]["parts"][0]["text"];
    assert_eq!(said, "did it as peer:ann");
    let stream = post(&client, &url, "SendStreamingMessage", say("make it")).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let text = stream.text().await.unwrap();
    let events: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!((events.len(), state(&last["result"]["statusUpdate"])), (4, "COMPLETED"));
    let wary = trusting(include_str!("certificates/later.pem"));
    assert!(wary.get(&card_url).send().await.is_err(), "it has no other certificate");
}

/// A listener of a host with a certificate.
async fn listening(builder: TestHostBuilder, files: &Files) -> (TestHost, String) {
    let host = builder.plugin("a2a", json!({ "tls": files.section() })).start().await;
    let Listener(bound) = Listener::of(&host, json!({})).await;
    (host, bound)
}

async fn is_answered(client: &Client, bound: &str) -> bool {
    client.get(format!("https://{bound}/healthz")).send().await.is_ok_and(|it| it.status() == 200)
}

#[tokio::test]
async fn who_speaks_no_tls_is_closed_and_nobody_else() {
    let files = Files::new();
    let (_host, bound) = listening(with_engine(), &files).await;
    for words in [&b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0; 64], &[0xff; 9000]]
    {
        let mut plain = TcpStream::connect(&bound).await.unwrap();
        plain.write_all(words).await.unwrap();
        let mut told = Vec::new();
        // Closed at once is an error where not all was read.
        let _ = plain.read_to_end(&mut told).await;
        assert!(!told.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&told));
    }
    assert!(is_answered(&client(), &bound).await);
}

#[tokio::test]
async fn who_never_greets_has_a_place_for_10_seconds_and_no_longer() {
    let files = Files::new();
    let (_host, bound) = listening(with_engine(), &files).await;
    let before = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..256 {
        silent.push(TcpStream::connect(&bound).await.unwrap());
    }
    let (url, client) = (format!("https://{bound}/healthz"), client());
    let refused = client.get(&url).send().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    // Nor is it told to more than a few at a time.
    for _ in 0..16 {
        silent.push(TcpStream::connect(&bound).await.unwrap());
    }
    assert!(client.get(&url).send().await.is_err());
    pause();
    let since = Instant::now();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or_default(), 0);
    }
    assert!(before.elapsed().as_secs() >= 10 && since.elapsed().as_secs() <= 10);
    resume();
    assert!(is_answered(&client, &bound).await);
}

/// What a daemon says that does not start with this section.
async fn refusal(section: Value) -> String {
    let mut config = Config::default();
    config.provide(&ENGINE, Arc::new(FakeEngine) as Arc<dyn Engine>);
    config.plugins.insert("a2a".into(), section);
    let registry = Registry::linked(&[], &config.provided()).unwrap();
    let started = Host::start(registry, config).await;
    started.err().expect("it does not start").to_string()
}

#[tokio::test]
async fn files_that_cannot_be_used_end_a_boot_and_a_start() {
    let files = Files::new();
    files.put("key.pem", include_str!("certificates/later.key"), 0o600);
    let section = json!({ "tls": files.section(), "listen": { "bind": "127.0.0.1:0" } });
    let told = refusal(section).await;
    let named = format!("`a2a.tls.key` ({})", files.path("key.pem").display());
    assert!(told.contains(&named) && told.contains("belong together"), "{told}");

    // Without a listener nothing is read, and each start reads anew.
    let host = with_engine().plugin("a2a", json!({ "tls": files.section() })).start().await;
    let mut client = host.client().await;
    let bind = json!({ "bind": "127.0.0.1:0" });
    let error = client.raw("a2a.start", bind.clone()).await.unwrap_err();
    assert!(error.code == -32603 && error.message.contains(&named), "{}", error.message);
    files.put("key.pem", include_str!("certificates/leaf.key"), 0o644);
    let error = client.raw("a2a.start", bind.clone()).await.unwrap_err();
    assert!(error.message.contains("chmod 600"), "{}", error.message);
    files.put("key.pem", include_str!("certificates/leaf.key"), 0o600);
    assert!(client.raw("a2a.start", bind).await.is_ok());
}

#[tokio::test]
async fn an_address_that_others_reach_needs_all_that_is_missing() {
    let files = Files::new();
    for bind in ["0.0.0.0:0", "[::]:0", "203.0.113.1:0"] {
        let told = refusal(json!({ "listen": { "bind": bind } })).await;
        for word in ["`a2a.tls`", "bearer"] {
            assert!(told.contains(word), "{told}");
        }
        let wildcard = !bind.starts_with("203");
        assert_eq!(told.contains("`public_url`"), wildcard, "{told}");
        assert!(!told.contains("host role"), "the configuration may: {told}");
    }
    let bare = with_engine().start().await;
    let whole = with_engine().plugin("a2a", json!({ "tls": files.section() })).start().await;
    let tests = json!({ "tls": files.section(), "test_executor": true });
    let tests = with_engine().plugin("a2a", tests).start().await;
    let public =
        json!({ "bind": "0.0.0.0:0", "auth": "bearer", "public_url": "https://a.example" });
    let plain = json!({ "bind": "203.0.113.1:0" });
    for (mut client, params, missing) in [
        (bare.client().await, &plain, json!(["tls", "auth", "host"])),
        (bare.agent("a").await, &plain, json!(["tls", "auth", "host"])),
        (bare.host().await, &plain, json!(["tls", "auth"])),
        (bare.host().await, &public, json!(["tls"])),
        (whole.client().await, &public, json!(["host"])),
        (whole.agent("a").await, &public, json!(["host"])),
        (whole.host().await, &plain, json!(["auth"])),
        (whole.host().await, &json!({ "bind": "0.0.0.0:0" }), json!(["auth", "public_url"])),
        (tests.host().await, &public, json!(["test_executor"])),
    ] {
        let error = client.raw("a2a.start", params.clone()).await.unwrap_err();
        let data = error.data.unwrap();
        assert_eq!((error.code, &data["reason"]), (-32011, &json!("routable")), "{params}");
        assert_eq!(data["missing"], missing, "{params}");
        assert!(error.message.ends_with(data["remedy"].as_str().unwrap()), "{}", error.message);
    }
}
