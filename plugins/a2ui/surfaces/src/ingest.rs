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
/// The payload is too large, holds too many, or one is around an id that is too long.
pub fn find(payload: &Value, limits: &Limits) -> Result<Vec<Found>, Fault> {
    within("maxPayloadBytes", limits.max_payload_bytes, inspect::bytes(payload))?;
    let mut search = Search { found: Vec::new(), limits };
    search.value(payload, None, Around::default())?;
    Ok(search.found)
}

/// What is known of the nearest A2A object.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    task_id: Option<&'a str>,
    context_id: Option<&'a str>,
}

/// The way to a value. It is written only where an envelope is found: there may be millions of values.
struct Way<'a> {
    above: Option<&'a Way<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Member(&'a str),
    Item(usize),
}

impl Way<'_> {
    fn written(&self) -> String {
        let above = self.above.map_or_else(String::new, Way::written);
        match self.step {
            Step::Member(name) => Pointer::below(&above, name),
            Step::Item(at) => format!("{above}/{at}"),
        }
    }
}

struct Search<'l> {
    found: Vec<Found>,
    limits: &'l Limits,
}

impl Search<'_> {
    fn value<'a>(
        &mut self,
        value: &'a Value,
        way: Option<&Way<'_>>,
        around: Around<'a>,
    ) -> Result<(), Fault> {
        match value {
            Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| {
                self.value(item, Some(&Way { above: way, step: Step::Item(at) }), around)
            }),
            Value::Object(members) if members.keys().any(|key| Message::of_key(key).is_some()) => {
                self.take(value, way, around)
            }
            Value::Object(members) => {
                let around = around.within(members);
                INTO.iter().try_for_each(|key| {
                    let way = Way { above: way, step: Step::Member(key) };
                    match (*key, members.get(*key)) {
                        ("parts", Some(Value::Array(parts))) => self.parts(parts, &way, around),
                        (_, Some(inner)) => self.value(inner, Some(&way), around),
                        _ => Ok(()),
                    }
                })
            }
            _ => Ok(()),
        }
    }

    /// Keeps an envelope. Nothing is copied before it is known to be one of not too many.
    fn take(
        &mut self,
        envelope: &Value,
        way: Option<&Way<'_>>,
        around: Around<'_>,
    ) -> Result<(), Fault> {
        let count = self.found.len() + 1;
        within("maxEnvelopesPerPayload", self.limits.max_envelopes_per_payload, count)?;
        let id = |id: Option<&str>| {
            let bytes = id.map_or(0, str::len);
            within("maxIdBytes", self.limits.max_id_bytes, bytes).map(|()| id.map(str::to_owned))
        };
        self.found.push(Found {
            path: way.map_or_else(String::new, Way::written),
            envelope: envelope.clone(),
            task_id: id(around.task_id)?,
            context_id: id(around.context_id)?,
        });
        Ok(())
    }

    fn parts<'a>(
        &mut self,
        parts: &'a [Value],
        way: &Way<'_>,
        around: Around<'a>,
    ) -> Result<(), Fault> {
        parts.iter().enumerate().try_for_each(|(at, part)| {
            let Some(data) = part.get("data").filter(|_| is_a2ui(part)) else { return Ok(()) };
            let way = Way { above: Some(way), step: Step::Item(at) };
            self.value(data, Some(&Way { above: Some(&way), step: Step::Member("data") }), around)
        })
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
        let many = |count: usize| Value::from(vec![envelope(); count]);
        assert_eq!(find(&many(256), &Limits::default()).unwrap().len(), 256);
        // What is told is not how many there are: the search stops at the first that is too many.
        let fault = find(&many(90_000), &Limits::default()).unwrap_err();
        let expected = Fault::Limit { key: "maxEnvelopesPerPayload", limit: 256, got: 257 };
        assert_eq!(fault, expected);
        let deep = (0..100).fold(envelope(), |inner, _| json!({ "result": inner }));
        assert_eq!(find(&deep, &Limits::default()).unwrap().len(), 1);
    }

    #[test]
    fn ids_of_an_owner_are_ids() {
        for name in ["taskId", "contextId"] {
            let of = |bytes: usize| json!({ name: "x".repeat(bytes), "a2ui": [envelope()] });
            assert_eq!(find(&of(256), &Limits::default()).unwrap().len(), 1);
            let fault = find(&of(257), &Limits::default()).unwrap_err();
            assert_eq!(fault, Fault::Limit { key: "maxIdBytes", limit: 256, got: 257 });
        }
    }

    #[test]
    fn many_values_that_are_no_envelopes_are_passed_by() {
        // Their ways, if each were written, would be hundreds of megabytes.
        let within = |inner: Value, name: &str| Map::from_iter([(name.to_owned(), inner)]).into();
        let wide = within(vec![0; 1 << 18].into(), "messages");
        let deep = (0..100).fold(wide, |inner, _| within(inner, "artifactUpdate"));
        assert!(find(&deep, &Limits::default()).unwrap().is_empty());
    }
}
