//! Tests of what a fact may be.

use serde_json::{Value, json};

use super::*;

fn now() -> Time {
    Time::default()
}

fn read(value: Value) -> Result<Arc<Fact>> {
    let record: Record = serde_json::from_value(value).unwrap();
    record.into_fact("facts[0]", now(), || "ws-1".into())
}

#[test]
fn what_is_missing_has_its_default() {
    let fact = read(json!({ "subject": "s", "text": "b" })).unwrap();
    let whole = json!({
        "fact_id": "ws-1", "subject": "s", "body": "b", "kind": "pattern", "confidence": 1.0,
        "tags": [], "source": "ws", "is_constraint": false, "uses": 0, "wins": 0, "losses": 0,
        "created_at": "1970-01-01T00:00:00.000Z", "updated_at": "1970-01-01T00:00:00.000Z",
    });
    assert_eq!(serde_json::to_value(&fact).unwrap(), whole);
}

#[test]
fn what_was_written_reads_as_it_was() {
    let fact = read(json!({
        "id": "a:1", "subject": "s", "body": "b", "kind": "Constraint", "confidence": "0.25",
        "tags": ["z", "a", "z"], "source": "", "tenant_id": "t", "entry": "procedural",
        "created_at": "2020-01-01T00:00:00Z", "uses": 1, "wins": 2, "losses": 3, "other": null,
    }))
    .unwrap();
    assert_eq!((fact.kind.as_str(), fact.is_constraint), ("constraint", true));
    assert_eq!((fact.tags.len(), fact.confidence, fact.updated_at), (3, 0.25, fact.created_at));
    let again = read(serde_json::to_value(&fact).unwrap()).unwrap();
    assert_eq!(again, fact);
    let strict: Fact = serde_json::from_value(serde_json::to_value(&fact).unwrap()).unwrap();
    assert_eq!(strict, *fact);
}

#[test]
fn confidence_has_words() {
    for (said, is) in [
        (json!(0.5), Some(0.5)),
        (json!("high"), Some(0.9)),
        (json!(" Medium "), Some(0.6)),
        (json!("low"), Some(0.3)),
        (json!("0.7"), Some(0.7)),
        (json!("inf"), None),
        (json!("very"), None),
        (json!(true), None),
    ] {
        let read = serde_json::from_value::<Confidence>(said.clone()).ok();
        assert_eq!(read.map(|it| it.0), is, "{said}");
    }
}

#[test]
fn what_is_out_of_bounds_is_named() {
    for (change, field) in [
        (json!({ "subject": "" }), "subject"),
        (json!({ "subject": "x".repeat(513) }), "subject"),
        (json!({ "body": "" }), "body"),
        (json!({ "body": "x".repeat(32 * 1024 + 1) }), "body"),
        (json!({ "kind": "1st" }), "kind"),
        (json!({ "kind": "a b" }), "kind"),
        (json!({ "kind": "x".repeat(33) }), "kind"),
        (json!({ "kind": "Conversation" }), "kind"),
        (json!({ "confidence": 1.5 }), "confidence"),
        (json!({ "confidence": "-1" }), "confidence"),
        (json!({ "tags": vec!["x"; 33] }), "tags"),
        (json!({ "tags": ["a", ""] }), "tags[1]"),
        (json!({ "source": "x".repeat(257) }), "source"),
        (json!({ "fact_id": "a b" }), "fact_id"),
        (json!({ "tenant_id": "" }), "tenant_id"),
    ] {
        let mut value = json!({ "subject": "s", "body": "b" });
        value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = read(value).unwrap_err();
        assert_eq!(error.field(), Some(format!("facts[0].{field}").as_str()), "{change}");
    }
}

#[test]
fn a_kind_and_the_mark_of_a_constraint_decide_the_layer() {
    for (kind, marked, layer) in [
        ("identity", false, Layer::Identity),
        ("identity", true, Layer::Constraints),
        ("constraint", false, Layer::Constraints),
        ("environment", false, Layer::Environment),
        ("question", false, Layer::Unknowns),
        ("unknown", false, Layer::Unknowns),
        ("anything", false, Layer::Facts),
    ] {
        let fact =
            read(json!({ "subject": "s", "body": "b", "kind": kind, "is_constraint": marked }));
        assert_eq!(fact.unwrap().layer(), layer, "{kind}");
    }
}
