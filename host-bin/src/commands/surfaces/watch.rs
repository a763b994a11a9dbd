//! `carport surfaces watch`: what happens to surfaces and on them.

use serde_json::{Map, Value};

use crate::{
    client::{
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
        surfaces::{self, Event},
    },
    exit::{Code, Exit},
    output::{Output, Tone, count, cut, one_line},
};

/// Characters of what is said on a line.
const SAID: usize = 120;

pub(super) async fn run(
    only: Option<&str>,
    link: &Link,
    inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    tokio::select! {
        ended = follow(only, link, inbox, output) => ended,
        exit = interrupted() => Err(exit),
    }
}

async fn follow(
    only: Option<&str>,
    link: &Link,
    mut inbox: Inbox,
    output: Output,
) -> Result<(), Exit> {
    let start = surfaces::follow(link).await?;
    let mut seq = start.seq;
    output.note(format_args!("{}; Ctrl-C ends", count(start.surfaces.len(), "surface")));
    while let Some(incoming) = inbox.recv().await {
        let Incoming::Notice(notice) = incoming else { continue };
        let Some(event) = Event::of(&notice) else { continue };
        // An agent hears of its own surfaces only, so gaps say nothing to it that it could do better.
        if event.seq > seq + 1 {
            let missed = count((event.seq - seq - 1) as usize, "event");
            output.note(format_args!("{missed} were not for this connection, or it was too slow"));
        }
        seq = event.seq;
        if only.is_none_or(|id| id == event.result["surfaceId"]) {
            match output.is_json() {
                true => output.object(&event)?,
                false => output.line(line(&event))?,
            }
        }
    }
    Err(Exit::new(Code::NoDaemon, CallError::Ended(link.ended().await)))
}

fn line(event: &Event) -> String {
    let kind = event.kind.strip_prefix("a2ui.").unwrap_or(&event.kind);
    let id = event.result["surfaceId"].as_str().unwrap_or("?");
    let mut words = vec![
        Tone::Faint.paint(event.seq),
        Tone::Name.paint(one_line(kind)),
        one_line(id).into_owned(),
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
        let shown = |event: Value| {
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
}
