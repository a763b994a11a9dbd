//! Conversations with agents that speak the protocol, word by word.

use serde_json::{Value, json};

use crate::{
    adapter::{Adapter, Values},
    reader::{Outcome, Reader, Saying},
};
use std::path::Path;

/// A turn so far.
struct Turn {
    reader: Reader,
    sayings: Vec<Saying>,
}

impl Turn {
    fn new(change: impl FnOnce(&mut Values), mcp_endpoint: Option<&str>) -> Self {
        let mut values = Values { task: "do it".into(), ..Values::default() };
        change(&mut values);
        let table = serde_json::from_value(json!({ "binary": "x", "output": "acp" })).unwrap();
        let adapter = Adapter::new("fake", table).unwrap();
        let reader = Reader::new(&adapter, &values, Path::new("/w"), mcp_endpoint);
        Self { reader, sayings: Vec::new() }
    }

    /// The agent says this.
    fn hears(&mut self, message: &Value) -> &mut Self {
        self.sayings.extend(self.reader.push(format!("{message}\n").as_bytes()));
        self
    }

    /// What the agent is told since.
    fn told(&mut self) -> Vec<Value> {
        self.reader.outgoing().iter().map(|it| serde_json::from_str(it).unwrap()).collect()
    }
}

fn initialized(can: &Value) -> Value {
    json!({ "id": 0, "result": { "protocolVersion": 1, "agentCapabilities": can } })
}

fn update(update: &Value) -> Value {
    let params = json!({ "sessionId": "s", "update": update });
    json!({ "jsonrpc": "2.0", "method": "session/update", "params": params })
}

fn chunk(text: &str) -> Value {
    let content = json!({ "type": "text", "text": text });
    update(&json!({ "sessionUpdate": "agent_message_chunk", "content": content }))
}

#[test]
fn a_turn_is_opened_told_and_ended() {
    let mut turn = Turn::new(|_| {}, Some("http://m"));
    let first = &turn.told()[0];
    assert_eq!(
        (&first["method"], &first["params"]["protocolVersion"]),
        (&json!("initialize"), &json!(1))
    );
    turn.hears(&initialized(&json!({ "mcpCapabilities": { "http": true } })));
    let second = &turn.told()[0];
    assert_eq!((&second["id"], &second["method"]), (&json!(1), &json!("session/new")));
    let server = json!({ "type": "http", "name": "carport", "url": "http://m", "headers": [] });
    assert_eq!(second["params"], json!({ "cwd": "/w", "mcpServers": [server] }));
    turn.hears(&json!({ "id": 1, "result": { "sessionId": "s" } }));
    let third = &turn.told()[0];
    let prompt = json!({ "sessionId": "s", "prompt": [{ "type": "text", "text": "do it" }] });
    assert_eq!((&third["method"], &third["params"]), (&json!("session/prompt"), &prompt));
    let call = json!({ "sessionUpdate": "tool_call", "toolCallId": "1", "title": "Read x", "rawInput": 1 });
    let cost = json!({ "sessionUpdate": "usage_update", "used": 1, "size": 2,
        "cost": { "amount": 0.25, "currency": "USD" } });
    turn.hears(&chunk("Do")).hears(&update(&call)).hears(&update(&cost)).hears(&chunk("ne"));
    assert!(!turn.reader.is_over());
    turn.hears(&json!({ "id": 2, "result": { "stopReason": "end_turn" } }));
    assert!(turn.reader.is_over() && turn.told().is_empty());
    let tool = Saying::ToolCall { tool: "Read x".into(), params: Some(json!(1)) };
    assert_eq!(turn.sayings, [Saying::Token("Do".into()), tool, Saying::Token("ne".into())]);
    let (_, outcome) = turn.reader.finish();
    let expected = Outcome {
        answer: "Done".into(),
        session_id: Some("s".into()),
        turns: Some(1),
        tool_calls: 1,
        total_cost_usd: Some(0.25),
        ..Outcome::default()
    };
    assert_eq!(outcome, expected);
}

#[test]
fn the_past_of_a_session_that_is_loaded_is_not_told_again() {
    let mut turn = Turn::new(|values| values.session_id = Some("old".into()), None);
    turn.hears(&initialized(&json!({ "loadSession": true }))).hears(&chunk("past"));
    let load = &turn.told()[1];
    assert_eq!(
        (&load["method"], &load["params"]["sessionId"]),
        (&json!("session/load"), &json!("old"))
    );
    turn.hears(&json!({ "id": 1, "result": null })).hears(&chunk("now"));
    assert_eq!(turn.told()[0]["params"]["sessionId"], "old");
    assert_eq!(turn.sayings, [Saying::Token("now".into())]);
}

#[test]
fn only_what_the_call_allows_is_permitted_and_only_once() {
    let ask = |kind: &str| {
        let options = json!([
            { "optionId": "always", "name": "", "kind": "allow_always" },
            { "optionId": "once", "name": "", "kind": "allow_once" },
            { "optionId": "no", "name": "", "kind": "reject_once" },
        ]);
        let params = json!({ "toolCall": { "kind": kind }, "options": options });
        json!({ "id": "p", "method": "session/request_permission", "params": params })
    };
    let mut turn = Turn::new(|values| values.allowed_tools = Some(vec!["read".into()]), None);
    turn.told();
    turn.hears(&ask("read")).hears(&ask("execute"));
    turn.hears(&json!({ "id": 7, "method": "session/request_permission" }));
    turn.hears(&json!({ "id": 8, "method": "fs/read_text_file", "params": {} }));
    let told = turn.told();
    let outcome = |at: usize| &told[at]["result"]["outcome"];
    assert_eq!(outcome(0), &json!({ "outcome": "selected", "optionId": "once" }));
    assert_eq!(
        (outcome(1), &told[1]["id"]),
        (&json!({ "outcome": "selected", "optionId": "no" }), &json!("p"))
    );
    assert_eq!(outcome(2), &json!({ "outcome": "cancelled" }));
    assert_eq!(told[3]["error"]["code"], -32601);
}

#[test]
fn what_an_agent_cannot_do_or_refuses_fails_the_task() {
    let fails = |turn: &mut Turn, message: &Value| {
        turn.hears(message);
        assert!(turn.reader.is_over());
        let reader = std::mem::replace(&mut turn.reader, Turn::new(|_| {}, None).reader);
        reader.finish().1.error.unwrap()
    };
    let plain = initialized(&json!({}));
    let mut resumed = Turn::new(|values| values.session_id = Some("s".into()), None);
    assert_eq!(fails(&mut resumed, &plain), "it cannot go on with a session");
    let mut served = Turn::new(|_| {}, Some("http://m"));
    assert_eq!(fails(&mut served, &plain), "it takes no MCP server over HTTP");
    let other = json!({ "id": 0, "result": { "protocolVersion": 2 } });
    let says = fails(&mut Turn::new(|_| {}, None), &other);
    assert_eq!(says, "it speaks version 2 of the protocol, not 1");
    let error = json!({ "id": 0, "error": { "code": -32000, "message": "sign in first" } });
    assert_eq!(fails(&mut Turn::new(|_| {}, None), &error), "sign in first");
    let mut refused = Turn::new(|_| {}, None);
    refused.hears(&plain).hears(&json!({ "id": 1, "result": { "sessionId": "s" } }));
    let refusal = json!({ "id": 2, "result": { "stopReason": "refusal" } });
    assert_eq!(fails(&mut refused, &refusal), "its turn ended: refusal");
    let (_, cut) = Turn::new(|_| {}, None).reader.finish();
    assert_eq!(cut.error.as_deref(), Some("it ended before its turn did"));
}
