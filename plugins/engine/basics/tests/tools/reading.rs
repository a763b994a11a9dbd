//! Reading, a piece at a time.

use carport_engine_basics::ToolError;
use proptest::prelude::*;
use serde_json::json;

use crate::Scene;

const MIB: usize = 1 << 20;

#[test]
fn lines_are_read_from_an_offset() {
    let scene = Scene::new();
    scene.write("t", "one\ntwo\r\nthree");
    let read = |more: serde_json::Value| {
        let mut parameters = json!({ "path": "t" });
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scene.ok("read_file", parameters)
    };
    let whole = json!({ "content": "one\ntwo\r\nthree", "lines": 3, "truncated": false });
    assert_eq!(read(json!({})), whole);
    let part = json!({ "content": "two\r\n", "lines": 1, "truncated": true, "next_offset": 3 });
    assert_eq!(read(json!({ "offset": 2, "limit": 1 })), part);
    let end = json!({ "content": "three", "lines": 1, "truncated": false });
    assert_eq!(read(json!({ "offset": 3, "limit": 1 })), end);
    let none = json!({ "content": "", "lines": 0, "truncated": false });
    assert_eq!(read(json!({ "offset": 4 })), none);
    assert_eq!(read(json!({ "offset": u64::MAX })), none);
    scene.write("empty", "");
    assert_eq!(scene.ok("read_file", json!({ "path": "empty" })), none);
}

#[test]
fn a_mebibyte_is_read_at_once() {
    let scene = Scene::new();
    let line = format!("{}\n", "ü".repeat(50));
    scene.write("large", line.repeat(30_000));
    let (mut text, mut next) = (String::new(), Some(1));
    while let Some(offset) = next {
        let piece = scene.ok("read_file", json!({ "path": "large", "offset": offset }));
        let content = piece["content"].as_str().unwrap();
        next = piece["next_offset"].as_u64();
        let full = MIB - line.len() < content.len() && content.len() <= MIB;
        assert!(full || next.is_none(), "{}", content.len());
        text.push_str(content);
    }
    assert!(text == line.repeat(30_000));
}

#[test]
fn a_line_that_is_too_long_is_cut_between_characters() {
    let scene = Scene::new();
    let long = "ü".repeat(MIB);
    for (end, next) in [("\nnext\n", json!(2)), ("\n", json!(null)), ("", json!(null))] {
        scene.write("long", format!("x{long}{end}"));
        let piece = scene.ok("read_file", json!({ "path": "long" }));
        let content = piece["content"].as_str().unwrap();
        assert_eq!((content.len(), content.ends_with('ü')), (MIB - 1, true));
        assert_eq!((&piece["truncated"], &piece["lines"]), (&json!(true), &json!(1)));
        assert_eq!(piece["next_offset"], next, "{end:?}");
    }
    // The end of the line is the first byte too many.
    scene.write("edge", format!("{}\nnext", "x".repeat(MIB)));
    let piece = scene.ok("read_file", json!({ "path": "edge" }));
    assert_eq!((piece["content"].as_str().unwrap().len(), &piece["next_offset"]), (MIB, &json!(2)));
    let next = scene.ok("read_file", json!({ "path": "edge", "offset": 2 }));
    assert_eq!(next["content"], "next");
}

#[test]
fn what_is_passed_over_is_bounded() {
    let scene = Scene::new();
    let file = std::fs::File::create(scene.path("endless")).unwrap();
    file.set_len(300 << 20).unwrap();
    let error = scene.refused("read_file", json!({ "path": "endless", "offset": 2 }));
    assert_eq!(error, ToolError::TooLarge { path: "endless".into(), limit: 256 << 20 });
}

#[test]
fn what_is_no_text_is_refused() {
    let scene = Scene::new();
    for bytes in [&b"a\0b"[..], b"\xff\xfe", b"ok\n\xc3"] {
        scene.write("b", bytes);
        let error = scene.refused("read_file", json!({ "path": "b" }));
        assert_eq!(error, ToolError::NotText("b".into()));
    }
    let error = scene.refused("read_file", json!({ "path": "nothing" }));
    assert_eq!(error, ToolError::NotFound("nothing".into()));
    std::fs::create_dir(scene.path("d")).unwrap();
    assert_eq!(scene.refused("read_file", json!({ "path": "d" })), ToolError::NotAFile("d".into()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn pieces_make_the_whole(lines in prop::collection::vec("[a-zü\r]{0,4}", 0..12), end: bool, limit in 1..5u64) {
        let scene = Scene::new();
        let mut text = lines.join("\n");
        if end {
            text.push('\n');
        }
        scene.write("t", &text);
        let (mut read, mut next) = (String::new(), Some(1));
        while let Some(offset) = next {
            let piece = scene.ok("read_file", json!({ "path": "t", "offset": offset, "limit": limit }));
            read.push_str(piece["content"].as_str().unwrap());
            next = piece["next_offset"].as_u64();
            prop_assert_eq!(piece["truncated"].as_bool().unwrap(), next.is_some());
        }
        prop_assert_eq!(read, text);
    }
}
