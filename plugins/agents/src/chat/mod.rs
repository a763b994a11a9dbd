//! Chats with attached agents: routes them, holds what comes too early, ends what nobody hears.

mod book;
mod error;
mod wire;

use std::{sync::Arc, time::Duration};

use carport_agents_api::{Chat, Target, Turn};
use carport_core::{Clock, Counter, Guarded, Result, RpcError, Session, Tasks, codes};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

pub(crate) use book::Party;
pub use wire::{
    ApprovalHeard, AskApprove, AskChat, ChatCancelled, ChatContext, ChatEvent, Goal, TurnTaken,
};

use self::book::{Book, Cut, Delivery, NewChat};
use crate::{goals::Goals, journal::Journal, roster::Roster};

/// How long an agent may take to acknowledge a turn or a decision.
const ACKNOWLEDGE: Duration = Duration::from_secs(5);
/// How long the end of a chat waits for room; a socket that takes nothing is closed before that.
const LAST_WORD: Duration = Duration::from_secs(60);
/// How often stale chats are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How many events a plugin's chat holds for a plugin that is busy.
const INSIDE_EVENTS: usize = 64;
/// How large one event may be, in bytes of JSON.
pub(crate) const EVENT_BYTES: usize = 1 << 20;

/// The two ends of a chat.
#[derive(Clone)]
struct Line {
    origin: Ear,
    agent: Arc<Session>,
}

/// Who hears a chat.
#[derive(Clone)]
enum Ear {
    Session(Arc<Session>),
    Inside(mpsc::Sender<Map<String, Value>>),
}

/// Every chat of this host.
pub(crate) struct Chats {
    book: Guarded<Book<Line>>,
    pub(crate) goals: Arc<Goals>,
    roster: Arc<Roster>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    journal: Journal,
    /// Events that counted for nothing.
    stray: Counter,
    idle_secs: i64,
}

/// A route whose agent has not accepted yet. Dropped so, it goes, and the agent is told.
struct Asked<'a> {
    chats: &'a Chats,
    session_id: &'a str,
    serial: u64,
    agent: &'a Session,
    accepted: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.accepted {
            self.chats.book.lock().withdraw(self.session_id, self.serial);
            self.agent.notify(&ChatCancelled { session_id: self.session_id.to_owned() });
        }
    }
}

impl Chats {
    pub(crate) fn new(
        goals: Arc<Goals>,
        roster: Arc<Roster>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        journal: Journal,
        stray: Counter,
        idle_secs: i64,
    ) -> Arc<Self> {
        let book = Guarded::default();
        let chats = Arc::new(Self { book, goals, roster, clock, tasks, journal, stray, idle_secs });
        let sweeper = chats.clone();
        chats.tasks.spawn("chat-sweeper", async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                sweeper.sweep();
            }
        });
        chats
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// Asks an agent for a turn on behalf of a connection. Events follow [`Self::go_live`], which
    /// belongs after the reply.
    pub(crate) async fn begin(
        &self,
        from: &Arc<Session>,
        agent_id: &str,
        ask: &AskChat,
    ) -> Result<u64> {
        let origin = Ear::Session(from.clone());
        let agent = self.roster.session_of(agent_id)?;
        self.ask(Party::Session(from.serial()), origin, agent_id, agent, ask).await
    }

    /// Begins a chat for a plugin.
    pub(crate) async fn begin_inside(self: &Arc<Self>, turn: Turn) -> Result<Chat> {
        let (name, session) = match turn.target {
            Target::Agent(id) => (id.clone(), self.roster.session_of(&id)?),
            Target::Client(id) => (id.clone(), self.roster.client(&id)?),
        };
        let (said, events) = mpsc::channel(INSIDE_EVENTS);
        let session_id = turn.session_id.unwrap_or_else(fresh_id);
        let context = ChatContext { host_client_id: "host".into(), voice_input: false };
        let ask = AskChat {
            session_id: session_id.clone(),
            prompt: turn.prompt,
            stream: true,
            context,
            model: None,
            attachments: None,
            goal: self.goals.standing(&session_id),
        };
        let serial = self.ask(Party::Inside, Ear::Inside(said), &name, session, &ask).await?;
        self.go_live(&session_id, serial);
        Ok(Chat { session_id, events })
    }

    async fn ask(
        &self,
        party: Party,
        ear: Ear,
        agent_id: &str,
        agent: Arc<Session>,
        ask: &AskChat,
    ) -> Result<u64> {
        let new = NewChat {
            session_id: ask.session_id.clone(),
            agent_id: agent_id.to_owned(),
            agent: agent.serial(),
            origin: party,
            ear: Line { origin: ear, agent: agent.clone() },
            stream: ask.stream,
        };
        let serial = self.book.lock().open(self.now(), new)?;
        let session_id = &*ask.session_id;
        let mut asked = Asked { chats: self, session_id, serial, agent: &agent, accepted: false };
        let answer = agent.request(ask, ACKNOWLEDGE).await;
        let refused = match answer {
            Ok(TurnTaken { accepted: None | Some(true) }) => None,
            Ok(TurnTaken { accepted: Some(false) }) => {
                Some("the agent does not take the chat".into())
            }
            Err(error) => Some(error.message),
        };
        self.audit("begin", session_id, agent_id, ask.prompt.len(), refused.as_deref());
        match refused {
            None => {
                asked.accepted = true;
                Ok(serial)
            }
            Some(why) => {
                let error = format!("agent `{agent_id}` did not take the chat: {why}");
                Err(RpcError::new(codes::GONE, error).with("agent_error", why))
            }
        }
    }

    /// The reply has left: what was held follows, and the chat is live.
    pub(crate) fn go_live(&self, session_id: &str, serial: u64) {
        let mut book = self.book.lock();
        if let Some(delivery) = book.go_live(session_id, serial) {
            self.deliver(delivery);
        }
    }

    /// An event of an agent; `false` if it counts for nothing.
    pub(crate) fn hear(
        &self,
        from: &Session,
        session_id: &str,
        kind: &str,
        members: Map<String, Value>,
    ) -> bool {
        let mut book = self.book.lock();
        let Some(delivery) = book.event(self.now(), from.serial(), session_id, kind, members)
        else {
            self.stray.inc();
            return false;
        };
        let deaf = delivery.ending.is_none() && delivery.ear.origin.is_gone();
        self.deliver(delivery);
        let cut = if deaf { book.drop_chat(session_id) } else { None };
        drop(book);
        self.tell_agents(cut);
        true
    }

    /// The agent broke a bound: its chat ends with this error.
    pub(crate) fn fail(&self, from: &Session, session_id: &str, error: &str) {
        let mut book = self.book.lock();
        let cut = book.fail(session_id, from.serial(), error);
        self.finish(cut);
    }

    /// Ends a chat for its originator; `false` if no such chat runs.
    pub(crate) fn cancel(&self, by: &Session, host: bool, session_id: &str) -> Result<bool> {
        let mut book = self.book.lock();
        let cut = book.cancel(session_id, Party::Session(by.serial()), host)?;
        let found = cut.is_some();
        self.finish(cut);
        Ok(found)
    }

    /// Hands a decision to the agent that asked for it.
    pub(crate) async fn decide(&self, by: &Session, host: bool, ask: &AskApprove) -> Result<bool> {
        let party = Party::Session(by.serial());
        let line = self.book.lock().decide(&ask.session_id, &ask.approval_id, party, host)?;
        match line.agent.request(ask, ACKNOWLEDGE).await {
            Ok(ApprovalHeard { resolved }) => Ok(resolved),
            Err(error) => {
                self.book.lock().reopen(&ask.session_id, &ask.approval_id);
                let why = format!("the agent did not take the decision: {}", error.message);
                Err(RpcError::new(codes::GONE, why).with("agent_error", error.message))
            }
        }
    }

    /// Refuses whoever would change the goal of a chat that somebody else runs.
    pub(crate) fn check_goal_of(&self, session_id: &str, by: &Session, host: bool) -> Result<()> {
        let party = Party::Session(by.serial());
        match self.book.lock().is_anothers(session_id, party, host) {
            true => Err(error::ChatError::NotOriginator.into()),
            false => Ok(()),
        }
    }

    /// A connection ended.
    pub(crate) fn session_gone(&self, session: &Session) {
        let mut book = self.book.lock();
        let (dropped, ended) = book.session_gone(session.serial());
        self.finish(dropped.into_iter().chain(ended));
    }

    fn sweep(&self) {
        let mut book = self.book.lock();
        let stale = book.sweep(self.now(), self.idle_secs);
        self.finish(stale);
    }

    /// Tells both ends of chats that ended otherwise than by their agent's word. Nothing here waits.
    fn finish(&self, cuts: impl IntoIterator<Item = Cut<Line>>) {
        for mut cut in cuts {
            if let Some(delivery) = cut.delivery.take() {
                self.deliver(delivery);
            }
            self.tell_agents(Some(cut));
        }
    }

    fn tell_agents(&self, cuts: impl IntoIterator<Item = Cut<Line>>) {
        for Cut { session_id, ear: line, .. } in cuts {
            line.agent.notify(&ChatCancelled { session_id });
        }
    }

    /// Queues events; called under the lock, so that they leave in the order of their numbers. The
    /// last one may have to wait for room, in a task of its own.
    fn deliver(&self, Delivery { ear: Line { origin, .. }, events, ending }: Delivery<Line>) {
        for event in events {
            origin.tell(event);
        }
        let Some(ending) = ending else { return };
        let error = ending.members.get("error").and_then(Value::as_str);
        self.audit(&ending.kind, &ending.session_id, &ending.agent_id, size(&ending), error);
        self.tasks.spawn("chat-end", async move { origin.last_word(ending).await });
    }

    /// A line of ids, sizes and outcome; never of text that was said.
    fn audit(&self, what: &str, chat: &str, agent: &str, bytes: usize, error: Option<&str>) {
        let error = error.map(|it| carport_core::mask_text(it, 200));
        self.journal.append(&json!({
            "ts": self.clock.now(), "event": format!("chat.{what}"), "session_id": chat,
            "agent_id": agent, "bytes": bytes, "error": error,
        }));
    }
}

fn size(event: &ChatEvent) -> usize {
    serde_json::to_vec(event).map_or(0, |it| it.len())
}

/// An id for a chat whose originator gave none.
pub(crate) fn fresh_id() -> String {
    format!("chat-{}", Uuid::new_v4())
}

impl Ear {
    fn is_gone(&self) -> bool {
        match self {
            Self::Session(session) => session.is_closed(),
            Self::Inside(events) => events.is_closed(),
        }
    }

    /// Never waits: a slow originator loses the event, which shows as a gap in `seq`.
    fn tell(&self, event: ChatEvent) {
        match self {
            Self::Session(session) => drop(session.notify(&event)),
            Self::Inside(events) => drop(events.try_send(plain(event))),
        }
    }

    async fn last_word(self, event: ChatEvent) {
        match self {
            Self::Session(session) => drop(session.notify_wait(&event, LAST_WORD).await),
            Self::Inside(events) => drop(timeout(LAST_WORD, events.send(plain(event))).await),
        }
    }
}

/// An event as the members that it has on the wire.
fn plain(event: ChatEvent) -> Map<String, Value> {
    let ChatEvent { session_id, agent_id, seq, kind, mut members } = event;
    members.insert("session_id".into(), session_id.into());
    members.insert("agent_id".into(), agent_id.into());
    members.insert("seq".into(), seq.into());
    members.insert("kind".into(), kind.into());
    members
}
