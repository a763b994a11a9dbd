//! The programs of the suite: with `acp-agent` one that speaks the Agent Client Protocol, else the shim.

use std::io::{BufRead, Write, stdin, stdout};

use serde_json::{Value, json};

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("acp-agent") => serve(),
        _ => std::process::exit(carport_agents_process::shim::run()),
    }
}

/// Answers what a client asks, and takes turns until its input ends and longer: it never ends by itself.
fn serve() {
    let mut task = Value::Null;
    for line in stdin().lock().lines().map_while(Result::ok) {
        let message: Value = serde_json::from_str(&line).unwrap_or_default();
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => answer(id, &json!({ "protocolVersion": 1 })),
            Some("session/new") => answer(id, &json!({ "sessionId": "acp-1" })),
            Some("session/prompt") => {
                task = message;
                ask_leave();
            }
            // The answer to what `ask_leave` asked.
            None => {
                let chosen = message["result"]["outcome"]["optionId"].as_str().unwrap_or("nothing");
                let text = task["params"]["prompt"][0]["text"].as_str().unwrap_or_default();
                say(&format!("{text}: {chosen}"));
                answer(&task["id"], &json!({ "stopReason": "end_turn" }));
            }
            Some(_) => {}
        }
    }
    loop {
        std::thread::park();
    }
}

fn ask_leave() {
    let options = json!([
        { "optionId": "yes", "name": "Yes", "kind": "allow_once" },
        { "optionId": "no", "name": "No", "kind": "reject_once" },
    ]);
    let tool = json!({ "toolCallId": "1", "kind": "execute" });
    let params = json!({ "sessionId": "acp-1", "toolCall": tool, "options": options });
    let method = "session/request_permission";
    send(&json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params }));
}

fn say(text: &str) {
    let content = json!({ "type": "text", "text": text });
    let update = json!({ "sessionUpdate": "agent_message_chunk", "content": content });
    let params = json!({ "sessionId": "acp-1", "update": update });
    send(&json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }));
}

fn answer(id: &Value, result: &Value) {
    send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
}

fn send(message: &Value) {
    let mut out = stdout().lock();
    // A client that is gone hears nothing.
    let _ = writeln!(out, "{message}").and_then(|()| out.flush());
}
