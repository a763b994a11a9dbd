//! A process that may open no more files, which is why it is one of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::File;

use carport_core::testing::{TestClient, TestHost};
use carport_memory as _;
use rustix::{
    fd::AsRawFd,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use serde_json::json;

async fn add(client: &mut TestClient, body: &str) {
    client.raw("memory.add_fact", json!({ "subject": "s", "body": body })).await.unwrap();
}

/// Whatever a rewrite fails at, the file that is written to afterwards is the one that is read again.
#[tokio::test]
async fn a_rewrite_that_runs_out_of_files_loses_nothing_that_is_acknowledged_later() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    add(&mut agent, "before").await;
    let before = getrlimit(Resource::Nofile);
    let next = u64::try_from(File::open("/dev/null").unwrap().as_raw_fd()).unwrap();
    for left in 0..4 {
        let few = Rlimit { current: Some(next + left), ..before };
        setrlimit(Resource::Nofile, few).unwrap();
        let tidied = agent.raw("memory.consolidate", json!({})).await;
        setrlimit(Resource::Nofile, before).unwrap();
        assert_eq!(tidied.is_ok(), left >= 2, "{left}");
        add(&mut agent, &format!("after {left}")).await;
        let again = TestHost::builder().on_root_of(&host).start().await;
        let count = again.agent("ada").await.raw("memory.fact_count", json!({})).await.unwrap();
        assert_eq!(count, left + 2);
    }
}
