//! Faults name the place, and the catalogs are what they say.

#![expect(clippy::needless_pass_by_value, reason = "short calls in tests")]

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::{BASIC, Children, EXTENDED, Edge, Message, Schemas};

pub(crate) static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::compile().unwrap());

fn faults(component: Value) -> Vec<(String, String)> {
    let schemas = &*SCHEMAS;
    let catalog = schemas.catalog(EXTENDED).unwrap();
    let name = component["component"].as_str().unwrap();
    let found = catalog.component(name).unwrap().check(&component);
    found.into_iter().map(|it| (it.path, it.message)).collect()
}

fn places(component: Value) -> Vec<String> {
    faults(component).into_iter().map(|it| it.0).collect()
}

#[test]
fn a_fault_names_its_place() {
    for (component, place) in [
        (json!({ "id": "t", "component": "Text" }), "/text"),
        (json!({ "id": "t", "component": "Text", "text": 7 }), "/text"),
        (json!({ "id": "t", "component": "Text", "text": "a", "colour": "red" }), "/colour"),
        (json!({ "id": "t", "component": "Text", "text": { "path": 7 } }), "/text/path"),
        (json!({ "id": "t", "component": "Text", "text": "a", "variant": "h9" }), "/variant"),
        (json!({ "component": "Text", "text": "a" }), "/id"),
        (json!({ "id": "r", "component": "Row", "children": ["a", 7] }), "/children/1"),
        (
            json!({ "id": "b", "component": "Button", "child": "t", "action": { "event": {} } }),
            "/action/event/name",
        ),
        (
            json!({ "id": "c", "component": "Chart", "series": [{ "name": "a", "values": [1, "b"] }] }),
            "/series/0/values/1",
        ),
        (json!({ "id": "c", "component": "Chart", "series": [] }), "/series"),
        (json!({ "id": "f", "component": "FilePicker", "label": "a", "value": "b" }), "/value"),
        (json!({ "id": "f", "component": "File", "name": "a", "url": "http://x" }), "/url"),
        (json!({ "id": "f", "component": "File", "name": "a", "url": "javascript:1" }), "/url"),
        (json!({ "id": "s", "component": "Spacer", "size": "huge" }), "/size"),
        (json!({ "id": "s", "component": "Badge", "text": "a", "weight": "b" }), "/weight"),
        (
            json!({ "id": "t", "component": "Text", "text": { "call": "shout", "args": {} } }),
            "/text/call",
        ),
        (
            json!({ "id": "t", "component": "Text", "text":
            { "call": "formatString", "args": { "value": 7 }, "returnType": "string" } }),
            "/text/args/value",
        ),
    ] {
        assert_eq!(
            places(component.clone()),
            [place],
            "{component}: {:?}",
            faults(component.clone())
        );
    }
}

#[test]
fn every_fault_of_a_component_is_told_in_the_order_of_places() {
    let button =
        json!({ "id": "b", "component": "Button", "variant": "loud", "action": 7, "extra": 1 });
    assert_eq!(places(button), ["/action", "/child", "/variant"]);
    let text = faults(json!({ "id": "t", "component": "Text", "text": 7 }));
    assert!(text[0].1.contains("a binding {path}"), "{text:?}");
}

#[test]
fn of_very_many_faults_some_are_told() {
    let mut text = json!({ "id": "t", "component": "Text", "text": "a" });
    for at in 0..1000 {
        text[format!("unknown{at}")] = json!(1);
    }
    assert_eq!(faults(text).len(), 32);
    let wrong = json!({ "id": "r", "component": "Row", "children": vec![7; 1000] });
    assert_eq!(faults(wrong).len(), 32);
}

#[test]
fn the_extended_catalog_is_the_basic_one_and_six_more() {
    let schemas = &*SCHEMAS;
    let names = |id: &str| schemas.catalog(id).unwrap().components().collect::<Vec<_>>();
    assert_eq!((names(BASIC).len(), names(EXTENDED).len()), (18, 24));
    let more: Vec<_> =
        names(EXTENDED).into_iter().filter(|it| !names(BASIC).contains(it)).collect();
    assert_eq!(more, ["Badge", "Chart", "File", "FilePicker", "Select", "Spacer"]);
    let functions = |id: &str| schemas.catalog(id).unwrap().functions().count();
    assert_eq!((functions(BASIC), functions(EXTENDED)), (14, 14));
    assert!(schemas.catalog("urn:other").is_none());
}

#[test]
fn edges_and_defaults_come_from_the_schemas() {
    let schemas = &*SCHEMAS;
    let catalog = schemas.catalog(EXTENDED).unwrap();
    let with_edges =
        catalog.components().filter(|it| !catalog.component(it).unwrap().edges.is_empty());
    assert_eq!(
        with_edges.collect::<Vec<_>>(),
        ["Button", "Card", "Column", "List", "Modal", "Row", "Tabs"]
    );
    let row = catalog.component("Row").unwrap();
    assert_eq!(row.edges, [Edge::List("children".into())]);
    assert_eq!(json!(row.defaults), json!({ "justify": "start", "align": "stretch" }));
    let tabs = json!({ "tabs": [{ "title": "a", "child": "x" }, { "title": "b", "child": "y" }] });
    let mut named = Vec::new();
    catalog.component("Tabs").unwrap().edges.references(&tabs, |it| named.push(it.id));
    assert_eq!(named, ["x", "y"]);
    let template = json!({ "children": { "componentId": "x", "path": "/l" } });
    row.edges.references(&template, |it| assert!(it.is_template && it.id == "x"));
}

#[test]
fn a_message_is_checked_apart_from_its_components() {
    let schemas = &*SCHEMAS;
    let catalog = schemas.catalog(BASIC).unwrap();
    let check = |message, envelope: Value| {
        let found = catalog.check_message(message, &envelope);
        found.into_iter().map(|it| it.path).collect::<Vec<_>>()
    };
    let body = json!({ "surfaceId": "s", "components": [] });
    let empty = check(Message::Components, json!({ "version": "v0.9", "updateComponents": body }));
    assert_eq!(empty, ["/updateComponents/components"]);
    let theme = json!({ "surfaceId": "s", "catalogId": BASIC, "theme": { "primaryColor": "red" } });
    let envelope = json!({ "version": "v0.9", "createSurface": theme });
    assert_eq!(check(Message::Create, envelope), ["/createSurface/theme/primaryColor"]);
    let more = json!({ "version": "v0.9", "deleteSurface": { "surfaceId": "s" }, "note": 1 });
    assert_eq!(check(Message::Delete, more), ["/note"]);
}
