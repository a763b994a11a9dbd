//! Facts that are found by what they mean, and a daemon whose encoder is missing.

use std::path::Path;

use carport_core::testing::TestHost;
use serde_json::{Value, json};

#[cfg(feature = "embeddings")]
use crate::add;
use crate::{bodies, call};

async fn host(directory: &Path) -> TestHost {
    let directory = directory.to_str().unwrap().to_owned();
    let section = json!({ "embeddings": directory });
    let config = |config: &mut carport_core::Config| {
        config.plugins.insert("memory".into(), section);
    };
    TestHost::builder().config(config).start().await
}

#[tokio::test]
async fn without_an_encoder_words_find_what_they_find() {
    let root = tempfile::tempdir().unwrap();
    let mut plain = TestHost::start().await.client().await;
    let with = host(root.path()).await;
    let mut with = with.client().await;
    let mut found = Vec::new();
    for client in [&mut plain, &mut with] {
        for body in ["flush the cache", "warm the cache", "a mountain"] {
            let fact = json!({ "fact_id": body.replace(' ', "-"), "subject": "s", "body": body });
            call(client, "add_fact", fact).await;
        }
        // Without order: that of equal scores goes by the time of day.
        let hits = call(client, "query", json!({ "query": "cache" })).await;
        let mut hits: Vec<String> = hits.as_array().unwrap().iter().map(Value::to_string).collect();
        hits.sort();
        found.push(hits);
        assert_eq!(call(client, "stats", json!({})).await["understood"], Value::Null);
        assert!(bodies(client, "zebra").await.is_empty());
    }
    assert_eq!(found[0], found[1]);
}

#[cfg(feature = "embeddings")]
#[tokio::test]
async fn with_an_encoder_meaning_finds_what_words_do_not() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("embed/tests/tiny");
    let host = host(&tiny).await;
    let mut client = host.client().await;
    for body in ["the cache is slow", "the mountain is tall"] {
        add(&mut client, "s", body).await;
    }
    while call(&mut client, "stats", json!({})).await["understood"] != 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // The tiny encoder knows no words, so that everything is near everything.
    assert_eq!(bodies(&mut client, "zebra").await.len(), 2);
    assert_eq!(bodies(&mut client, "mountain").await[0], "the mountain is tall");
    let context = call(&mut client, "build_context", json!({ "query": "zebra" })).await;
    assert!(context.as_str().unwrap().contains("the cache is slow"), "{context}");
}
