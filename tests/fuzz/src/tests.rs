//! The bodies over texts of two kinds: any, and documents with a piece of them exchanged.

use proptest::{
    prelude::*,
    sample::{Index, select},
};

use super::{a2a, auth, frame, params, proposal};

const OF_A2A: [&str; 8] = [
    r#"{"id":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING","timestamp":"2026-01-02T03:04:05.678Z",
        "message":{"messageId":"m","role":"ROLE_AGENT","parts":[{"text":"wait"}]}},
        "artifacts":[{"artifactId":"a","parts":[{"raw":"AAA=","filename":"f","mediaType":"image/png"},{"data":[1]}]}],
        "history":[{"messageId":"n","role":"ROLE_USER","parts":[{"url":"https://a.example/x"}],"metadata":{"k":null}}]}"#,
    r#"{"id":"t","context_id":"c","kind":"task","status":{"state":"input-required"},
        "history":[{"kind":"message","messageId":"m","role":"user","parts":[{"kind":"text","text":"hi"},
        {"kind":"file","file":{"bytes":"AAA=","mimeType":"a/b"}},{"kind":"data","data":{"n":1.5}}]}]}"#,
    r#"{"artifactUpdate":{"taskId":"t","contextId":"c","append":true,"lastChunk":false,
        "artifact":{"artifactId":"a","parts":[{"text":"x"}]}}}"#,
    r#"{"message":{"messageId":"m","role":"ROLE_USER","parts":[{"data":{"tool":"echo"}}]},"configuration":{
        "historyLength":2,"returnImmediately":true,"taskPushNotificationConfig":{"url":"https://hook.example/",
        "token":"t","authentication":{"scheme":"Bearer","credentials":"c"}}}}"#,
    r#"{"name":"n","description":"d","version":"1","capabilities":{"streaming":true},"defaultInputModes":["a/b"],
        "defaultOutputModes":[],"skills":[{"id":"s","name":"s","description":"d","tags":[]}],"supportedInterfaces":[
        {"url":"https://a.example/a2a","protocolBinding":"JSONRPC","protocolVersion":"1.0"}]}"#,
    "id: 1\r\ndata: {\"a\":\ndata: 1}\n\n: still here\nid: 2\ndata: {}\n\nretry: 3\n",
    "https://User@A.example:443/x/../y?z=%20#f",
    "Wed, 21 Oct 2026 07:28:00 GMT",
];

const PROPOSALS: [&str; 2] = [
    r#"{"id":"p","actions":[{"id":"a","type":"tool_call","tool":"t","parameters":{"n":1},"idempotent":true,
        "expected_effects":{"k":"v"},"failure_behavior":"retry","max_retries":2},
        {"id":"b","type":"tool_call","tool":"tt","dependencies":["a"],"state_dependencies":["k"],"parameters":
        {"n":"$a.output.x[0]","m":"${a.output} and $$","z":[["$b.output"]]},"assumptions":[]}]}"#,
    r#"{"source":"s","actions":[{"type":"state_write","parameters":{"key":"k","value":{"x":1}},"write_set":["k"]},
        {"type":"state_read","parameters":{"key":"k"},"preconditions":[{"key":"k","operator":"exists"}]},
        {"type":"assertion","parameters":{"key":"k","operator":"eq","value":1},"timeout_ms":5}],"context":{"a":1}}"#,
];

const PIECES: [&str; 14] = [
    "",
    "\"",
    "null",
    "0",
    "-1",
    "1e400",
    "[]",
    "{}",
    "\"a\"",
    ",",
    "\\u0000",
    "[[[[",
    "\n\n",
    "$a.output",
];

/// The document with some of its bytes exchanged, where that is a text.
fn changed(document: &str, at: Index, length: usize, piece: &str) -> Option<String> {
    let at = at.index(document.len());
    let (before, after) = (document.get(..at)?, document.get((at + length).min(document.len())..)?);
    Some([before, piece, after].concat())
}

proptest! {
    #[test]
    fn any_text(text in ".{0,200}") {
        a2a(&text);
        frame(&text);
        auth(&text);
        params(&text);
        proposal(&text);
    }

    #[test]
    fn what_others_send_by_a2a_with_a_piece_of_it_exchanged(
        document in select(&OF_A2A[..]), at: Index, length in 0..20_usize, piece in select(&PIECES[..]),
    ) {
        a2a(document);
        changed(document, at, length, piece).iter().for_each(|it| a2a(it));
    }

    #[test]
    fn a_proposal_with_a_piece_of_it_exchanged(
        document in select(&PROPOSALS[..]), at: Index, length in 0..20_usize, piece in select(&PIECES[..]),
    ) {
        proposal(document);
        changed(document, at, length, piece).iter().for_each(|it| proposal(it));
    }
}
