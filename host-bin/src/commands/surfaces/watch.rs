//! `carport surfaces watch`: what happens to surfaces and on them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    client::{
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
        surfaces::{self, Event, Followed},
    },
    exit::{Code, Exit},
    output::{Output, Tone, count, cut, one_line},
};

/// Characters of what is said on a line.
const SAID: usize = 120;

/// What is followed, and as whom.
pub(super) struct Wanted<'a> {
    /// Only this surface.
    pub(super) only: Option<&'a str>,
    /// Whether an agent asks, which hears of its own surfaces only.
    pub(super) is_agent: bool,
}

pub(super) async fn run(
    wanted: Wanted<'_>,
    link: &Link,
    inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    tokio::select! {
        ended = follow(wanted, link, inbox, output) => ended,
        exit = interrupted() => Err(exit),
    }
}

async fn follow(
    wanted: Wanted<'_>,
    link: &Link,
    mut inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    let start = surfaces::follow(link).await?;
    output.note(format_args!("{}; Ctrl-C ends", count(start.surfaces.len(), "surface")));
    let mut trail = Trail::from(&start, wanted.is_agent);
    while let Some(incoming) = inbox.recv().await {
        let Incoming::Notice(notice) = incoming else { continue };
        let Some(event) = Event::of(&notice) else { continue };
        if let Some(missed) = trail.missed(&event) {
            output.note(missed);
        }
        if wanted.only.is_none_or(|id| id == event.surface_id()) {
            match output.is_json() {
                true => output.object(&event)?,
                false => output.line(line(&event))?,
            }
        }
    }
    Err(Exit::new(Code::NoDaemon, CallError::Ended(link.ended().await)))
}

/// How far the events were followed.
enum Trail {
    /// By number: everybody but an agent hears of every one.
    All(u64),
    /// By the revision of each surface: the numbers that an agent hears have gaps where nothing is missing.
    Own(BTreeMap<String, u64>),
}

impl Trail {
    fn from(start: &Followed, is_agent: bool) -> Self {
        let known = start.surfaces.iter().map(|it| (it.surface_id.clone(), it.revision));
        match is_agent {
            true => Self::Own(known.collect()),
            false => Self::All(start.seq),
        }
    }

    /// Goes on to an event. What was missed before it, if something was.
    fn missed(&mut self, event: &Event) -> Option<String> {
        match self {
            Self::All(seq) => {
                let before = std::mem::replace(seq, event.seq);
                let missed = event.seq.saturating_sub(before + 1) as usize;
                (missed > 0).then(|| format!("{} missed: too slow", count(missed, "event")))
            }
            Self::Own(known) => {
                let id = event.surface_id();
                let before = known.insert(id.to_owned(), event.revision).unwrap_or(0);
                if event.kind == "a2ui.surface_deleted" {
                    known.remove(id);
                }
                let missed = before != event.base_revision;
                missed.then(|| format!("changes of {} missed: too slow", one_line(id)))
            }
        }
    }
}

fn line(event: &Event) -> String {
    let kind = event.kind.strip_prefix("a2ui.").unwrap_or(&event.kind);
    let mut words = vec![
        Tone::Faint.paint(event.seq),
        Tone::Name.paint(one_line(kind)),
        one_line(event.surface_id()).into_owned(),
        format!("by {}", one_line(&event.source)),
    ];
    words.extend(event.strategy.as_deref().map(|it| one_line(it).into_owned()));
    words.push(one_line(&cut(&said(event), SAID)).into_owned());
    words.join("  ")
}

/// What the event is about, as short as it goes.
fn said(event: &Event) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let result = &event.result;
    match event.kind.as_str() {
        "a2ui.action" => {
            format!("{} {}", text(&result["action"]["name"]), result["action"]["context"])
        }
        "a2ui.advice" => {
            let advice = result["advice"].as_array().into_iter().flatten();
            advice.map(|it| text(&it["message"])).collect::<Vec<_>>().join("; ")
        }
        "a2ui.render_report" => {
            let findings = result["findings"].as_array().into_iter().flatten();
            findings.map(|it| text(&it["code"])).collect::<Vec<_>>().join(" ")
        }
        _ => event.envelopes.iter().filter_map(Value::as_object).filter_map(message).collect(),
    }
}

/// The message of an envelope, and how much it carries.
fn message(envelope: &Map<String, Value>) -> Option<String> {
    let (key, body) = envelope.iter().find(|it| it.0 != "version")?;
    let more = match (body["components"].as_array(), body["path"].as_str()) {
        (Some(components), _) => format!(" {}", count(components.len(), "component")),
        (None, Some(path)) => format!(" {path}"),
        (None, None) => String::new(),
    };
    Some(format!("{key}{more}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_event_says_what_it_is_about() {
        let shown = |mut event: Value| {
            (event["revision"], event["baseRevision"]) = (json!(2), json!(1));
            let event: Event = serde_json::from_value(event).unwrap();
            anstream::adapter::strip_str(&line(&event)).to_string()
        };
        let update = json!({ "updateComponents": { "surfaceId": "s", "components": [{}, {}] }, "version": "v0.9" });
        for (event, line) in [
            (
                json!({ "kind": "a2ui.surface_updated", "seq": 4, "source": "ui_agent", "strategy": "stack_row",
                "result": { "surfaceId": "s" }, "envelopes": [update] }),
                "4  surface_updated  s  by ui_agent  stack_row  updateComponents 2 components",
            ),
            (
                json!({ "kind": "a2ui.action", "seq": 5, "source": "client",
                "result": { "surfaceId": "s", "action": { "name": "go", "context": { "a": 1 } } } }),
                "5  action  s  by client  go {\"a\":1}",
            ),
            (
                json!({ "kind": "a2ui.render_report", "seq": 6, "source": "client",
                "result": { "surfaceId": "s", "findings": [{ "code": "overflow_x" }] } }),
                "6  render_report  s  by client  overflow_x",
            ),
        ] {
            assert_eq!(shown(event), line);
        }
    }

    fn event(seq: u64, id: &str, base: u64, kind: &str) -> Event {
        let event = json!({ "kind": kind, "seq": seq, "source": "host", "revision": seq,
            "baseRevision": base, "result": { "surfaceId": id } });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn what_was_missed_is_said_to_whom_it_was_for() {
        let surface = json!({ "surfaceId": "s", "catalogId": "urn:c", "revision": 4, "updatedAt": "now",
            "createdBy": { "kind": "agent" }, "dataModel": {}, "components": [] });
        let start = json!({ "seq": 7, "surfaces": [surface] });
        let start: Followed = serde_json::from_value(start).unwrap();
        let (mut all, mut own) = (Trail::from(&start, false), Trail::from(&start, true));
        for (seq, id, base, kind, by_all, by_own) in [
            (8, "s", 4, "a2ui.surface_updated", None, None),
            // Between these there were events of others, for everybody but the agent.
            (11, "s", 8, "a2ui.surface_updated", Some("2 events missed: too slow"), None),
            (13, "s", 12, "a2ui.surface_updated", Some("1 event"), Some("changes of s missed")),
            (14, "s", 13, "a2ui.surface_deleted", None, None),
            (15, "s", 0, "a2ui.surface_updated", None, None),
            (16, "t", 9, "a2ui.surface_updated", None, Some("changes of t missed")),
        ] {
            let event = event(seq, id, base, kind);
            for (trail, expected) in [(&mut all, by_all), (&mut own, by_own)] {
                let said = trail.missed(&event).unwrap_or_default();
                assert!(said.starts_with(expected.unwrap_or_default()), "{seq}: {said}");
                assert_eq!(said.is_empty(), expected.is_none(), "{seq}: {said}");
            }
        }
    }
}
