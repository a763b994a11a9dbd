//! State over the wire: keys, tenants, bounds.

use carport_core::{codes, testing::TestHost};
use serde_json::{Value, json};

#[tokio::test]
async fn keys_of_every_kind_are_written_and_read() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let long = "ü".repeat(256);
    let keys = [
        "k",
        "with space",
        "a.b[0]",
        "ключ",
        "$a.output",
        "../x",
        "\u{0}",
        long.as_str(),
        "__proto__",
    ];
    for (n, key) in keys.iter().enumerate() {
        let set = json!({ "key": key, "value": n });
        assert_eq!(client.raw("state.set", set).await.unwrap(), "ok");
        assert_eq!(client.raw("state.get", json!({ "key": key })).await.unwrap(), n);
        assert_eq!(client.raw("state.exists", json!({ "key": key })).await.unwrap(), true);
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!(sorted));
    let snapshot = client.raw("state.snapshot", json!({})).await.unwrap();
    assert_eq!(snapshot.as_object().unwrap().len(), keys.len());
    assert_eq!(client.raw("state.get", json!({ "key": "none" })).await.unwrap(), Value::Null);
    client.raw("state.set", json!({ "key": "null" })).await.unwrap();
    assert_eq!(client.raw("state.exists", json!({ "key": "null" })).await.unwrap(), true);
    assert_eq!(client.raw("state.exists", json!({ "key": "none" })).await.unwrap(), false);
}

/// Invariant 12.
#[tokio::test]
async fn connections_and_tenants_see_their_own() {
    let host = TestHost::start().await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    for (tenant, value) in [(json!(null), 0), (json!("a"), 1), (json!("b"), 2)] {
        let set = json!({ "key": "k", "value": value, "tenant_id": tenant });
        client.raw("state.set", set).await.unwrap();
    }
    for (tenant, value) in
        [(json!(""), json!(0)), (json!("a"), json!(1)), (json!("c"), Value::Null)]
    {
        let get = json!({ "key": "k", "tenant_id": tenant });
        assert_eq!(client.raw("state.get", get).await.unwrap(), value);
    }
    let snapshot = client.raw("state.snapshot", json!({ "tenant_id": "b" })).await.unwrap();
    assert_eq!(snapshot, json!({ "k": 2 }));
    let exists = json!({ "key": "k", "tenant_id": "c" });
    assert_eq!(client.raw("state.exists", exists).await.unwrap(), false);
    assert_eq!(other.raw("state.keys", json!({})).await.unwrap(), json!([]));
    assert_eq!(other.raw("state.keys", json!({ "tenant_id": "a" })).await.unwrap(), json!([]));
}

#[tokio::test]
async fn what_is_out_of_bounds_changes_nothing() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for method in ["state.get", "state.set", "state.exists"] {
        for (params, field) in [
            (json!({ "key": "" }), "key"),
            (json!({ "key": "x".repeat(513) }), "key"),
            (json!({ "key": "tenant:a:k" }), "key"),
            (json!({ "key": "tenant:a:k", "tenant_id": "" }), "key"),
            (json!({ "key": 7 }), "key"),
            (json!({}), "key"),
            (json!({ "key": "k", "tenant_id": "x".repeat(129) }), "tenant_id"),
        ] {
            let error = client.raw(method, params.clone()).await.unwrap_err();
            assert_eq!(
                (error.code, error.field()),
                (codes::INVALID_PARAMS, Some(field)),
                "{method} {params}"
            );
        }
    }
    let large = json!({ "key": "k", "value": "x".repeat(1 << 20) });
    assert_eq!(client.raw("state.set", large).await.unwrap_err().field(), Some("value"));
    let with_tenant = json!({ "key": "tenant:a:k", "tenant_id": "t" });
    assert_eq!(client.raw("state.set", with_tenant).await.unwrap(), "ok");
    let value = "x".repeat((1 << 20) - 2);
    for n in 0..63 {
        let set = json!({ "key": format!("k{n}"), "value": value });
        client.raw("state.set", set).await.unwrap();
    }
    let error =
        client.raw("state.set", json!({ "key": "more", "value": value })).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(64 << 20)));
    assert_eq!(client.raw("state.exists", json!({ "key": "more" })).await.unwrap(), false);
}
