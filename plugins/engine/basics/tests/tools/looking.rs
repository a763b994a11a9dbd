//! Listing, finding, searching.

use std::{fs, os::unix::fs::symlink};

use carport_engine_basics::ToolError;
use serde_json::json;

use crate::Scene;

#[test]
fn a_directory_is_listed_by_name() {
    let scene = Scene::new();
    scene.write("b.txt", "12345");
    scene.write("Ä/x", "");
    scene.write("a", "");
    symlink("/etc/passwd", scene.path("link")).unwrap();
    let listed = scene.ok("list_dir", json!({}));
    let expected = json!([
        { "name": "a", "type": "file", "size": 0 },
        { "name": "b.txt", "type": "file", "size": 5 },
        { "name": "link", "type": "link" },
        { "name": "Ä", "type": "directory" },
    ]);
    assert_eq!(listed, json!({ "path": ".", "entries": expected, "truncated": false }));
    assert_eq!(scene.ok("list_dir", json!({ "path": "./Ä/" }))["path"], "Ä");
    let error = scene.refused("list_dir", json!({ "path": "a" }));
    assert_eq!(error, ToolError::NotADirectory("a".into()));
}

#[test]
fn a_thousand_files_are_found_at_once() {
    let scene = Scene::new();
    for n in 0..=1000 {
        fs::write(scene.path(&format!("f{n}")), "").unwrap();
    }
    let listed = scene.ok("list_dir", json!({}));
    let entries = listed["entries"].as_array().unwrap().len();
    assert_eq!((entries, &listed["truncated"]), (1001, &json!(false)));
    let found = scene.ok("find_files", json!({ "pattern": "f*" }));
    let files = found["files"].as_array().unwrap().len();
    assert_eq!((files, &found["truncated"]), (1000, &json!(true)));
}

#[test]
fn a_pattern_is_of_names_or_of_paths() {
    let scene = Scene::new();
    for path in ["m.rs", "src/a.rs", "src/deep/b.rs", "src/deep/B.txt", ".git/c.rs", "x/src/d.rs"] {
        scene.write(path, "");
    }
    symlink("src", scene.path("link")).unwrap();
    symlink("m.rs", scene.path("n.rs")).unwrap();
    let find = |pattern: &str, path: &str| {
        scene.ok("find_files", json!({ "pattern": pattern, "path": path }))["files"].clone()
    };
    assert_eq!(find("*.rs", "."), json!(["m.rs", "src/a.rs", "src/deep/b.rs", "x/src/d.rs"]));
    assert_eq!(find("src/*.rs", "."), json!(["src/a.rs"]));
    assert_eq!(find("src/**/*.rs", "."), json!(["src/a.rs", "src/deep/b.rs"]));
    assert_eq!(find("**/src/*.rs", "."), json!(["src/a.rs", "x/src/d.rs"]));
    assert_eq!(find("{a,b}.[rt]s", "src"), json!(["src/a.rs", "src/deep/b.rs"]));
    assert_eq!(find("deep/?.*", "src"), json!(["src/deep/B.txt", "src/deep/b.rs"]));
    assert_eq!(find("*.py", "."), json!([]));
    let limited = scene.ok("find_files", json!({ "pattern": "*.rs", "limit": 2 }));
    assert_eq!(limited, json!({ "files": ["m.rs", "src/a.rs"], "truncated": true }));
    let exact = scene.ok("find_files", json!({ "pattern": "*.rs", "limit": 4 }));
    assert_eq!(exact["truncated"], false);
}

#[test]
fn lines_are_found_with_their_places() {
    let scene = Scene::new();
    scene.write("a/one.txt", "first\nNeedle 7\r\nlast needle");
    scene.write("b.bin", b"needle\0needle");
    scene.write("c.txt", format!("{}needle\n", "ü".repeat(600)));
    scene.write("d.md", b"\xffneedle");
    scene.write(".git/config", "needle");
    symlink("a", scene.path("link")).unwrap();
    symlink("a/one.txt", scene.path("link.txt")).unwrap();
    let found =
        scene.ok("grep_files", json!({ "pattern": "needle( \\d)?$", "case_insensitive": true }));
    let expected = json!([
        { "path": "a/one.txt", "line": 2, "text": "Needle 7" },
        { "path": "a/one.txt", "line": 3, "text": "last needle" },
        { "path": "c.txt", "line": 1, "text": "ü".repeat(500) },
        { "path": "d.md", "line": 1, "text": "\u{fffd}needle" },
    ]);
    assert_eq!(found, json!({ "matches": expected, "files": 3, "truncated": false }));
    let one = |more: serde_json::Value| {
        let mut parameters = json!({ "pattern": "needle" });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = scene.ok("grep_files", parameters);
        (found["matches"].as_array().unwrap().len(), found["truncated"].as_bool().unwrap())
    };
    assert_eq!(one(json!({})), (3, false));
    assert_eq!(one(json!({ "glob": "*.txt" })), (2, false));
    assert_eq!(one(json!({ "glob": "a/*" })), (1, false));
    assert_eq!(one(json!({ "path": "a" })), (1, false));
    assert_eq!(one(json!({ "path": "d.md" })), (1, false));
    assert_eq!(one(json!({ "limit": 2 })), (2, true));
    assert_eq!(one(json!({ "limit": 3 })), (3, false));
    let error = scene.refused("grep_files", json!({ "pattern": "x", "path": "nothing" }));
    assert_eq!(error, ToolError::NotFound("nothing".into()));
}

#[test]
fn a_search_is_bounded_by_bytes() {
    let scene = Scene::new();
    let lines = |mib: usize| [&[b'x'; 1023][..], b"\n"].concat().repeat(mib << 10);
    scene.write("a", [lines(17), b"end".into()].concat());
    let found = scene.ok("grep_files", json!({ "pattern": "end" }));
    assert_eq!(
        found,
        json!({ "matches": [], "files": 1, "truncated": true }),
        "16 MiB of one file"
    );
    for name in ["b", "c", "d"] {
        scene.write(name, lines(16));
    }
    scene.write("z", "end");
    let found = scene.ok("grep_files", json!({ "pattern": "end" }));
    assert_eq!(found, json!({ "matches": [], "files": 4, "truncated": true }), "64 MiB in all");
}

#[test]
fn a_search_is_bounded_by_depth() {
    let scene = Scene::new();
    let path = |levels: usize| format!("{}f", "d/".repeat(levels));
    for levels in [0, 63] {
        scene.write(&path(levels), "needle");
    }
    let found = scene.ok("find_files", json!({ "pattern": "f" }));
    assert_eq!(found, json!({ "files": [path(63), path(0)], "truncated": false }));
    scene.write(&path(64), "needle");
    let found = scene.ok("find_files", json!({ "pattern": "f" }));
    assert_eq!((found["files"].as_array().unwrap().len(), &found["truncated"]), (2, &json!(true)));
    assert_eq!(scene.ok("grep_files", json!({ "pattern": "needle" }))["truncated"], true);
}
