//! Facts handed on in files.

use std::{fs, os::unix::fs::symlink};

use carport_core::testing::TestHost;
use serde_json::{Value, json};

use crate::{add, bodies, bound, call, count, refused};

#[tokio::test]
async fn what_is_persisted_and_loaded_is_the_same() {
    let host = TestHost::start().await;
    let mut one = bound(&host, "one").await;
    for at in 0..20 {
        let fact = json!({
            "subject": format!("cache {}", at % 3), "body": format!("entry {at} of the store"),
            "tags": [format!("t{}", at % 2)], "tenant_id": (at % 5 == 0).then_some("red"),
            "kind": if at % 4 == 0 { "constraint" } else { "note" },
        });
        call(&mut one, "add_fact", fact).await;
    }
    let ask = json!({ "query": "cache store 7", "k": 50, "tenant_id": "red" });
    let found = call(&mut one, "query", ask.clone()).await;
    assert_eq!(call(&mut one, "persist", json!({ "path": "team/one.json" })).await, 20);
    let mut two = bound(&host, "two").await;
    add(&mut two, "other", "goes").await;
    assert_eq!(call(&mut two, "load", json!({ "path": "team/one.json" })).await, 20);
    assert_eq!(call(&mut two, "query", ask.clone()).await, found);
    assert_eq!(call(&mut two, "fact_count", json!({ "tenant_id": "red" })).await, 20);
    // And it is on disk.
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(call(&mut bound(&next, "two").await, "query", ask).await, found);
}

#[tokio::test]
async fn a_tenant_loads_for_itself_alone() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    add(&mut client, "s", "for all").await;
    for tenant in ["red", "blue"] {
        call(
            &mut client,
            "add_fact",
            json!({ "subject": "s", "body": tenant, "tenant_id": tenant }),
        )
        .await;
    }
    assert_eq!(
        call(&mut client, "persist", json!({ "path": "r.json", "tenant_id": "red" })).await,
        1
    );
    assert_eq!(
        call(&mut client, "load", json!({ "path": "r.json", "tenant_id": "blue" })).await,
        1
    );
    let blue = json!({ "query": "red blue all", "tenant_id": "blue" });
    let found = call(&mut client, "query", blue).await;
    let mut bodies: Vec<_> =
        found.as_array().unwrap().iter().map(|it| it["body"].as_str().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["for all", "red"]);
    assert_eq!(call(&mut client, "fact_count", json!({ "tenant_id": "red" })).await, 2);
}

#[tokio::test]
async fn a_path_stays_under_its_base() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    add(&mut client, "s", "b").await;
    let exports = host.root().join("memory/exports");
    fs::create_dir_all(exports.join("a-directory")).unwrap();
    symlink(host.root(), exports.join("out")).unwrap();
    symlink("/nowhere/at/all", exports.join("dangling")).unwrap();
    let long = "n".repeat(256);
    let long = [&long, &*format!("{long}/x"), &*format!("a/{long}")];
    let fifo = std::process::Command::new("mkfifo").arg(exports.join("fifo")).status();
    assert!(fifo.unwrap().success());
    let bad = ["../x", "/tmp/x", "a/../../x", "out/x", "out", "dangling", "a\0b", "a-directory"];
    let none = [".", "./", "..", "a-directory/."];
    for path in bad.into_iter().chain(none).chain(long) {
        let error = client.raw("memory.persist", json!({ "path": path })).await.unwrap_err();
        assert_eq!((error.code, error.field()), (-32602, Some("path")), "{path}");
        assert!(error.message.contains("rejected path"), "{}", error.message);
        assert_eq!(
            refused(&mut client, "load", json!({ "path": path })).await,
            (-32602, Some("path".into())),
            "{path}"
        );
    }
    let fifo = refused(&mut client, "load", json!({ "path": "fifo" })).await;
    assert_eq!(fifo, (-32602, Some("path".into())), "nobody waits for a pipe");
    // The longest name there is, and a link that stays inside.
    let longest = json!({ "path": "n".repeat(255) });
    symlink("a-directory", exports.join("inside")).unwrap();
    for path in [longest, json!({ "path": "inside/new/x" }), json!({ "path": "./inside/x" })] {
        assert_eq!(call(&mut client, "persist", path.clone()).await, 1);
        assert_eq!(call(&mut client, "load", path).await, 1);
    }
    assert!(exports.join("a-directory/new/x").is_file());
    for path in ["inside/x/y", "a-directory/x/y/z"] {
        let error = refused(&mut client, "persist", json!({ "path": path })).await;
        assert_eq!(error, (-32602, Some("path".into())), "a file is no directory");
        assert_eq!(refused(&mut client, "load", json!({ "path": path })).await.0, -32007);
    }
    assert_eq!(refused(&mut client, "load", json!({ "path": "missing.json" })).await.0, -32007);
    assert_eq!(count(&mut client).await, 1);
}

/// Somebody swaps a directory for a link all the time: what is judged is not what is opened, unless it is
/// opened without following links.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_turns_into_a_link_leads_nowhere() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let host = TestHost::start().await;
    let mut client = host.client().await;
    add(&mut client, "s", "mine").await;
    let (exports, outside) = (host.root().join("memory/exports"), host.root().join("outside"));
    fs::create_dir_all(exports.join("d")).unwrap();
    fs::create_dir_all(&outside).unwrap();
    let stolen = json!([{ "subject": "s", "body": "stolen" }]).to_string();
    fs::write(outside.join("there"), &stolen).unwrap();
    fs::write(exports.join("d/there"), "[]").unwrap();
    symlink(&outside, exports.join("e")).unwrap();
    let (d, e) = (exports.join("d"), exports.join("e"));
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapping = {
        let is_over = is_over.clone();
        std::thread::spawn(move || {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &d, CWD, &e, RenameFlags::EXCHANGE).unwrap();
            }
        })
    };
    for _ in 0..1500 {
        let persisted = client.raw("memory.persist", json!({ "path": "d/new" })).await;
        assert!(matches!(persisted.map_err(|it| it.code), Ok(_) | Err(-32602)));
        assert!(!outside.join("new").exists(), "written outside");
        let loaded = client.raw("memory.load", json!({ "path": "d/there" })).await;
        assert!(matches!(loaded.map_err(|it| it.code), Ok(_) | Err(-32602)));
        assert!(bodies(&mut client, "stolen").await.is_empty(), "read from outside");
    }
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    swapping.join().unwrap();
}

#[tokio::test]
async fn several_shapes_are_read_and_nothing_changes_if_one_fact_is_wrong() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let exports = host.root().join("memory/exports");
    fs::create_dir_all(&exports).unwrap();
    let fact = |body: &str| json!({ "subject": "s", "text": body, "confidence": "low" });
    let shapes = [
        json!([fact("a"), fact("b")]).to_string(),
        json!({ "version": 3, "facts": [fact("a"), fact("b")] }).to_string(),
        format!("{}\n\n{}\n", fact("a"), fact("b")),
        format!("  {}", json!([fact("a"), fact("b")])),
    ];
    for shape in shapes {
        fs::write(exports.join("x"), &shape).unwrap();
        assert_eq!(call(&mut client, "load", json!({ "path": "x" })).await, 2, "{shape}");
        assert_eq!(count(&mut client).await, 2);
    }
    for (wrong, field) in [
        (json!([fact("a"), { "subject": "", "body": "b" }]).to_string(), "facts[1].subject"),
        (
            json!([fact("a"), { "subject": "s", "body": "b", "kind": "?" }]).to_string(),
            "facts[1].kind",
        ),
        (format!("{}\nnonsense\n", fact("a")), "facts[1]"),
        ("[{]".into(), "facts"),
    ] {
        fs::write(exports.join("x"), &wrong).unwrap();
        assert_eq!(
            refused(&mut client, "load", json!({ "path": "x" })).await,
            (-32602, Some(field.into())),
            "{wrong}"
        );
        assert_eq!(count(&mut client).await, 2);
    }
    let file = fs::File::create(exports.join("huge")).unwrap();
    file.set_len(64 * 1024 * 1024 + 1).unwrap();
    let too_much = refused(&mut client, "load", json!({ "path": "huge" })).await;
    assert_eq!(too_much, (-32012, Some("path".into())));
    let many: Vec<Value> =
        (0..10_001).map(|at| json!({ "subject": "s", "body": at.to_string() })).collect();
    fs::write(exports.join("many"), json!(many).to_string()).unwrap();
    assert_eq!(refused(&mut client, "load", json!({ "path": "many" })).await.0, -32012);
    fs::write(exports.join("x"), "").unwrap();
    assert_eq!(call(&mut client, "load", json!({ "path": "x" })).await, 0);
}

#[tokio::test]
async fn times_at_the_ends_of_what_there_is_come_back() {
    let host = TestHost::start().await;
    let exports = host.root().join("memory/exports");
    fs::create_dir_all(&exports).unwrap();
    let times = [
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "2016-12-31T23:59:60.5Z",
        "2020-01-01T00:00:00+23:59",
        "+12345-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ];
    for time in times {
        let fact = json!([{ "subject": "s", "body": "b", "created_at": time, "updated_at": time }]);
        fs::write(exports.join("x"), fact.to_string()).unwrap();
        let mut client = bound(&host, "times").await;
        match client.raw("memory.load", json!({ "path": "x" })).await {
            Err(error) => assert_eq!(error.code, -32602, "{time}: {error}"),
            Ok(_) => {
                let next = TestHost::builder().on_root_of(&host).start().await;
                let mut client = bound(&next, "times").await;
                assert_eq!(count(&mut client).await, 1, "{time}");
                assert_eq!(
                    call(&mut client, "stats", json!({})).await["damaged_lines"],
                    0,
                    "{time}"
                );
            }
        }
    }
}
