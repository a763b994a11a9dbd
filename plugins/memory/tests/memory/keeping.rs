//! Facts that are kept, replaced and removed.

use carport_core::testing::TestHost;
use serde_json::json;

use crate::{add, bodies, call, count, refused};

#[tokio::test]
async fn a_fact_is_found_as_it_was_kept() {
    let mut client = TestHost::start().await.client().await;
    let fact = json!({
        "subject": "mount everest", "body": "8849 m", "kind": "Geo", "confidence": "high",
        "tags": ["peak", "asia", "peak"], "source": "atlas", "fact_id": "geo:1", "tenant_id": null,
    });
    assert_eq!(call(&mut client, "add_fact", fact).await, 1);
    let found = call(&mut client, "query", json!({ "query": "how tall is mount everest" })).await;
    let score = found[0]["score"].as_f64().unwrap();
    assert!((0.4..=0.8).contains(&score));
    let expected = json!([{
        "fact_id": "geo:1", "subject": "mount everest", "body": "8849 m", "kind": "geo",
        "confidence": 0.9, "tags": ["peak", "asia", "peak"], "source": "atlas", "score": score,
    }]);
    assert_eq!(found, expected);
    let minted = call(&mut client, "add_fact", json!({ "subject": "k2", "body": "8611 m" })).await;
    assert_eq!(minted, 2);
    let found = call(&mut client, "query", json!({ "query": "k2", "k": 1 })).await;
    let id = found[0]["fact_id"].as_str().unwrap();
    assert!(id.starts_with("ws-") && id.len() == 39, "{id}");
    assert_eq!((&found[0]["kind"], &found[0]["source"]), (&json!("pattern"), &json!("ws")));
}

#[tokio::test]
async fn what_is_out_of_bounds_is_named_and_changes_nothing() {
    let mut client = TestHost::start().await.client().await;
    let long = "x".repeat(1024 * 1024);
    for (params, field) in [
        (json!({ "body": "b" }), "subject"),
        (json!({ "subject": "", "body": "b" }), "subject"),
        (json!({ "subject": long, "body": "b" }), "subject"),
        (json!({ "subject": "s", "body": long }), "body"),
        (json!({ "subject": "s", "body": "b", "kind": "conversation" }), "kind"),
        (json!({ "subject": "s", "body": "b", "confidence": 2 }), "confidence"),
        (json!({ "subject": "s", "body": "b", "confidence": "sure" }), "confidence"),
        (json!({ "subject": "s", "body": "b", "fact_id": "a b" }), "fact_id"),
        (json!({ "subject": "s", "body": "b", "tags": ["x", ""] }), "tags[1]"),
        (json!({ "subject": "s", "body": "b", "tenant_id": "" }), "tenant_id"),
    ] {
        assert_eq!(refused(&mut client, "add_fact", params).await, (-32602, Some(field.into())));
    }
    for (params, field) in [
        (json!({ "query": "x".repeat(8193) }), "query"),
        (json!({ "query": "x", "k": 0 }), "k"),
        (json!({ "query": "x", "k": 101 }), "k"),
        (json!({ "query": "x", "kinds": [""] }), "kinds[0]"),
    ] {
        assert_eq!(refused(&mut client, "query", params).await, (-32602, Some(field.into())));
    }
    let saved =
        refused(&mut client, "save_knowledge", json!({ "subject": "s", "body": "b", "id": "a b" }))
            .await;
    assert_eq!(saved, (-32602, Some("id".into())));
    assert_eq!(count(&mut client).await, 0);
}

#[tokio::test]
async fn any_text_is_kept_and_asked_for() {
    let mut client = TestHost::start().await.client().await;
    for (at, text) in [
        "\u{0}",
        "\" OR NEAR(a b)*",
        "🚀",
        "'; DROP TABLE--",
        "東京都",
        "e\u{301}\u{200d}",
        "\u{202e}x",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(add(&mut client, text, text).await, at as u64 + 1);
        call(&mut client, "query", json!({ "query": text })).await;
        call(&mut client, "build_context", json!({ "query": text })).await;
    }
    assert_eq!(bodies(&mut client, "🚀").await, ["🚀"]);
    assert_eq!(bodies(&mut client, "東京").await, ["東京都"]);
    assert_eq!(bodies(&mut client, "").await, [""; 0]);
}

#[tokio::test]
async fn the_same_again_adds_nothing_and_an_id_replaces() {
    let mut client = TestHost::start().await.client().await;
    for _ in 0..3 {
        assert_eq!(add(&mut client, "cache", "flush it").await, 1);
    }
    let named = |body: &str| json!({ "subject": "s", "body": body, "fact_id": "a" });
    assert_eq!(call(&mut client, "add_fact", named("old")).await, 2);
    assert_eq!(call(&mut client, "add_fact", named("new")).await, 2);
    assert_eq!(bodies(&mut client, "old").await, [""; 0]);
    assert_eq!(bodies(&mut client, "new").await, ["new"]);
}

#[tokio::test]
async fn saving_the_same_has_the_same_id() {
    let mut client = TestHost::start().await.client().await;
    let what = json!({ "subject": "deploy", "body": "migrate first", "is_constraint": true });
    let first = call(&mut client, "save_procedural", what.clone()).await;
    assert_eq!(call(&mut client, "save_procedural", what.clone()).await, first);
    let id = first["id"].as_str().unwrap();
    assert!(id.starts_with("p-") && id.len() == 18, "{id}");
    assert_eq!((&first["kind"], &first["fact_count"]), (&json!("procedural"), &json!(1)));
    let other = call(&mut client, "save_knowledge", what).await;
    assert!(other["id"].as_str().unwrap().starts_with("k-") && other["fact_count"] == 2);
    let context = call(&mut client, "build_context", json!({ "query": "" })).await;
    assert!(context.as_str().unwrap().starts_with("## Constraints\n- deploy: migrate first"));
}

#[tokio::test]
async fn tenants_see_their_own_and_everybodys() {
    let mut client = TestHost::start().await.client().await;
    add(&mut client, "cache", "for all").await;
    for tenant in ["red", "blue"] {
        let fact =
            json!({ "subject": "cache", "body": tenant, "fact_id": "a", "tenant_id": tenant });
        assert_eq!(call(&mut client, "add_fact", fact).await, 2);
    }
    assert_eq!(bodies(&mut client, "cache").await, ["for all"]);
    let red = json!({ "query": "cache red blue", "tenant_id": "red", "k": 9 });
    let found = call(&mut client, "query", red).await;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["body"]), (2, &json!("red")));
    let gone = call(&mut client, "delete", json!({ "id": "a" })).await;
    assert_eq!(gone, json!({ "id": "a", "deleted": false, "kind": null, "fact_count": 1 }));
    let gone = call(&mut client, "delete", json!({ "id": "a", "tenant_id": "red" })).await;
    assert_eq!(gone, json!({ "id": "a", "deleted": true, "kind": "pattern", "fact_count": 1 }));
    assert_eq!(call(&mut client, "fact_count", json!({ "tenant_id": "blue" })).await, 2);
}

#[tokio::test]
async fn a_connections_own_graph_has_its_limit() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let directory = host.root().join("memory/exports");
    std::fs::create_dir_all(&directory).unwrap();
    let facts: Vec<_> =
        (0..10_000).map(|at| json!({ "subject": "s", "body": format!("b{at}") })).collect();
    std::fs::write(directory.join("many.json"), json!(facts).to_string()).unwrap();
    assert_eq!(call(&mut client, "load", json!({ "path": "many.json" })).await, 10_000);
    assert_eq!(
        refused(&mut client, "add_fact", json!({ "subject": "s", "body": "more" })).await.0,
        -32012
    );
    assert_eq!(count(&mut client).await, 10_000);
}

#[tokio::test]
async fn a_fact_is_shown_whole_to_whom_sees_it() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let fact = |body: &str, tenant: Option<&str>| json!({ "subject": "s", "body": body, "fact_id": "x", "tags": ["t"], "tenant_id": tenant });
    call(&mut client, "add_fact", fact("common", None)).await;
    call(&mut client, "add_fact", fact("acme's", Some("acme"))).await;
    for (tenant, body) in [(None, "common"), (Some("acme"), "acme's"), (Some("other"), "common")] {
        let shown = call(&mut client, "get", json!({ "id": "x", "tenant_id": tenant })).await;
        assert_eq!((&shown["body"], &shown["tags"]), (&json!(body), &json!(["t"])));
        assert_eq!((&shown["uses"], &shown["created_at"]), (&json!(0), &shown["updated_at"]));
    }
    assert_eq!(refused(&mut client, "get", json!({ "id": "nobody" })).await.0, -32007);
    assert_eq!(refused(&mut host.client().await, "get", json!({ "id": "x" })).await.0, -32007);
}
