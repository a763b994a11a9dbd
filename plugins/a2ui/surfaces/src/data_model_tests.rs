//! Writes to a data model, by a table and beside a model that clones everything.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::samples::any_json;

fn write(model: &mut Model, path: &str, value: Option<Value>) -> Result<(), Fault> {
    let limits = Limits::default();
    let path = Pointer::read(path, "updateDataModel.path", &limits)?;
    let plan = model.plan(&path, value, &limits)?;
    model.commit(&path, plan);
    Ok(())
}

#[test]
fn writes_make_what_is_missing() {
    for (before, path, value, after) in [
        (json!({}), "/", json!({ "a": 1 }), json!({ "a": 1 })),
        (json!({ "a": 1 }), "", json!([1]), json!([1])),
        (json!({}), "/a/b", json!(1), json!({ "a": { "b": 1 } })),
        (json!({}), "/a/0", json!(1), json!({ "a": [1] })),
        (json!({}), "/a/2/x", json!(1), json!({ "a": [null, null, { "x": 1 }] })),
        (json!({ "a": null }), "/a/b", json!(1), json!({ "a": { "b": 1 } })),
        (json!({ "a": [1] }), "/a/3", json!(2), json!({ "a": [1, null, null, 2] })),
        (json!({ "a": [] }), "/a/1", json!(2), json!({ "a": [null, 2] })),
        (json!({ "a": { "0": 1 } }), "/a/0", json!(2), json!({ "a": { "0": 2 } })),
        (json!({ "a": 1 }), "/a", Value::Null, json!({ "a": null })),
        (Value::Null, "/a/0", json!(1), json!({ "a": [1] })),
    ] {
        let mut model = Model { bytes: bytes(&before), root: before.clone() };
        write(&mut model, path, Some(value)).unwrap();
        assert_eq!(model.root, after, "{before} {path}");
        assert_eq!(model.bytes, model.root.to_string().len(), "{before} {path}");
    }
}

#[test]
fn deletions_keep_the_places_of_lists() {
    for (before, path, after) in [
        (json!({ "a": 1, "b": 2 }), "/a", json!({ "b": 2 })),
        (json!({ "a": 1 }), "/a", json!({})),
        (json!({ "a": [1, 2] }), "/a/0", json!({ "a": [null, 2] })),
        (json!({ "a": [1] }), "/a/7", json!({ "a": [1] })),
        (json!({ "a": 1 }), "/b/c", json!({ "a": 1 })),
        (json!({ "a": 1 }), "/a/c", json!({ "a": 1 })),
        (json!([1]), "/", json!({})),
    ] {
        let mut model = Model { bytes: bytes(&before), root: before.clone() };
        write(&mut model, path, None).unwrap();
        assert_eq!(model.root, after, "{before} {path}");
        assert_eq!(model.bytes, model.root.to_string().len(), "{before} {path}");
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_changes_nothing() {
    let before = json!({ "a": "text", "l": [1] });
    for (path, value) in [
        ("/a/b", Some(json!(1))),
        ("/l/x", Some(json!(1))),
        ("/l/01", Some(json!(1))),
        ("/l/-", Some(json!(1))),
        ("/l/10000", Some(json!(1))),
        ("/l/99999999999999999999", Some(json!(1))),
        ("/n/10000", Some(json!(1))),
        ("/l/x", None),
        ("/x", Some(json!("x".repeat(1 << 20)))),
    ] {
        let mut model = Model { bytes: bytes(&before), root: before.clone() };
        assert!(write(&mut model, path, value).is_err(), "{path}");
        assert_eq!((model.root, model.bytes), (before.clone(), bytes(&before)), "{path}");
    }
    assert!(write(&mut Model::default(), "/l/9999", Some(json!(1))).is_ok());
    let deep = format!("{}/z", "/a".repeat(48));
    assert!(write(&mut Model::default(), &deep, Some(json!([]))).is_ok());
    assert!(write(&mut Model::default(), &deep, Some(json!([[]]))).is_err());
}

#[test]
fn a_path_makes_no_more_containers_than_there_may_be() {
    let before = json!({ "n": null });
    for (path, fits) in [
        ("/a".repeat(50), true),
        ("/a".repeat(51), false),
        ("/0".repeat(50), true),
        ("/0".repeat(51), false),
        (format!("/l{}", "/0".repeat(49)), true),
        (format!("/n{}", "/0".repeat(50)), false),
        ("/a".repeat(512), false),
    ] {
        let mut model = Model { bytes: bytes(&before), root: before.clone() };
        let done = write(&mut model, &path, Some(json!(1)));
        assert_eq!(done.is_ok(), fits, "{path}");
        assert!(fits || model.root == before);
        if path.starts_with("/a/") && !fits {
            let fault = done.unwrap_err();
            assert_eq!(fault.reason(), Some(Reason::Depth), "{path}");
            assert!(fault.to_string().starts_with("`updateDataModel.path`"), "{fault}");
        }
    }
}

#[test]
fn what_a_path_makes_is_counted_before_it_is_made() {
    // Ten thousand lists of ten thousand nulls would be made if each step were taken first.
    let wide = Limits { max_list_items: usize::MAX, ..Limits::default() };
    let place = "/999999999999".repeat(20);
    for root in [json!({}), Value::Null, json!([])] {
        let model = Model { bytes: bytes(&root), root };
        let path = Pointer::read(&format!("{place}/0"), "path", &wide).unwrap();
        let fault = model.plan(&path, Some(json!(1)), &wide).err().unwrap();
        assert!(matches!(fault, Fault::Limit { key: "maxDataModelBytes", .. }), "{fault}");
    }
}

/// The same rules on clones, one step at a time.
fn slowly(root: &Value, segments: &[String], value: Option<&Value>) -> Option<Value> {
    let Some((first, rest)) = segments.split_first() else {
        return Some(value.cloned().unwrap_or(Value::Null));
    };
    let mut root = match (root, value) {
        (Value::Null, Some(_)) if index(first).is_some() => json!([]),
        (Value::Null, Some(_)) => json!({}),
        _ => root.clone(),
    };
    match &mut root {
        Value::Object(members) => match (value, rest.is_empty()) {
            (None, true) => drop(members.remove(first)),
            (None, false) if !members.contains_key(first) => {}
            _ => {
                let inner = members.get(first).cloned().unwrap_or(Value::Null);
                members.insert(first.clone(), slowly(&inner, rest, value)?);
            }
        },
        Value::Array(items) => {
            let place = index(first)?;
            if value.is_some() && place < 10_000 {
                items.resize(items.len().max(place + 1), Value::Null);
            }
            match items.get_mut(place) {
                Some(item) => *item = slowly(&item.clone(), rest, value)?,
                None if value.is_some() => return None,
                None => {}
            }
        }
        _ if value.is_none() => {}
        _ => return None,
    }
    Some(root)
}

proptest! {
    #[test]
    fn writes_are_what_slow_writes_are(
        writes in prop::collection::vec((prop::collection::vec("[ab]|[0-3]|01", 0..4), prop::option::of(any_json())), 1..12)
    ) {
        let mut model = Model::default();
        for (segments, value) in writes {
            let path = segments.iter().map(|it| format!("/{it}")).collect::<String>();
            let before = model.clone();
            let done = write(&mut model, &path, value.clone());
            let mut expected = slowly(&before.root, &segments, value.as_ref());
            if segments.is_empty() && value.is_none() {
                expected = Some(json!({}));
            }
            match done {
                Ok(()) => prop_assert_eq!(Some(&model.root), expected.as_ref()),
                Err(_) => prop_assert_eq!(&model, &before),
            }
            if expected.is_none() {
                prop_assert_eq!(&model, &before);
            }
            prop_assert_eq!(model.bytes, model.root.to_string().len());
        }
    }
}
