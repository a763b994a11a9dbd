//! One turn of a chat, from the prompt to the event that ends it.

use std::{
    collections::VecDeque,
    io::{self, IsTerminal},
    pin::pin,
};

use serde_json::{Value, json};

use super::{
    Approve,
    answer::{Added, Answer},
};
use crate::{
    client::{
        agents::{ChatEvent, refused},
        interrupt::interrupted,
        link::{CallError, Inbox, Incoming, Link},
    },
    commands::typed::{Typed, typed_lines},
    exit::Exit,
    output::{Output, Tone, cut, one_line},
};

/// Characters of a tool's parameters on a line.
const PARAMS: usize = 120;

/// A conversation with one agent.
pub(super) struct Talk {
    link: Link,
    inbox: Inbox,
    agent: String,
    approve: Approve,
    output: Output,
    /// The chat's id, once the daemon gave one: later turns belong to the same chat.
    session_id: Option<String>,
    /// What is typed, once anybody is asked for something.
    pub(super) typed: Option<Typed>,
}

/// How a turn ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The agent said all it had to say.
    Whole,
    /// The person called it off.
    Cancelled,
}

/// What a turn knows while it goes on.
#[derive(Default)]
struct Turn {
    answer: Answer,
    /// Approvals that the person decides about, and what each is for; the first is being asked about.
    asked: VecDeque<(String, String)>,
    /// Whether the person called the turn off.
    cancelled: bool,
}

impl Talk {
    pub(super) fn new(
        link: Link,
        inbox: Inbox,
        agent: String,
        approve: Approve,
        output: Output,
    ) -> Self {
        Self { link, inbox, agent, approve, output, session_id: None, typed: None }
    }

    /// The next typed line; `None` once there are none to come.
    pub(super) async fn line(&mut self) -> Option<String> {
        self.typed.as_mut()?.recv().await
    }

    /// Says something, and prints the answer to its end.
    pub(super) async fn turn(&mut self, prompt: &str) -> Result<Ended, Exit> {
        let session_id = tokio::select! {
            begun = self.begin(prompt) => begun?,
            // The connection ends with the command, and the turn with the connection.
            exit = interrupted() => return Err(exit),
        };
        self.session_id = Some(session_id.clone());
        let mut turn = Turn::default();
        let mut stop = pin!(interrupted());
        loop {
            tokio::select! {
                incoming = self.inbox.recv() => {
                    let Some(event) = self.event(incoming, &session_id).await? else { continue };
                    if let Some(ended) = self.hear(&mut turn, &event).await {
                        return ended;
                    }
                }
                line = answered(&mut self.typed, &turn) => {
                    self.decide(&mut turn, &line).await;
                }
                exit = &mut stop => {
                    if turn.cancelled {
                        return Err(exit);
                    }
                    turn.cancelled = true;
                    stop.set(interrupted());
                    let params = json!({ "session_id": session_id });
                    // `done` says how far it came.
                    self.link.raw("agents.chat.cancel", &params).await?;
                }
            }
        }
    }

    async fn begin(&self, prompt: &str) -> Result<String, Exit> {
        let mut params = json!({ "agent_id": self.agent, "prompt": prompt });
        if let Some(session_id) = &self.session_id {
            params["session_id"] = session_id.as_str().into();
        }
        let begun = self.link.raw("agents.chat", &params).await;
        let begun = begun.map_err(|error| refused(error, &self.agent))?;
        let session_id = begun["session_id"].as_str().map(str::to_owned);
        session_id.ok_or_else(|| Exit::failed("the reply to `agents.chat` names no session"))
    }

    /// The event of this chat in what came, if it is one.
    async fn event(
        &self,
        incoming: Option<Incoming>,
        session_id: &str,
    ) -> Result<Option<ChatEvent>, Exit> {
        match incoming {
            None => Err(CallError::Ended(self.link.ended().await).into()),
            Some(Incoming::Ask(_)) => Ok(None),
            Some(Incoming::Notice(notice)) => {
                Ok(ChatEvent::of(&notice).filter(|event| event.session_id == session_id))
            }
        }
    }

    /// Shows an event; how the turn ended, if it did.
    async fn hear(&mut self, turn: &mut Turn, event: &ChatEvent) -> Option<Result<Ended, Exit>> {
        turn.answer.count(event);
        if self.output.is_json()
            && let Err(exit) = self.output.object(event)
        {
            return Some(Err(exit));
        }
        let shown = match event.kind.as_str() {
            "token" => {
                let added = turn.answer.token(event.text("delta"));
                self.add(added)
            }
            "done" => return Some(self.done(turn, event)),
            "error" => {
                self.break_line(turn);
                let (agent, why) = (&self.agent, event.text("error"));
                return Some(Err(Exit::failed(format!("agent `{agent}`: {why}"))));
            }
            "approval_pending" => {
                self.approval(turn, event).await;
                Ok(())
            }
            _ => {
                self.break_line(turn);
                self.output.note(doing(event));
                Ok(())
            }
        };
        shown.err().map(Err)
    }

    fn add(&self, added: Added) -> Result<(), Exit> {
        match added {
            _ if self.output.is_json() => Ok(()),
            Added::Nothing => Ok(()),
            Added::More(text) => self.output.text(&text),
            Added::Whole(text) => {
                self.output.text("\n")?;
                self.output.note("parts of the answer were lost on the way; all of it:");
                self.output.text(&text)
            }
        }
    }

    fn done(&self, turn: &mut Turn, event: &ChatEvent) -> Result<Ended, Exit> {
        self.add(turn.answer.done(event.text("text")))?;
        if turn.answer.in_a_line() && !self.output.is_json() {
            self.output.text("\n")?;
        }
        match (turn.cancelled, event.text("finish_reason")) {
            (true, _) => Ok(Ended::Cancelled),
            (false, "cancelled") => Err(Exit::failed("somebody else cancelled the chat")),
            (false, _) => Ok(Ended::Whole),
        }
    }

    /// Notes do not begin in the middle of a line of the answer.
    fn break_line(&self, turn: &Turn) {
        if self.output.is_terminal() && turn.answer.in_a_line() {
            self.output.note("");
        }
    }

    /// The agent asks for approval: the person decides, if there is one.
    async fn approval(&mut self, turn: &mut Turn, event: &ChatEvent) {
        self.break_line(turn);
        let id = event.text("approval_id").to_owned();
        let wish = format!("{} asks: {}", self.agent, wish(event));
        let person = io::stdin().is_terminal() && io::stderr().is_terminal();
        match self.approve {
            Approve::Ask if person && !self.output.is_json() => {
                turn.asked.push_back((id, wish));
                if turn.asked.len() == 1 {
                    self.ask(turn);
                }
                return;
            }
            _ => self.output.note(wish),
        }
        if self.approve == Approve::Ask {
            let why = match person {
                true => "with --json nobody is asked",
                false => "there is no terminal to ask on",
            };
            self.output.note(format_args!("denied: {why} (--approve yes)"));
        }
        self.resolve(&id, self.approve == Approve::Yes).await;
    }

    /// Asks about the approval whose turn it is: an answer is to the question that was shown last.
    fn ask(&mut self, turn: &Turn) {
        let Some((_, wish)) = turn.asked.front() else { return };
        self.output.note(wish);
        let typed = self.typed.get_or_insert_with(typed_lines);
        // What was typed before is no answer to this.
        while typed.try_recv().is_ok() {}
        self.output.note(Tone::Warn.paint("approve? [y/N]"));
    }

    async fn decide(&mut self, turn: &mut Turn, line: &str) {
        let yes = matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        if let Some((id, _)) = turn.asked.pop_front() {
            self.resolve(&id, yes).await;
            self.break_line(turn);
            self.ask(turn);
        }
    }

    /// A decision that comes too late, or that the agent does not take, changes nothing here.
    async fn resolve(&self, approval_id: &str, decision: bool) {
        let params = json!({
            "session_id": self.session_id, "approval_id": approval_id, "decision": decision,
        });
        match self.link.raw("agents.chat.approve", &params).await {
            Ok(_) => self.output.note(if decision { "approved" } else { "not approved" }),
            Err(error) => self.output.note(one_line(&error.to_string())),
        }
    }
}

/// The next typed line, while there is a question that it answers. Whoever left says nothing, which is no.
async fn answered(typed: &mut Option<Typed>, turn: &Turn) -> String {
    match (typed, turn.asked.is_empty()) {
        (Some(typed), false) => typed.recv().await.unwrap_or_default(),
        _ => std::future::pending().await,
    }
}

/// What an agent does, in a line.
fn doing(event: &ChatEvent) -> String {
    match event.kind.as_str() {
        "tool_call" => {
            one_line(&with(event.text("tool"), event.members.get("params"))).into_owned()
        }
        kind => one_line(&with(kind, Some(&Value::Object(event.members.clone())))).into_owned(),
    }
}

/// What an agent wants to do, in a line.
fn wish(event: &ChatEvent) -> String {
    let what = [event.text("action"), event.text("tool")].into_iter().find(|it| !it.is_empty());
    let more = event.members.get("details").or_else(|| event.members.get("params"));
    one_line(&with(what.unwrap_or("something"), more)).into_owned()
}

fn with(what: &str, more: Option<&Value>) -> String {
    let more = match more {
        None | Some(Value::Null) => return what.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    format!("{what} {}", cut(&more, PARAMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(value: Value) -> ChatEvent {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_an_agent_does_is_a_line() {
        let call = json!({
            "session_id": "s", "seq": 1, "kind": "tool_call", "tool": "count\u{1b}[2J",
            "params": { "text": "x" },
        });
        assert_eq!(doing(&event(call)), r#"count\u{1b}[2J {"text":"x"}"#);
        let free = json!({ "session_id": "s", "seq": 1, "kind": "receipt_report", "n": 1 });
        assert!(doing(&event(free)).starts_with("receipt_report {"));
    }

    #[test]
    fn what_an_agent_wants_is_a_line() {
        let asks = |more: Value| {
            let mut value = json!({
                "session_id": "s", "seq": 1, "kind": "approval_pending", "approval_id": "a",
            });
            value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            wish(&event(value))
        };
        assert_eq!(asks(json!({ "action": "delete", "details": "x.txt" })), "delete x.txt");
        assert_eq!(asks(json!({ "tool": "rm", "params": { "a": 1 } })), r#"rm {"a":1}"#);
        assert_eq!(asks(json!({})), "something");
    }
}
