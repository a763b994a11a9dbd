//! Any bytes in any portions: never a panic, never more than the bounds, and the same whatever the portions.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::builtin::builtin_tables;

fn adapter(id: &str) -> Adapter {
    let text = |output: &str| {
        serde_json::from_value(json!({ "binary": "x", "run_args": ["{task}"], "output": output }))
    };
    let table = match id {
        "text" | "lines" => text(id).unwrap(),
        "json" => serde_json::from_value(json!({
            "binary": "x", "run_args": ["{task}"], "output": "json",
            "events": [{ "answer": "/response", "error": "/error/message" }],
        }))
        .unwrap(),
        "acp" => serde_json::from_value(json!({ "binary": "x", "output": "acp" })).unwrap(),
        id => builtin_tables().remove(id).unwrap(),
    };
    Adapter::new("fake", table).unwrap()
}

fn reader(id: &str) -> Reader {
    let values = Values { task: "t".into(), ..Values::default() };
    Reader::new(&adapter(id), &values, Path::new("/w"), None)
}

/// Everything that is said, and how it came out.
fn read<'a>(id: &str, portions: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Saying>, Outcome) {
    let mut reader = reader(id);
    let mut sayings: Vec<_> = portions.into_iter().flat_map(|it| reader.push(it)).collect();
    let (last, outcome) = reader.finish();
    sayings.extend(last);
    (sayings, outcome)
}

fn tokens(sayings: &[Saying]) -> String {
    let token = |it: &Saying| match it {
        Saying::Token(text) => text.clone(),
        Saying::ToolCall { .. } => String::new(),
    };
    sayings.iter().map(token).collect()
}

const FORMATS: [&str; 7] = ["text", "lines", "json", "acp", "claude-code", "codex", "gemini"];

/// Bytes with a bent for what the formats look for.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        "[ä€😀{}\\[\\]\":,\n]{0,12}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            "{\"type\":\"result\",\"result\":\"r\",\"is_error\":true}\n",
            "{\"type\":\"message\",\"role\":\"assistant\",\"content\":\"c\"}\n",
            "{\"type\":\"item.started\",\"item\":{\"type\":\"mcp_tool_call\",\"tool\":7}}\n",
            "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\",\"name\":\"n\"}]}}\n",
            "{\"response\":",
            "{\"id\":0,\"result\":{\"protocolVersion\":1}}\n",
            "{\"id\":1,\"result\":{}}\n",
            "{\"id\":9,\"method\":\"session/request_permission\"}\n",
            "\n",
        ])
        .prop_map(|it| it.as_bytes().to_vec()),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn what_is_read_does_not_depend_on_the_portions(
        bytes in output(), portion in 1usize..40, format in prop::sample::select(&FORMATS[..]),
    ) {
        prop_assert_eq!(read(format, [&*bytes]), read(format, bytes.chunks(portion)));
    }

    #[test]
    fn lines_lose_no_character_of_a_text(text in "[a-zä€😀\n]{0,400}", limit in 5usize..30) {
        let (mut lines, mut seen) = (Lines::pieces(limit), String::new());
        for portion in text.as_bytes().chunks(7) {
            lines.push(portion, |it| {
                assert!(it.len() <= limit);
                seen.push_str(std::str::from_utf8(it).unwrap());
            });
        }
        lines.finish(|it| seen.push_str(std::str::from_utf8(it).unwrap()));
        prop_assert_eq!(seen, text);
    }
}

#[test]
fn a_long_output_without_a_line_end_is_held_nowhere() {
    let portion = vec![b'x'; 1 << 20];
    for format in FORMATS {
        let mut reader = reader(format);
        let mut said = 0;
        for _ in 0..20 {
            for saying in reader.push(&portion) {
                let Saying::Token(text) = saying else { panic!("{format}: {saying:?}") };
                assert!(text.len() <= TOKEN_BYTES);
                said += text.len();
            }
            assert!(reader.lines.held() <= DOCUMENT_BYTES);
        }
        let (_, outcome) = reader.finish();
        assert!(outcome.answer.len() <= ANSWER_BYTES);
        match format {
            "lines" => assert!(said > 19 << 20 && outcome.truncated),
            "text" => assert!(outcome.truncated && outcome.answer.len() == ANSWER_BYTES),
            _ => assert!(outcome.error.is_some(), "{format}"),
        }
    }
}

#[test]
fn a_large_line_is_passed_over_and_the_next_one_read() {
    let mut output = vec![b'"'; DOCUMENT_BYTES + 1];
    output.extend(b"\n{\"type\":\"init\",\"session_id\":\"s\"}");
    let (_, outcome) = read("gemini", [&*output]);
    assert_eq!(outcome.session_id.as_deref(), Some("s"));
}

#[test]
fn text_is_one_token_and_lines_come_one_by_one() {
    let output: &[u8] = b"one\ntwo \xff\n";
    let (sayings, outcome) = read("text", [output]);
    assert_eq!(sayings, [Saying::Token("one\ntwo \u{fffd}".into())]);
    assert_eq!(outcome.answer, "one\ntwo \u{fffd}");
    let (sayings, same) = read("lines", [output]);
    let expected = ["one\n", "two \u{fffd}\n"].map(|it| Saying::Token(it.into()));
    assert_eq!((sayings, same.answer), (expected.to_vec(), outcome.answer));
}

#[test]
fn a_document_over_several_lines_is_read_whole() {
    let (sayings, outcome) = read("json", [&b"{\n \"response\":\n\"four\"\n}\n"[..]]);
    assert_eq!((tokens(&sayings), outcome.answer), ("four".into(), "four".into()));
    let (_, outcome) = read("json", [&br#"{"error":{"message":"no quota"}}"#[..]]);
    assert_eq!(outcome.error.as_deref(), Some("no quota"));
    let (_, outcome) = read("json", [&b"Segmentation fault"[..]]);
    assert_eq!(outcome.error.as_deref(), Some("it printed nothing that its table reads"));
}

#[test]
fn a_run_of_claude_code_is_read() {
    let output = br#"warning: not JSON
{"type":"system","subtype":"init","session_id":"3f","tools":["Bash"]}
{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hel"}}}
{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"lo"}}}
{"type":"assistant","message":{"content":[{"type":"text","text":"Hello"},{"type":"tool_use","name":"Bash","input":{"command":"ls"}}]}}
{"type":"result","subtype":"success","is_error":false,"result":"Hello.","session_id":"3f","num_turns":2,"total_cost_usd":0.0125}
"#;
    let (sayings, outcome) = read("claude-code", [&output[..]]);
    assert_eq!(tokens(&sayings), "Hello");
    let call = Saying::ToolCall { tool: "Bash".into(), params: Some(json!({ "command": "ls" })) };
    assert_eq!(sayings.last(), Some(&call));
    let expected = Outcome {
        answer: "Hello.".into(),
        session_id: Some("3f".into()),
        turns: Some(2),
        tool_calls: 1,
        total_cost_usd: Some(0.0125),
        ..Outcome::default()
    };
    assert_eq!(outcome, expected);
    let failed = br#"{"type":"result","subtype":"error_max_turns","is_error":true,"num_turns":1}"#;
    let (_, outcome) = read("claude-code", [&failed[..]]);
    assert_eq!(outcome.error.as_deref(), Some("error_max_turns"));
}

#[test]
fn a_run_of_codex_is_read() {
    let output = br#"{"type":"thread.started","thread_id":"t-1"}
{"type":"turn.started"}
{"type":"item.started","item":{"id":"0","type":"command_execution","command":"ls","status":"in_progress"}}
{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"First."}}
{"type":"item.completed","item":{"id":"2","type":"agent_message","text":"Last."}}
{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":2}}
"#;
    let (sayings, outcome) = read("codex", [&output[..]]);
    assert_eq!(tokens(&sayings), "First.Last.");
    assert_eq!((outcome.answer, outcome.turns, outcome.tool_calls), ("Last.".into(), Some(1), 1));
    assert_eq!(outcome.session_id.as_deref(), Some("t-1"));
    let failed = br#"{"type":"turn.failed","error":{"message":"no credit"}}"#;
    assert_eq!(read("codex", [&failed[..]]).1.error.as_deref(), Some("no credit"));
}

#[test]
fn a_run_of_gemini_is_read() {
    let output = br#"{"type":"init","session_id":"g","model":"m"}
{"type":"message","role":"user","content":"Q"}
{"type":"message","role":"assistant","content":"A","delta":true}
{"type":"tool_use","tool_name":"read_file","tool_id":"1","parameters":{"path":"x"}}
{"type":"message","role":"assistant","content":"B","delta":true}
{"type":"result","status":"success","stats":{"tool_calls":1}}
"#;
    let (sayings, outcome) = read("gemini", [&output[..]]);
    assert_eq!((tokens(&sayings), &*outcome.answer), ("AB".into(), "AB"));
    assert_eq!((outcome.tool_calls, outcome.turns, outcome.error), (1, None, None));
}
