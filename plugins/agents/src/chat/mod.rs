//! Chats with attached agents: routes them, holds what comes too early, ends what nobody hears.

mod asked;
mod book;
mod error;
mod memory;
mod run;
mod wire;

use std::{
    convert::Infallible,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use carport_agents_api::{Chat, Target, Turn};
use carport_core::{Clock, Counter, Guarded, Result, RpcError, Session, Tasks, bounds, codes};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) use book::Party;
pub(crate) use run::RunRoute;
pub use wire::{
    ApprovalHeard, AskApprove, AskChat, ChatCancelled, ChatContext, ChatEvent, Goal, TurnTaken,
};

use self::{
    asked::{Asked, Deciding, take_back},
    book::{Book, Cut, Delivery, Ending, NewChat, Speaker},
    run::Partner,
};
use crate::{goals::Goals, journal::Journal, methods::check_session_id, roster::Roster};

/// How long an agent may take to acknowledge a turn or a decision.
const ACKNOWLEDGE: Duration = Duration::from_secs(5);
/// How long the end of a chat waits for room: as long as its originator is there.
const LAST_WORD: Duration = Duration::MAX;
/// How often stale chats are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How many events a plugin's chat holds for a plugin that is busy; more than are held before the
/// agent accepts.
const INSIDE_EVENTS: usize = 512;
/// How much of an agent's own words an error passes on, in bytes.
const REASON_BYTES: usize = 1024;
/// How large one event may be, in bytes of JSON.
pub(crate) const EVENT_BYTES: usize = 1 << 20;
/// How long a prompt may be, in bytes.
pub(crate) const PROMPT_BYTES: std::ops::RangeInclusive<usize> = 1..=256 * 1024;

/// The two ends of a chat.
#[derive(Clone)]
struct Line {
    origin: Ear,
    agent: Partner,
}

/// Who hears a chat.
#[derive(Clone)]
enum Ear {
    Session(Arc<Session>),
    /// A plugin; `_lasting` ends with the last copy of this ear.
    Inside {
        said: mpsc::Sender<Map<String, Value>>,
        _lasting: mpsc::Sender<Infallible>,
    },
}

/// Every chat of this host.
pub(crate) struct Chats {
    book: Arc<Guarded<Book<Line>>>,
    pub(crate) goals: Arc<Goals>,
    roster: Arc<Roster>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    journal: Journal,
    /// Events that counted for nothing.
    stray: Counter,
    idle_secs: i64,
    runs: AtomicU64,
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
        let (book, runs) = (Arc::default(), AtomicU64::default());
        let chats =
            Arc::new(Self { book, goals, roster, clock, tasks, journal, stray, idle_secs, runs });
        let sweeper = chats.clone();
        chats.tasks.spawn("chat-sweeper", async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                sweeper.sweep();
            }
        });
        let goals = chats.goals.clone();
        chats.tasks.spawn("goal-writer", async move { goals.keep_written().await });
        chats
    }

    fn now(&self) -> i64 {
        self.clock.now().timestamp()
    }

    /// Asks an agent for a turn on behalf of a connection. Events follow [`Self::go_live`], which
    /// belongs after the reply. `keep` says whether the turn's goal becomes the chat's.
    pub(crate) async fn begin(
        &self,
        from: &Arc<Session>,
        agent_id: &str,
        ask: &AskChat,
        keep: bool,
    ) -> Result<u64> {
        let origin = Ear::Session(from.clone());
        let agent = self.roster.session_of(agent_id)?;
        self.ask(Party::Session(from.serial()), origin, agent_id, agent, ask, keep).await
    }

    /// Begins a chat for a plugin.
    pub(crate) async fn begin_inside(self: &Arc<Self>, turn: Turn) -> Result<Chat> {
        bounds::bytes("prompt", &turn.prompt, PROMPT_BYTES)?;
        turn.session_id.as_deref().map_or(Ok(()), check_session_id)?;
        let (name, session) = match turn.target {
            Target::Agent(id) => {
                bounds::agent_id("agent_id", &id)?;
                let session = self.roster.session_of(&id)?;
                (id, session)
            }
            Target::Client(id) => {
                let session = self.roster.client(&id)?;
                (id, session)
            }
        };
        let (said, events) = mpsc::channel(INSIDE_EVENTS);
        let (_lasting, mut over) = mpsc::channel(1);
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
        let ear = Ear::Inside { said: said.clone(), _lasting };
        let serial = self.ask(Party::Inside, ear, &name, session, &ask, false).await?;
        self.go_live(&session_id, serial);
        let chats = self.clone();
        self.tasks.spawn("chat-ear", async move {
            tokio::select! {
                _ = over.recv() => {}
                () = said.closed() => {
                    let mut book = chats.book.lock();
                    let cut = book.drop_chat(&ask.session_id, serial);
                    chats.finish(&mut book, cut);
                }
            }
        });
        Ok(Chat { session_id, events })
    }

    async fn ask(
        &self,
        party: Party,
        ear: Ear,
        agent_id: &str,
        agent: Arc<Session>,
        ask: &AskChat,
        keep: bool,
    ) -> Result<u64> {
        let new = NewChat {
            session_id: ask.session_id.clone(),
            agent_id: agent_id.to_owned(),
            agent: Speaker::Session(agent.serial()),
            origin: party,
            ear: Line { origin: ear, agent: Partner::Session(agent.clone()) },
            stream: ask.stream,
        };
        let serial = self.book.lock().open(self.now(), new)?;
        let refused = Some("abandoned".to_owned());
        let agent = &*agent;
        let mut asked = Asked {
            chats: self,
            ask,
            agent_id,
            serial,
            agent,
            is_asked: false,
            goal: None,
            refused,
        };
        if let Some(goal) = ask.goal.clone().filter(|_| keep) {
            let runs = |id: &str| self.runs(id);
            let set = self.goals.set(&ask.session_id, goal, || Ok(()), runs).await;
            asked.goal = Some(set.inspect_err(|it| asked.refused = Some(coded(it)))?.1);
        }
        asked.is_asked = true;
        let (outcome, why) = match agent.request(ask, ACKNOWLEDGE).await {
            Ok(TurnTaken { accepted: None | Some(true) }) => {
                asked.refused = None;
                return Ok(serial);
            }
            Ok(TurnTaken { accepted: Some(false) }) => {
                ("not accepted".into(), "the agent does not take the chat".into())
            }
            Err(error) => (coded(&error), in_short(error.message)),
        };
        asked.refused = Some(outcome);
        if let Some(undo) = asked.goal.take() {
            take_back(&self.goals, undo).await;
        }
        let error = format!("agent `{agent_id}` did not take the chat: {why}");
        Err(RpcError::new(codes::GONE, error).with("agent_error", why))
    }

    /// Whether a chat of this id runs.
    pub(crate) fn runs(&self, session_id: &str) -> bool {
        self.book.lock().runs(session_id)
    }

    /// The reply has left: what was held follows, and the chat is live.
    pub(crate) fn go_live(&self, session_id: &str, serial: u64) {
        let mut book = self.book.lock();
        if let Some(delivery) = book.go_live(session_id, serial) {
            self.deliver(&mut book, delivery);
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
        let heard = self.take(Speaker::Session(from.serial()), session_id, kind, members);
        if !heard {
            self.stray.inc();
        }
        heard
    }

    fn take(
        &self,
        from: Speaker,
        session_id: &str,
        kind: &str,
        members: Map<String, Value>,
    ) -> bool {
        let mut book = self.book.lock();
        let Some(delivery) = book.event(self.now(), from, session_id, kind, members) else {
            return false;
        };
        let deaf = delivery.ending.is_none() && delivery.ear.origin.is_gone();
        let serial = delivery.serial;
        self.deliver(&mut book, delivery);
        let cut = if deaf { book.drop_chat(session_id, serial) } else { None };
        self.finish(&mut book, cut);
        true
    }

    /// The agent broke a bound: its chat ends with this error.
    pub(crate) fn fail(&self, from: &Session, session_id: &str, error: &'static str) {
        let mut book = self.book.lock();
        let cut = book.fail(session_id, Speaker::Session(from.serial()), error);
        self.finish(&mut book, cut);
    }

    /// Ends a chat for its originator; `false` if no such chat runs.
    pub(crate) fn cancel(&self, by: &Session, host: bool, session_id: &str) -> Result<bool> {
        let party = Party::Session(by.serial());
        let mut book = self.book.lock();
        if let Some(Line { agent: Partner::Run(stopper), .. }) =
            book.ear(session_id, party, host)?
        {
            // It tells its end itself, once nothing of it lives and the audit file knows.
            stopper.stop();
            return Ok(true);
        }
        let cut = book.cancel(session_id, party, host)?;
        let found = cut.is_some();
        self.finish(&mut book, cut);
        Ok(found)
    }

    /// Hands a decision to the agent that asked for it.
    pub(crate) async fn decide(&self, by: &Session, host: bool, ask: &AskApprove) -> Result<bool> {
        let party = Party::Session(by.serial());
        let AskApprove { session_id, approval_id, .. } = ask;
        let (line, serial) =
            self.book.lock().decide(self.now(), session_id, approval_id, party, host)?;
        let Partner::Session(agent) = line.agent else {
            return Err(error::ChatError::UnknownApproval(approval_id.clone()).into());
        };
        let mut deciding = Deciding { chats: self, ask, serial, is_heard: false };
        match agent.request(ask, ACKNOWLEDGE).await {
            Ok(ApprovalHeard { resolved }) => {
                deciding.is_heard = true;
                Ok(resolved)
            }
            Err(error) => {
                let said = in_short(error.message);
                let why = format!("the agent did not take the decision: {said}");
                Err(RpcError::new(codes::GONE, why).with("agent_error", said))
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
        self.finish(&mut book, dropped.into_iter().chain(ended));
    }

    fn sweep(&self) {
        let mut book = self.book.lock();
        let stale = book.sweep(self.now(), self.idle_secs);
        self.finish(&mut book, stale);
    }

    /// Tells both ends of chats that ended otherwise than by their agent's word. Nothing here waits,
    /// and all of it is under the lock, so that no agent hears of an end after it was asked anew.
    fn finish(&self, book: &mut Book<Line>, cuts: impl IntoIterator<Item = Cut<Line>>) {
        for Cut { session_id, ear: line, delivery } in cuts {
            match delivery {
                Some(delivery) => self.deliver(book, delivery),
                // Nobody is there to hear that the work was broken off.
                None if line.agent.has_goals() => {
                    let members = Map::from_iter([("finish_reason".into(), "cancelled".into())]);
                    self.goals.heard(&session_id, "done", &members);
                }
                None => {}
            }
            line.agent.cancel(session_id);
        }
    }

    /// Queues events; called under the lock, so that they leave in the order of their numbers. If
    /// there is no room for the last one it waits in a task of its own, and its chat keeps the place.
    fn deliver(&self, book: &mut Book<Line>, delivery: Delivery<Line>) {
        let Delivery { ear: Line { origin, agent }, serial, events, ending } = delivery;
        let note = |event: &ChatEvent| {
            if agent.has_goals() {
                self.goals.heard(&event.session_id, &event.kind, &event.members);
            }
        };
        for event in events {
            note(&event);
            origin.tell(&event);
        }
        let Some(Ending { event, why }) = ending else { return };
        note(&event);
        self.audit(&event.kind, &event.session_id, &event.agent_id, size(&event), why);
        if origin.tell(&event) {
            return book.withdraw(&event.session_id, serial);
        }
        let book = self.book.clone();
        self.tasks.spawn("chat-end", async move {
            origin.last_word(&event).await;
            book.lock().withdraw(&event.session_id, serial);
        });
    }

    /// A line of ids, sizes and outcome; never of text that was said. `error` is in the host's words.
    fn audit(&self, what: &str, chat: &str, agent: &str, bytes: usize, error: Option<&str>) {
        self.journal.append(&json!({
            "ts": self.clock.now(), "event": format!("chat.{what}"), "session_id": chat,
            "agent_id": agent, "bytes": bytes, "error": error,
        }));
    }
}

/// An agent's words, as much of them as an error holds.
fn in_short(mut words: String) -> String {
    words.truncate(words.floor_char_boundary(REASON_BYTES));
    words
}

/// What a record says of an agent's error.
fn coded(error: &RpcError) -> String {
    format!("code {}", error.code)
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
            Self::Inside { said, .. } => said.is_closed(),
        }
    }

    /// Never waits: a slow originator loses the event, which shows as a gap in `seq`. `false` if so.
    fn tell(&self, event: &ChatEvent) -> bool {
        match self {
            Self::Session(session) => session.notify(event),
            Self::Inside { said, .. } => said.try_send(plain(event.clone())).is_ok(),
        }
    }

    async fn last_word(&self, event: &ChatEvent) {
        match self {
            Self::Session(session) => drop(session.notify_wait(event, LAST_WORD).await),
            Self::Inside { said, .. } => drop(said.send(plain(event.clone())).await),
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
