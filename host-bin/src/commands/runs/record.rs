//! Records of a run as people read them.

use carport_core::Time;
use chrono::TimeDelta;
use serde_json::Value;

use crate::output::{Tone, count, cut, one_line};

/// Characters of a value on a line.
const VALUE: usize = 56;

/// One line for a turn or an end; what a run recorded is never taken for the program's own words.
pub(in crate::commands) fn line(record: &Value) -> String {
    match record["record"].as_str() {
        Some("turn") => turn(record),
        Some("ended") => ended(record),
        Some("started") => {
            format!("started {}", one_line(record["intent"].as_str().unwrap_or_default()))
        }
        _ => one_line(&record.to_string()).into_owned(),
    }
}

fn turn(record: &Value) -> String {
    let mut words =
        vec![format!("#{:<4}", record["index"].to_string()), time_of_day(&record["at"])];
    if let Some(tool) = record["tool"].as_str() {
        words.push(Tone::Name.paint(one_line(tool)));
    }
    let given = ["prompt", "parameters"].map(|part| brief(&record[part], VALUE));
    words.extend(given.into_iter().filter(|text| !text.is_empty()));
    let output = brief(&record["output"], VALUE);
    if !output.is_empty() {
        words.push(format!("{} {output}", Tone::Faint.paint("->")));
    }
    let (verdict, tone) = verdict(record);
    if !verdict.is_empty() {
        words.push(tone.paint(verdict));
    }
    words.join("  ")
}

/// What was said about a turn; nothing for one that nobody judged.
pub(super) fn verdict(record: &Value) -> (String, Tone) {
    if record["policy_rejected"] == true {
        return ("rejected by policy".into(), Tone::Bad);
    }
    match record["verifier_verdict"].as_str() {
        None | Some("not_run") => (brief_unless_null(&record["verifier_verdict"]), Tone::Faint),
        Some("passed") => ("passed".into(), Tone::Good),
        Some("failed") => ("failed".into(), Tone::Bad),
        Some(other) => (one_line(cut(other, VALUE).as_ref()).into_owned(), Tone::Warn),
    }
}

fn brief_unless_null(value: &Value) -> String {
    match value {
        Value::Null | Value::String(_) => String::new(),
        other => brief(other, VALUE),
    }
}

fn ended(record: &Value) -> String {
    let (text, tone) = termination(&record["termination"]);
    let turns = record["turn_count"].as_u64().unwrap_or_default();
    format!("{}  {}  {}", tone.paint("ended"), tone.paint(text), count(turns as usize, "turn"))
}

/// How a run ended, in words.
pub(super) fn termination(termination: &Value) -> (String, Tone) {
    let word = |value: &Value| one_line(value.as_str().unwrap_or("unknown")).into_owned();
    match termination["kind"].as_str() {
        Some("outcome") => {
            let outcome = &termination["outcome"];
            let status = word(&outcome["status"]);
            let tone = match status.as_str() {
                "success" => Tone::Good,
                "failure" | "error" | "timeout" => Tone::Bad,
                _ => Tone::Warn,
            };
            match outcome["summary"].as_str() {
                None | Some("") => (status, tone),
                Some(summary) => (format!("{status}: {}", one_line(&cut(summary, VALUE))), tone),
            }
        }
        _ => {
            let reason = word(&termination["reason"]);
            let message = termination["message"].as_str().map(|it| format!(": {}", one_line(it)));
            (format!("incomplete ({reason}){}", message.unwrap_or_default()), Tone::Warn)
        }
    }
}

/// A value in a few characters; nothing for one that is not there.
pub(super) fn brief(value: &Value, most: usize) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => one_line(text).into_owned(),
        other => one_line(&other.to_string()).into_owned(),
    };
    cut(&text, most).into_owned()
}

fn time_of_day(at: &Value) -> String {
    let at = at.as_str().and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    let text = at.map_or_else(|| "-".into(), |at| at.format("%H:%M:%S%.3f").to_string());
    Tone::Faint.paint(text)
}

/// How long something took.
pub(super) fn took(from: Time, to: Time) -> String {
    span(*to - *from)
}

/// A span of time in its two largest units.
pub(in crate::commands) fn span(span: TimeDelta) -> String {
    let millis = span.num_milliseconds().max(0);
    let (secs, mins, hours) = (millis / 1000, millis / 60_000, millis / 3_600_000);
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{secs}.{} s", millis % 1000 / 100),
        60_000..3_600_000 => format!("{mins} min {} s", secs % 60),
        _ => format!("{hours} h {} min", mins % 60),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(record: &Value) -> String {
        anstream::adapter::strip_str(&line(record)).to_string()
    }

    #[test]
    fn a_turn_is_one_line() {
        let turn = json!({
            "record": "turn", "index": 7, "tool": "compile", "parameters": { "target": "lib" },
            "output": { "ok": true }, "verifier_verdict": "passed", "at": "2026-05-02T12:00:07.120Z",
        });
        assert_eq!(
            plain(&turn),
            r#"#7     12:00:07.120  compile  {"target":"lib"}  -> {"ok":true}  passed"#
        );
        let bare = json!({ "record": "turn", "index": 0, "verifier_verdict": "not_run" });
        assert_eq!(plain(&bare), "#0     -");
    }

    #[test]
    fn a_recorded_text_stays_within_its_line() {
        let turn = json!({
            "record": "turn", "index": 0, "tool": "x\n\u{1b}[2Jended", "output": "y".repeat(500),
        });
        let text = plain(&turn);
        assert!(!text.contains(['\n', '\u{1b}']) && text.len() < 200, "{text}");
    }

    #[test]
    fn an_end_says_how() {
        let ended = |termination: Value| {
            plain(&json!({ "record": "ended", "termination": termination, "turn_count": 3 }))
        };
        let outcome = json!({ "status": "success", "summary": "done" });
        assert_eq!(
            ended(json!({ "kind": "outcome", "outcome": outcome })),
            "ended  success: done  3 turns"
        );
        assert_eq!(
            ended(json!({ "kind": "incomplete", "reason": "restart" })),
            "ended  incomplete (restart)  3 turns"
        );
    }

    #[test]
    fn a_span_is_told_in_its_own_unit() {
        for (millis, text) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (61_000, "1 min 1 s"),
            (3_660_000, "1 h 1 min"),
        ] {
            assert_eq!(span(TimeDelta::milliseconds(millis)), text);
        }
    }
}
