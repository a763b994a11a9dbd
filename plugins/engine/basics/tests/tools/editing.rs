//! Writing and editing.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    thread,
};

use carport_engine_basics::{Root, ToolError};
use proptest::prelude::*;
use serde_json::json;

use crate::{Scene, call, names};

fn mode(scene: &Scene, path: &str) -> u32 {
    fs::metadata(scene.path(path)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_written_whole_and_keeps_its_mode() {
    let scene = Scene::new();
    let written = scene.ok("write_file", json!({ "path": "./a//b/t", "content": "ü" }));
    assert_eq!(written, json!({ "path": "a/b/t", "bytes": 2, "created": true }));
    assert_eq!((mode(&scene, "a/b/t"), mode(&scene, "a")), (0o600, 0o700));
    fs::set_permissions(scene.path("a/b/t"), fs::Permissions::from_mode(0o754)).unwrap();
    let before = fs::metadata(scene.path("a/b/t")).unwrap().ino();
    let written = scene.ok("write_file", json!({ "path": "a/b/t", "content": "" }));
    assert_eq!(written["created"], false);
    assert_eq!((scene.text("a/b/t"), mode(&scene, "a/b/t")), (String::new(), 0o754));
    assert_ne!(
        fs::metadata(scene.path("a/b/t")).unwrap().ino(),
        before,
        "it took the other's place"
    );
    let content = "x".repeat(8 << 20);
    scene.ok("write_file", json!({ "path": "large", "content": content }));
    assert_eq!(names(&scene.path("a/b")), ["t"], "nothing is left beside it");
}

#[test]
fn a_place_that_cannot_be_written_stays_as_it_is() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("d/e")).unwrap();
    scene.write("f", "mine");
    for path in ["d", ".", "d/."] {
        let error = scene.refused("write_file", json!({ "path": path, "content": "x" }));
        assert_eq!(error, ToolError::NotAFile(path.into()));
    }
    let error = scene.refused("write_file", json!({ "path": "f/x", "content": "x" }));
    assert_eq!(error, ToolError::NotADirectory("f/x".into()));
    assert_eq!(
        (names(&scene.path("")), names(&scene.path("d"))),
        (vec!["d".to_owned(), "f".into()], vec!["e".into()])
    );
    let long = "x".repeat(300);
    assert!(matches!(
        scene.refused("write_file", json!({ "path": long, "content": "x" })),
        ToolError::Failed { .. }
    ));
    assert_eq!(names(&scene.path("")), ["d", "f"]);
}

#[test]
fn what_a_crash_left_is_no_obstacle_and_not_shown() {
    let scene = Scene::new();
    scene.write(".carport-half", "half of some");
    assert_eq!(scene.ok("list_dir", json!({}))["entries"], json!([]));
    scene.ok("write_file", json!({ "path": "t", "content": "whole" }));
    assert_eq!(names(&scene.path("")), ["t"]);
}

#[test]
fn an_edit_replaces_one_exact_text_or_all() {
    let scene = Scene::new();
    scene.write("t", "let a = 1;\nlet b = 1;\n");
    fs::set_permissions(scene.path("t"), fs::Permissions::from_mode(0o640)).unwrap();
    let edit = |old: &str, new: &str, all: bool| {
        scene.call(
            "edit_file",
            json!({ "path": "t", "old_text": old, "new_text": new, "replace_all": all }),
        )
    };
    assert_eq!(edit("let c", "x", false), Err(ToolError::NoSuchText("t".into())));
    assert_eq!(edit("let c", "x", true), Err(ToolError::NoSuchText("t".into())));
    let twice = ToolError::NotUnique { path: "t".into(), count: 2 };
    assert_eq!(edit("= 1;", "= 2;", false), Err(twice));
    assert_eq!(scene.text("t"), "let a = 1;\nlet b = 1;\n");
    assert_eq!(edit("a = 1;\n", "a = 2;\n", false), Ok(json!({ "path": "t", "replacements": 1 })));
    assert_eq!(edit("let ", "", true), Ok(json!({ "path": "t", "replacements": 2 })));
    assert_eq!((scene.text("t"), mode(&scene, "t")), ("a = 2;\nb = 1;\n".into(), 0o640));
    scene.write("t", "aaa");
    let overlapping = ToolError::NotUnique { path: "t".into(), count: 2 };
    assert_eq!(edit("aa", "b", false), Err(overlapping));
}

#[test]
fn an_edit_is_bounded_before_and_after() {
    let scene = Scene::new();
    let edit =
        |new: &str| json!({ "path": "t", "old_text": "x", "new_text": new, "replace_all": true });
    scene.write("t", "x".repeat((8 << 20) + 1));
    let large = ToolError::TooLarge { path: "t".into(), limit: 8 << 20 };
    assert_eq!(scene.refused("edit_file", edit("")), large);
    scene.write("t", "x".repeat(5 << 20));
    assert_eq!(scene.refused("edit_file", edit("yy")), large);
    scene.write("t", b"x\xff");
    assert_eq!(scene.refused("edit_file", edit("y")), ToolError::NotText("t".into()));
    assert_eq!(
        scene.refused("edit_file", json!({ "path": "n", "old_text": "a", "new_text": "b" })),
        ToolError::NotFound("n".into())
    );
}

#[test]
fn edits_side_by_side_lose_nothing() {
    let scene = Scene::new();
    let words: Vec<_> = (0..40).map(|n| format!("<{n}>")).collect();
    scene.write("t", words.concat());
    let path = scene.path("");
    thread::scope(|scope| {
        for half in words.chunks(10) {
            let path = &path;
            scope.spawn(move || {
                let root = Root::open(path).unwrap();
                for word in half {
                    let new = word.replace('<', "(");
                    let edit = json!({ "path": "t", "old_text": word, "new_text": new });
                    call(&root, "edit_file", &edit).unwrap();
                }
            });
        }
    });
    assert_eq!(scene.text("t"), words.concat().replace('<', "("));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_name_and_text_comes_back(name in "[^/\0]{1,60}", content in any::<String>()) {
        prop_assume!(name != "." && name != "..");
        let scene = Scene::new();
        let path = format!("d/{name}");
        scene.ok("write_file", json!({ "path": path, "content": content }));
        prop_assert_eq!(fs::read_to_string(scene.path(&path)).unwrap(), content.as_str());
        let listed = scene.ok("list_dir", json!({ "path": "d" }));
        prop_assert_eq!(&listed["entries"][0]["name"], &json!(name));
        let found = scene.ok("find_files", json!({ "pattern": "*" }));
        prop_assert_eq!(&found["files"], &json!([path]));
        if !content.is_empty() && !content.contains('\0') {
            let read = scene.ok("read_file", json!({ "path": path }));
            prop_assert_eq!(&read["content"], &json!(content));
        }
    }

    #[test]
    fn an_edit_is_what_replacing_says(text in "[ab]{0,12}", old in "[ab]{1,3}", new in "[abc]{0,3}", all: bool) {
        let scene = Scene::new();
        scene.write("t", &text);
        let places = (0..text.len()).filter(|at| text[*at..].starts_with(&old)).count();
        let edited = scene.call("edit_file", json!({ "path": "t", "old_text": old, "new_text": new, "replace_all": all }));
        let expected = if places == 1 || (all && places > 1) { text.replace(&old, &new) } else { text };
        prop_assert_eq!(edited.is_ok(), places == 1 || (all && places > 1));
        prop_assert_eq!(scene.text("t"), expected);
    }
}
