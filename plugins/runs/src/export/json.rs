//! OTLP/JSON, the encoding of OpenTelemetry's `TracesData` (opentelemetry-proto 1.x): ids in hex, 64-bit
//! numbers as strings.

use serde_json::{Value, json};

use super::span::{Attribute, SCOPE, SERVICE, Span, of_run, of_turn};
use crate::record::{RunEnded, RunRecord, RunStarted};

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
const STATUS_OK: u8 = 1;
const STATUS_ERROR: u8 = 2;

/// A document of some records of a run. `before` is the record right before them: the first turn began
/// then. The span of the run stands for its `started` record.
pub(crate) fn document(
    started: &RunStarted,
    ended: Option<&RunEnded>,
    before: Option<&RunRecord>,
    records: &[RunRecord],
) -> Value {
    let mut since = match before {
        Some(RunRecord::Turn(turn)) => turn.at,
        _ => started.started_at,
    };
    let mut spans = Vec::new();
    for record in records {
        match record {
            RunRecord::Started(_) => spans.push(of_run(started, ended)),
            RunRecord::Turn(turn) => {
                spans.push(of_turn(started, turn, since));
                since = turn.at;
            }
            RunRecord::Ended(_) => {}
        }
    }
    let text = |it: &str| Attribute::Text(it.to_owned());
    let resource = [("service.name", text(SERVICE)), ("agent.id", text(&started.agent_id))];
    json!({
        "resourceSpans": [{
            "resource": { "attributes": attributes(&resource) },
            "scopeSpans": [{
                "scope": { "name": SCOPE, "version": env!("CARGO_PKG_VERSION") },
                "spans": spans.iter().map(span).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn span(span: &Span) -> Value {
    let mut json = json!({
        "traceId": hex(&span.trace_id),
        "spanId": hex(&span.span_id),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanoseconds(span.start),
        "attributes": attributes(&span.attributes),
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = json!(hex(&parent));
    }
    if let Some(end) = span.end {
        json["endTimeUnixNano"] = json!(nanoseconds(end));
    }
    if let Some(well) = span.went_well {
        json["status"] = json!({ "code": if well { STATUS_OK } else { STATUS_ERROR } });
    }
    json
}

fn attributes(all: &[(&str, Attribute)]) -> Vec<Value> {
    let typed = |(key, value): &(&str, Attribute)| {
        let value = match value {
            Attribute::Text(it) => json!({ "stringValue": it }),
            Attribute::Int(it) => json!({ "intValue": it.to_string() }),
            Attribute::Flag(it) => json!({ "boolValue": it }),
        };
        json!({ "key": key, "value": value })
    };
    all.iter().map(typed).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nanoseconds(at: carport_core::Time) -> String {
    at.timestamp_nanos_opt().unwrap_or_default().to_string()
}
