//! Each strategy: what it makes of a surface, and what it leaves alone.

use serde_json::{Value, json};

use super::Scene;
use crate::Strategy;

fn text(id: &str) -> Value {
    json!({ "id": id, "component": "Text", "text": id })
}

/// The component `x` after a finding on it was confirmed, and the strategy that changed it.
fn mended(components: Value, finding: Value) -> (Option<Strategy>, Value) {
    let mut scene = Scene::new(components);
    scene.now = 10_000;
    let verdict = scene.confirm(json!([finding]));
    (verdict.patch.map(|it| it.strategy), scene.component("x"))
}

fn unknown(kind: &str) -> Value {
    json!({ "code": "unknown_component", "componentId": "x", "data": { "type": kind } })
}

#[test]
fn what_a_renderer_does_not_know_becomes_what_it_knows() {
    let options = json!([{ "label": "A", "value": "a" }]);
    for (old, new) in [
        (
            json!({ "id": "x", "component": "Badge", "text": "new", "tone": "info", "weight": 2 }),
            json!({ "id": "x", "component": "Text", "text": "new", "variant": "caption", "weight": 2 }),
        ),
        (
            json!({ "id": "x", "component": "Spacer" }),
            json!({ "id": "x", "component": "Divider", "axis": "horizontal" }),
        ),
        (
            json!({ "id": "x", "component": "Select", "options": options, "value": "a", "label": "L" }),
            json!({ "id": "x", "component": "ChoicePicker", "options": options, "value": ["a"], "label": "L",
                "variant": "mutuallyExclusive", "displayStyle": "checkbox", "filterable": false }),
        ),
        (
            json!({ "id": "x", "component": "Select", "options": options, "value": { "path": "/v" }, "placeholder": "P" }),
            json!({ "id": "x", "component": "TextField", "value": { "path": "/v" }, "label": "P", "variant": "shortText" }),
        ),
        (
            json!({ "id": "x", "component": "Chart", "series": [{ "name": "n", "values": [1] }] }),
            json!({ "id": "x", "component": "Text", "text": "Unsupported component: Chart", "variant": "caption" }),
        ),
    ] {
        let kind = old["component"].as_str().unwrap().to_owned();
        let (strategy, mended) = mended(json!([old]), unknown(&kind));
        assert_eq!((strategy, mended), (Some(Strategy::DegradeUnknown), new));
    }
}

#[test]
fn what_the_renderer_draws_is_left_alone() {
    let mut scene = Scene::new(json!([{ "id": "x", "component": "Badge", "text": "new" }]));
    let mut report = scene.report(json!([unknown("Badge")]));
    report.renderer.as_mut().unwrap().catalogs = Some(vec![carport_a2ui_validate::EXTENDED.into()]);
    for _ in 0..3 {
        scene.now += 600;
        assert!(scene.tell(&report).patch.is_none());
    }
}

#[test]
fn a_missing_child_is_announced_once_nothing_arrives_any_more() {
    let draw = json!([{ "id": "root", "component": "Column", "children": ["x"] }]);
    let finding = json!({ "code": "missing_child", "componentId": "root", "data": { "property": "children", "ref": "x" } });
    let mut early = Scene::new(draw.clone());
    early.now = 1000;
    assert!(early.confirm(json!([finding])).patch.is_none());
    let (strategy, placeholder) = mended(draw, finding);
    let expected = json!({ "id": "x", "component": "Text", "text": "Content unavailable", "variant": "caption" });
    assert_eq!((strategy, placeholder), (Some(Strategy::PlaceholderChild), expected));
}

#[test]
fn inputs_are_seeded_and_shown_text_is_not() {
    let input = |kind: &str, more: Value| {
        let mut input = json!({ "id": "x", "component": kind, "value": { "path": "/v" } });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let finding = json!({ "code": "missing_binding", "componentId": "x", "data": { "property": "/value", "path": "/v" } });
    for (kind, more, seed) in [
        ("TextField", json!({ "label": "l" }), json!("")),
        ("CheckBox", json!({ "label": "l" }), json!(false)),
        ("Slider", json!({ "min": 3, "max": 9 }), json!(3)),
        ("Slider", json!({ "max": 9 }), json!(0)),
        ("ChoicePicker", json!({ "options": [] }), json!([])),
        ("DateTimeInput", json!({}), json!("")),
    ] {
        let mut scene = Scene::new(json!([input(kind, more)]));
        let patch = scene.confirm(json!([finding])).patch.unwrap();
        assert_eq!(
            (patch.strategy, &patch.envelope["updateDataModel"]["value"]),
            (Strategy::SeedInput, &seed)
        );
    }
    let mut scene =
        Scene::new(json!([{ "id": "x", "component": "Text", "text": { "path": "/v" } }]));
    let shown = json!({ "code": "missing_binding", "componentId": "x", "data": { "property": "text", "path": "/v" } });
    let verdict = scene.confirm(json!([shown]));
    assert!(verdict.patch.is_none());
    assert_eq!(
        (&*verdict.advice[0].code, &*verdict.advice[0].path),
        ("VALIDATION_FAILED", "/text")
    );
}

#[test]
fn the_innermost_row_is_stacked() {
    let mut scene = Scene::new(json!([
        { "id": "root", "component": "Row", "children": ["x"] },
        { "id": "x", "component": "Row", "children": ["a"], "justify": "end", "weight": 1 }, text("a"),
    ]));
    scene.confirm(json!([super::overflow("root"), super::overflow("x")]));
    let column = json!({ "id": "x", "component": "Column", "children": ["a"], "justify": "start", "align": "stretch", "weight": 1 });
    assert_eq!(scene.component("x"), column);
    assert_eq!(scene.component("root")["component"], "Row");
    let small = json!({ "code": "overflow_x", "componentId": "root", "data": { "px": 7.9 } });
    assert!(scene.confirm(json!([small])).patch.is_none());
}

#[test]
fn headings_follow_each_other() {
    let heading = |variant: &str| json!([{ "id": "x", "component": "Text", "text": "t", "variant": variant }]);
    let finding =
        |data: Value| json!({ "code": "heading_order", "componentId": "x", "data": data });
    for (variant, data, expected) in [
        ("h4", json!({ "level": 4, "previous": 1 }), "h2"),
        ("h5", json!({ "level": 5, "previous": 3 }), "h4"),
        ("h3", json!({ "level": 3, "previous": 0 }), "h1"),
    ] {
        let (strategy, mended) = mended(heading(variant), finding(data));
        assert_eq!(
            (strategy, mended["variant"].as_str()),
            (Some(Strategy::HeadingLevels), Some(expected))
        );
    }
    let mut scene = Scene::new(heading("h5"));
    let mut report = scene.report(json!([finding(json!({}))]));
    report.host_heading = Some(2);
    report.headings = serde_json::from_value(json!([{ "componentId": "x", "level": 5 }])).unwrap();
    scene.tell(&report);
    scene.now += 500;
    scene.tell(&report);
    assert_eq!(scene.component("x")["variant"], "h3");
}

#[test]
fn a_broken_image_becomes_its_description() {
    let image = |more: Value| {
        let mut image = json!({ "id": "x", "component": "Image", "url": "https://a/b" });
        image.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([image])
    };
    let finding = json!({ "code": "broken_image", "componentId": "x", "data": {} });
    for (more, expected) in [
        (json!({ "description": "a cat" }), json!("a cat")),
        (json!({ "description": { "path": "/d" } }), json!({ "path": "/d" })),
        (json!({}), json!("Image unavailable")),
    ] {
        assert_eq!(mended(image(more), finding.clone()).1["text"], expected);
    }
    let in_list = json!([
        { "id": "root", "component": "List", "children": { "componentId": "card", "path": "/l" } },
        { "id": "card", "component": "Card", "child": "x" },
        { "id": "x", "component": "Image", "url": { "path": "u" } },
    ]);
    assert_eq!(mended(in_list, finding).0, None);
}

#[test]
fn an_empty_list_says_so_once() {
    let draw = json!([
        { "id": "root", "component": "Column", "children": ["x", "a"] }, text("a"), text("t"),
        { "id": "x", "component": "List", "children": { "componentId": "t", "path": "/l" } },
    ]);
    let finding = json!({ "code": "empty_list", "componentId": "x", "data": { "path": "/l" } });
    let mut scene = Scene::new(draw);
    assert!(scene.confirm(json!([finding])).patch.is_none(), "there is no such list");
    scene.send(json!({ "updateDataModel": { "surfaceId": "s", "path": "/l", "value": [] } }));
    scene.now += 500;
    assert!(scene.tell(&scene.report(json!([finding]))).patch.is_some());
    assert_eq!(scene.component("root")["children"], json!(["x", "x__ui_empty", "a"]));
    assert_eq!(scene.component("x__ui_empty")["text"], "No items yet");
    scene.now += 500;
    assert!(scene.tell(&scene.report(json!([finding]))).patch.is_none());
}

#[test]
fn a_small_borderless_button_gets_its_border() {
    let button = |variant: &str| json!([{ "id": "x", "component": "Button", "child": "t", "variant": variant, "action": { "event": { "name": "n" } } }, text("t")]);
    let finding = json!({ "code": "small_target", "componentId": "x", "data": { "width": 10, "height": 10 } });
    assert_eq!(mended(button("borderless"), finding.clone()).1["variant"], "default");
    assert_eq!(mended(button("primary"), finding).0, None);
}

#[test]
fn what_no_patch_mends_is_told_once() {
    let mut scene = Scene::new(json!([
        text("x"),
        { "id": "l", "component": "List", "children": { "componentId": "x", "path": "/l" } },
    ]));
    let findings = json!([
        { "code": "missing_root" },
        { "code": "orphan_component", "componentId": "x" },
        { "code": "list_not_array", "componentId": "l", "data": { "path": "/l" } },
        { "code": "renderer_error", "componentId": "x", "data": { "code": "E", "message": "boom" } },
        { "code": "axe", "componentId": "x", "data": { "rule": "color-contrast", "impact": "serious" } },
        { "code": "something_new", "componentId": "x" },
    ]);
    let verdict = scene.confirm(findings.clone());
    let codes: Vec<_> = verdict.advice.iter().map(|it| &*it.code).collect();
    assert_eq!(
        codes,
        ["VALIDATION_FAILED", "orphan_component", "VALIDATION_FAILED", "renderer_error", "axe"]
    );
    scene.now += 500;
    assert!(scene.tell(&scene.report(findings)).advice.is_empty());
}

#[test]
fn every_patch_is_valid_in_the_catalog_of_the_surface() {
    // What a strategy makes is applied by the store in each test above, which checks it; here every type
    // that the extended catalog adds is degraded on a renderer without it.
    for kind in ["File", "FilePicker"] {
        let mut component = json!({ "id": "x", "component": kind });
        component[if kind == "File" { "name" } else { "label" }] = "n".into();
        if kind == "FilePicker" {
            component["value"] = json!({ "path": "/f" });
        }
        assert_eq!(mended(json!([component]), unknown(kind)).0, Some(Strategy::DegradeUnknown));
    }
}
