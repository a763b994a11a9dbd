//! Which chats run, what each may still hear, and how each ends. Pure: time and parties are passed in.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    error::ChatError,
    memory::{Approvals, Text, fill},
    wire::ChatEvent,
};

/// Chats in all, of one originator, and with one agent.
const MAX_CHATS: usize = 1024;
const MAX_OF_ORIGIN: usize = 64;
const MAX_OF_AGENT: usize = 16;
/// What a chat holds for its originator until the call that began it is answered.
const HELD_EVENTS: usize = 256;
const HELD_BYTES: usize = 4 << 20;
/// Seconds without an event after which a chat with an open approval is stale.
const IDLE_WITH_APPROVAL: i64 = 3600;

/// A connection by its serial, or a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    /// A connection.
    Session(u64),
    /// A plugin of this host.
    Inside,
}

/// Who speaks in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// An agent's connection, by its serial.
    Session(u64),
    /// A run of an external agent, by its number. Its own time limit ends it.
    Run(u64),
}

/// A chat that is about to begin. `ear` is where its events go, and whatever else ends with it.
pub(crate) struct NewChat<E> {
    pub(crate) session_id: String,
    pub(crate) agent_id: String,
    pub(crate) agent: Speaker,
    pub(crate) origin: Party,
    pub(crate) ear: E,
    pub(crate) stream: bool,
}

struct Chat<E> {
    /// Tells this chat from an earlier one of the same id.
    serial: u64,
    agent_id: String,
    agent: Speaker,
    origin: Party,
    ear: E,
    stream: bool,
    seq: u64,
    text: Text,
    approvals: Approvals,
    last_event_at: i64,
    /// What waits for the reply to the call that began the chat; `None` once it has left.
    held: Option<Held>,
    /// Its last event is on the way: it keeps its place until [`Book::withdraw`].
    ended: bool,
}

#[derive(Default)]
struct Held {
    events: Vec<ChatEvent>,
    bytes: usize,
    ending: Option<Ending>,
}

/// The last event of a chat.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) event: ChatEvent,
    /// Why the host ended it; `None` if its agent did.
    pub(crate) why: Option<&'static str>,
}

/// What is to be told to one originator, in this order.
#[derive(Debug)]
pub(crate) struct Delivery<E> {
    pub(crate) ear: E,
    /// The chat's, for [`Book::withdraw`].
    pub(crate) serial: u64,
    pub(crate) events: Vec<ChatEvent>,
    /// The last event of the chat, which must not be lost. Whoever told it withdraws the chat.
    pub(crate) ending: Option<Ending>,
}

/// A chat that ended otherwise than by its agent's word: the agent has to be told.
#[derive(Debug)]
pub(crate) struct Cut<E> {
    pub(crate) session_id: String,
    pub(crate) ear: E,
    pub(crate) delivery: Option<Delivery<E>>,
}

/// Every chat.
pub(crate) struct Book<E> {
    chats: HashMap<String, Chat<E>>,
    next_serial: u64,
}

impl<E> Default for Book<E> {
    fn default() -> Self {
        Self { chats: HashMap::new(), next_serial: 1 }
    }
}

impl<E: Clone> Book<E> {
    /// Makes the route, before the agent is asked. Its events are held until [`Self::go_live`].
    pub(crate) fn open(&mut self, now: i64, new: NewChat<E>) -> Result<u64, ChatError> {
        if self.chats.contains_key(&new.session_id) {
            return Err(ChatError::Running(new.session_id));
        }
        let count = |of: &dyn Fn(&Chat<E>) -> bool| self.chats.values().filter(|it| of(it)).count();
        let own = |it: &Chat<E>| matches!(it.origin, Party::Session(_)) && it.origin == new.origin;
        for (what, running, limit) in [
            ("chats", self.chats.len(), MAX_CHATS),
            ("chats with one agent", count(&|it| it.agent_id == new.agent_id), MAX_OF_AGENT),
            ("chats of one connection", count(&own), MAX_OF_ORIGIN),
        ] {
            if running >= limit {
                return Err(ChatError::Limit { what, limit, got: running + 1 });
            }
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        let chat = Chat {
            serial,
            agent_id: new.agent_id,
            agent: new.agent,
            origin: new.origin,
            ear: new.ear,
            stream: new.stream,
            seq: 0,
            text: Text::default(),
            approvals: Approvals::default(),
            last_event_at: now,
            held: Some(Held::default()),
            ended: false,
        };
        self.chats.insert(new.session_id, chat);
        Ok(serial)
    }

    /// The reply to the call that began the chat has left: what was held follows it.
    pub(crate) fn go_live(&mut self, session_id: &str, serial: u64) -> Option<Delivery<E>> {
        let chat = self.chats.get_mut(session_id).filter(|it| it.serial == serial)?;
        let Held { events, ending, .. } = chat.held.take()?;
        Some(Delivery { events, ending, ..chat.nothing() })
    }

    /// The agent did not take the chat, or all of it was told: its id is free.
    pub(crate) fn withdraw(&mut self, session_id: &str, serial: u64) {
        if self.chats.get(session_id).is_some_and(|it| it.serial == serial) {
            self.chats.remove(session_id);
        }
    }

    /// Takes an event. `None` if it does not count: from somebody else, or for no running chat.
    pub(crate) fn event(
        &mut self,
        now: i64,
        from: Speaker,
        session_id: &str,
        kind: &str,
        members: Map<String, Value>,
    ) -> Option<Delivery<E>> {
        let chat = self.running(session_id).filter(|it| it.agent == from)?;
        chat.last_event_at = now;
        let ends = matches!(kind, "done" | "error");
        let members = chat.complete(kind, members);
        if kind == "token" && !chat.stream {
            return Some(chat.nothing());
        }
        let event = chat.number(session_id, kind, members);
        let ending = ends.then_some(None);
        Some(self.tell(session_id, event, ending))
    }

    /// Whether `by` may cancel or decide in this chat; `host` may in any.
    fn check_origin(
        &mut self,
        session_id: &str,
        by: Party,
        host: bool,
    ) -> Result<&mut Chat<E>, ChatError> {
        let unknown = || ChatError::Unknown(session_id.to_owned());
        let chat = self.running(session_id).ok_or_else(unknown)?;
        match host || chat.origin == by {
            true => Ok(chat),
            false => Err(ChatError::NotOriginator),
        }
    }

    /// The ear of a running chat, for whoever may cancel it; `Ok(None)`: no such chat runs.
    pub(crate) fn ear(
        &mut self,
        session_id: &str,
        by: Party,
        host: bool,
    ) -> Result<Option<E>, ChatError> {
        match self.check_origin(session_id, by, host) {
            Ok(chat) => Ok(Some(chat.ear.clone())),
            Err(ChatError::Unknown(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether somebody who is not the originator would meddle with a running chat.
    pub(crate) fn is_anothers(&self, session_id: &str, by: Party, host: bool) -> bool {
        !host && self.chats.get(session_id).is_some_and(|it| !it.ended && it.origin != by)
    }

    /// Whether a chat of this id runs.
    pub(crate) fn runs(&self, session_id: &str) -> bool {
        self.chats.get(session_id).is_some_and(|it| !it.ended)
    }

    /// Ends a chat for its originator, with what text there was. `Ok(None)`: no such chat runs.
    pub(crate) fn cancel(
        &mut self,
        session_id: &str,
        by: Party,
        host: bool,
    ) -> Result<Option<Cut<E>>, ChatError> {
        let chat = match self.check_origin(session_id, by, host) {
            Ok(chat) => chat,
            Err(ChatError::Unknown(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut members = Map::from_iter([("finish_reason".to_owned(), "cancelled".into())]);
        chat.text.fill(&mut members);
        Ok(self.cut(session_id, "done", members, "cancelled"))
    }

    /// Takes an open approval as decided; answers whom to tell, and the chat's serial.
    /// [`Self::reopen`] takes it back. It counts as an event: the agent has to get on first.
    pub(crate) fn decide(
        &mut self,
        now: i64,
        session_id: &str,
        approval_id: &str,
        by: Party,
        host: bool,
    ) -> Result<(E, u64), ChatError> {
        let chat = self.check_origin(session_id, by, host)?;
        let told = (chat.ear.clone(), chat.serial);
        match chat.approvals.0.get_mut(approval_id) {
            None => Err(ChatError::UnknownApproval(approval_id.to_owned())),
            Some(false) => Err(ChatError::Decided(approval_id.to_owned())),
            Some(open) => {
                *open = false;
                chat.last_event_at = now;
                Ok(told)
            }
        }
    }

    /// The agent did not hear of a decision: it may be made again.
    pub(crate) fn reopen(&mut self, session_id: &str, serial: u64, approval_id: &str) {
        let chat = self.running(session_id).filter(|it| it.serial == serial);
        if let Some(open) = chat.and_then(|chat| chat.approvals.0.get_mut(approval_id)) {
            *open = true;
        }
    }

    /// A connection ended: chats that it began are dropped, chats with it as the agent end.
    pub(crate) fn session_gone(&mut self, session: u64) -> (Vec<Cut<E>>, Vec<Cut<E>>) {
        let began = self.ids(|it| it.origin == Party::Session(session));
        let dropped = began.into_iter().filter_map(|id| {
            let chat = self.chats.remove(&id).filter(|it| !it.ended)?;
            Some(Cut { session_id: id, ear: chat.ear, delivery: None })
        });
        let dropped = dropped.collect();
        let asked = self.ids(|it| it.agent == Speaker::Session(session));
        let ended = asked.into_iter().filter_map(|id| self.end(&id, "agent disconnected"));
        let ended = ended.collect();
        (dropped, ended)
    }

    /// Ends a chat whose originator no longer listens.
    pub(crate) fn drop_chat(&mut self, session_id: &str, serial: u64) -> Option<Cut<E>> {
        self.running(session_id).filter(|it| it.serial == serial)?;
        let chat = self.chats.remove(session_id)?;
        Some(Cut { session_id: session_id.to_owned(), ear: chat.ear, delivery: None })
    }

    /// Ends a chat with this error.
    pub(crate) fn fail(
        &mut self,
        session_id: &str,
        from: Speaker,
        error: &'static str,
    ) -> Option<Cut<E>> {
        self.running(session_id).filter(|it| it.agent == from)?;
        self.end(session_id, error)
    }

    /// Ends every chat with a connection that is without an event for `idle` seconds; for an hour while
    /// an approval is open.
    pub(crate) fn sweep(&mut self, now: i64, idle: i64) -> Vec<Cut<E>> {
        let stale = self.ids(|it| {
            if matches!(it.agent, Speaker::Run(_)) {
                return false;
            }
            let limit =
                if it.approvals.is_any_open() { idle.max(IDLE_WITH_APPROVAL) } else { idle };
            now - it.last_event_at >= limit
        });
        stale.into_iter().filter_map(|id| self.end(&id, "stale")).collect()
    }

    fn ids(&self, of: impl Fn(&Chat<E>) -> bool) -> Vec<String> {
        self.chats.iter().filter(|(_, chat)| of(chat)).map(|(id, _)| id.clone()).collect()
    }

    /// A chat that has not ended.
    fn running(&mut self, session_id: &str) -> Option<&mut Chat<E>> {
        self.chats.get_mut(session_id).filter(|it| !it.ended)
    }

    fn end(&mut self, id: &str, error: &'static str) -> Option<Cut<E>> {
        let members = Map::from_iter([("error".to_owned(), error.into())]);
        self.cut(id, "error", members, error)
    }

    fn cut(
        &mut self,
        id: &str,
        kind: &str,
        members: Map<String, Value>,
        why: &'static str,
    ) -> Option<Cut<E>> {
        let chat = self.running(id)?;
        let ear = chat.ear.clone();
        let event = chat.number(id, kind, members);
        let delivery = Some(self.tell(id, event, Some(Some(why))));
        Some(Cut { session_id: id.to_owned(), ear, delivery })
    }

    /// Hands an event out, or keeps it until the chat is live. `ending` is there if it is the last
    /// one, and says why if the host ended the chat.
    fn tell(
        &mut self,
        session_id: &str,
        event: ChatEvent,
        ending: Option<Option<&'static str>>,
    ) -> Delivery<E> {
        let chat = self.chats.get_mut(session_id).expect("looked up by the caller");
        let mut delivery = chat.nothing();
        match (ending, &mut chat.held) {
            (Some(why), held) => {
                let ending = Some(Ending { event, why });
                match held {
                    Some(held) => held.ending = ending,
                    None => delivery.ending = ending,
                }
                chat.ended = true;
                (chat.text, chat.approvals) = (Text::default(), Approvals::default());
            }
            (None, Some(held)) => held.keep(event),
            (None, None) => delivery.events.push(event),
        }
        delivery
    }
}

impl Held {
    /// Keeps an event while there is room; one that is lost shows as a gap in `seq`.
    fn keep(&mut self, event: ChatEvent) {
        let size = serde_json::to_vec(&event).map_or(usize::MAX, |it| it.len());
        if self.events.len() < HELD_EVENTS && self.bytes.saturating_add(size) <= HELD_BYTES {
            self.bytes += size;
            self.events.push(event);
        }
    }
}

impl<E: Clone> Chat<E> {
    fn nothing(&self) -> Delivery<E> {
        let ear = self.ear.clone();
        Delivery { ear, serial: self.serial, events: Vec::new(), ending: None }
    }

    fn number(&mut self, session_id: &str, kind: &str, members: Map<String, Value>) -> ChatEvent {
        self.seq += 1;
        ChatEvent {
            session_id: session_id.to_owned(),
            agent_id: self.agent_id.clone(),
            seq: self.seq,
            kind: kind.to_owned(),
            members,
        }
    }

    /// Fills in what clients rely on, and notes what the chat has to remember.
    fn complete(&mut self, kind: &str, mut members: Map<String, Value>) -> Map<String, Value> {
        for own in ["session_id", "agent_id", "seq", "kind"] {
            members.remove(own);
        }
        let delta = members.get("delta").and_then(Value::as_str).map(str::to_owned);
        match kind {
            "token" => self.text.push(delta.as_deref().unwrap_or_default()),
            "approval_pending" => {
                let id = members.get("approval_id").and_then(Value::as_str);
                self.approvals.announce(id.unwrap_or_default());
            }
            "done" => {
                match delta {
                    Some(text) => fill(&mut members, "text", &text),
                    None => self.text.fill(&mut members),
                }
                fill(&mut members, "finish_reason", "stop");
            }
            "error" => {
                let error = delta.as_deref().unwrap_or("the agent gave no reason");
                fill(&mut members, "error", error);
            }
            _ => {}
        }
        members
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
