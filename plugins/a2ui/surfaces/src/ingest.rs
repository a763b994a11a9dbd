//! Envelopes in what peers send: bare, wrapped, or in the data parts of A2A objects.

use carport_a2ui_validate::Message;
use serde_json::{Map, Value};

use crate::{
    MEDIA_TYPES,
    fault::Fault,
    inspect,
    limits::{Limits, within},
    pointer::Pointer,
};

/// An envelope that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where it is, as a pointer into the payload.
    pub path: String,
    /// As it was sent.
    pub envelope: Value,
    /// The task and the context of the nearest A2A object around it.
    pub task_id: Option<String>,
    /// See `task_id`.
    pub context_id: Option<String>,
}

/// Members of A2A objects that may hold more of them, in the order in which they are looked into. History
/// is what was sent before, so it is not.
const INTO: [&str; 11] = [
    "a2ui",
    "messages",
    "parts",
    "message",
    "artifact",
    "artifacts",
    "status",
    "task",
    "statusUpdate",
    "artifactUpdate",
    "result",
];

/// Finds envelopes. A list of them, or an object that holds them in any of the known ways, is looked into.
///
/// # Errors
/// The payload is too large, or holds too many.
pub fn find(payload: &Value, limits: &Limits) -> Result<Vec<Found>, Fault> {
    within("maxPayloadBytes", limits.max_payload_bytes, inspect::bytes(payload))?;
    let mut search = Search { found: Vec::new() };
    search.value(payload, String::new(), Around::default());
    within("maxEnvelopesPerPayload", limits.max_envelopes_per_payload, search.found.len())?;
    Ok(search.found)
}

/// What is known of the nearest A2A object.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    task_id: Option<&'a str>,
    context_id: Option<&'a str>,
}

struct Search {
    found: Vec<Found>,
}

impl Search {
    fn value<'a>(&mut self, value: &'a Value, path: String, around: Around<'a>) {
        match value {
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.value(item, format!("{path}/{at}"), around);
                }
            }
            Value::Object(members) if members.keys().any(|key| Message::of_key(key).is_some()) => {
                self.found.push(Found {
                    path,
                    envelope: value.clone(),
                    task_id: around.task_id.map(str::to_owned),
                    context_id: around.context_id.map(str::to_owned),
                });
            }
            Value::Object(members) => {
                let around = around.within(members);
                for key in INTO {
                    let Some(inner) = members.get(key) else { continue };
                    let path = Pointer::below(&path, key);
                    match (key, inner) {
                        ("parts", Value::Array(parts)) => self.parts(parts, &path, around),
                        _ => self.value(inner, path, around),
                    }
                }
            }
            _ => {}
        }
    }

    fn parts<'a>(&mut self, parts: &'a [Value], path: &str, around: Around<'a>) {
        for (at, part) in parts.iter().enumerate() {
            if let Some(data) = part.get("data").filter(|_| is_a2ui(part)) {
                self.value(data, format!("{path}/{at}/data"), around);
            }
        }
    }
}

impl<'a> Around<'a> {
    fn within(self, members: &'a Map<String, Value>) -> Self {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        // A task names itself by `id`.
        let is_task =
            text("kind") == Some("task") || members.get("status").is_some_and(Value::is_object);
        let own = text("taskId").or_else(|| text("id").filter(|_| is_task));
        Self { task_id: own.or(self.task_id), context_id: text("contextId").or(self.context_id) }
    }
}

/// Whether a part may hold A2UI data, by its kind and by its media type if it has one.
fn is_a2ui(part: &Value) -> bool {
    let types = [&part["mediaType"], &part["metadata"]["mimeType"], &part["metadata"]["mediaType"]];
    let fits = |it: &str| MEDIA_TYPES.contains(&it) || it == "application/json";
    let is_data = part["kind"].as_str().is_none_or(|kind| kind == "data");
    is_data && types.into_iter().filter_map(Value::as_str).all(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(payload: &Value) -> Vec<String> {
        let found = find(payload, &Limits::default()).unwrap();
        for it in &found {
            assert_eq!(payload.pointer(&it.path), Some(&it.envelope));
        }
        found.into_iter().map(|it| it.path).collect()
    }

    fn envelope() -> Value {
        json!({ "createSurface": { "surfaceId": "s" } })
    }

    #[test]
    fn envelopes_are_found_where_peers_put_them() {
        let (one, part) = (envelope(), json!({ "kind": "data", "data": envelope() }));
        let new = json!({ "data": [envelope()], "mediaType": "application/a2ui+json" });
        let old = json!({ "kind": "data", "data": { "a2ui": envelope() },
            "metadata": { "mimeType": "application/json+a2ui" } });
        for (payload, expected) in [
            (one.clone(), vec![""]),
            (json!([one, one]), vec!["/0", "/1"]),
            (json!({ "a2ui": one }), vec!["/a2ui"]),
            (json!({ "a2ui": [one, one] }), vec!["/a2ui/0", "/a2ui/1"]),
            (json!({ "messages": [one] }), vec!["/messages/0"]),
            (
                json!({ "parts": [part, new, old] }),
                vec!["/parts/0/data", "/parts/1/data/0", "/parts/2/data/a2ui"],
            ),
            (
                json!({ "result": { "task": { "artifacts": [{ "parts": [new] }] } } }),
                vec!["/result/task/artifacts/0/parts/0/data/0"],
            ),
            (
                json!({ "statusUpdate": { "status": { "message": { "parts": [part] } } } }),
                vec!["/statusUpdate/status/message/parts/0/data"],
            ),
            (
                json!({ "artifactUpdate": { "artifact": { "parts": [part] } } }),
                vec!["/artifactUpdate/artifact/parts/0/data"],
            ),
            (json!({ "history": [{ "parts": [part] }] }), vec![]),
            (json!({ "parts": [{ "data": envelope(), "mediaType": "text/plain" }] }), vec![]),
            (json!({ "parts": [{ "kind": "file", "data": envelope() }] }), vec![]),
            (json!({ "text": "hello" }), vec![]),
            (json!("hello"), vec![]),
            (json!({}), vec![]),
        ] {
            assert_eq!(paths(&payload), expected, "{payload}");
        }
    }

    #[test]
    fn the_nearest_object_says_whose_it_is() {
        let part = json!({ "data": envelope() });
        let task = json!({ "id": "t1", "contextId": "c1", "status": { "message":
            { "parts": [part], "taskId": "t2" } }, "artifacts": [{ "parts": [part] }] });
        let found = find(&json!({ "result": task }), &Limits::default()).unwrap();
        let ids: Vec<_> =
            found.iter().map(|it| (it.task_id.as_deref(), it.context_id.as_deref())).collect();
        assert_eq!(ids, [(Some("t1"), Some("c1")), (Some("t2"), Some("c1"))]);
    }

    #[test]
    fn too_much_is_refused_whole() {
        let many = Value::from(vec![envelope(); 257]);
        assert!(find(&many, &Limits::default()).is_err());
        let deep = (0..100).fold(envelope(), |inner, _| json!({ "result": inner }));
        assert_eq!(find(&deep, &Limits::default()).unwrap().len(), 1);
    }
}
