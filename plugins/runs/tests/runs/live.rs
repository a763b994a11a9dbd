//! The live export, to a collector that this test is.

use std::time::Duration;

use carport_core::{Config, Host, Registry, testing::TestHost};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{complete, record, start};

/// The body of the next request, which is answered with success.
async fn body(stream: &mut BufReader<TcpStream>) -> Vec<u8> {
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).await.unwrap() > 0 && !line.trim().is_empty() {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    body
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|it| it == wanted)
}

#[tokio::test]
async fn every_turn_and_the_run_reach_the_collector() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let section = json!({ "otlp_endpoint": endpoint });
    let host = TestHost::builder().plugin("runs", section).start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "measure").await;
    record(&mut agent, &run_id, "compile-it").await;
    complete(&mut agent, &run_id).await;
    let (stream, _) = collector.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    let (mut received, trace) = (Vec::new(), uuid::Uuid::parse_str(&run_id).unwrap());
    let collecting = async {
        while !has(&received, b"invoke_agent") {
            received.extend(body(&mut stream).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), collecting).await.expect("the span of the run");
    for wanted in [&b"compile-it"[..], b"execute_tool", b"builder", b"carport", trace.as_bytes()] {
        assert!(has(&received, wanted), "{}", String::from_utf8_lossy(wanted));
    }
}

#[tokio::test]
async fn a_collector_that_is_away_delays_nobody_and_is_counted() {
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let section = json!({ "otlp_endpoint": format!("http://{away}/v1/traces") });
    let host = TestHost::builder().plugin("runs", section).start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    for _ in 0..100 {
        assert!(record(&mut agent, &run_id, "t").await.ok);
    }
    complete(&mut agent, &run_id).await;
    let mut person = host.host().await;
    let counted = async {
        loop {
            let metrics = person.raw("host.metrics", json!({})).await.unwrap();
            let text = metrics["text"].as_str().unwrap();
            let line = text.lines().find(|it| it.starts_with("carport_runs_otlp_dropped_total "));
            if line.is_some_and(|it| it.ends_with(" 101")) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.expect("101 spans are counted");
}

#[tokio::test]
async fn a_collector_over_tls_is_refused_at_boot() {
    let root = tempfile::tempdir().unwrap();
    let mut config = Config { state_root: Some(root.path().into()), ..Config::default() };
    let section = json!({ "otlp_endpoint": "https://collector.example/v1/traces" });
    config.plugins.insert("runs".into(), section);
    let error = Host::start(Registry::linked(&[], &[]).unwrap(), config).await.err().unwrap();
    assert!(error.to_string().contains("http://"), "{error}");
}
