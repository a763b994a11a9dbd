//! Messages that come over a listener which shares the runtime of the connection that started it.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use carport_a2a_api::{End, Ending, Executor, Turn, Updates};
use carport_a2a_types::{Content, Part};
use carport_agents_api::{Agents, Target};
use carport_core::{Result, RpcError, Session};
use carport_engine_api::{CONNECTION_ENDED, Engine, EngineRuntime};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::EngineExecutor;
use crate::drawing::Drawing;

/// Turns that are done at once; the others wait. Each has one action run at a time, of the 32 that the
/// connection's runtime runs at once: the others are the connection's own.
const TURNS: usize = 8;
/// What a message is told whose listener stopped before its turn.
const STOPPED: &str =
    "the listener that the message came by has stopped, and shares its tools no more";
/// What a turn is told whose connection ended.
const LEFT: &str = "the connection whose tools the listener shares has ended";

/// Makes what a listener shares.
pub(crate) struct Sharing {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) agents: Option<Arc<dyn Agents>>,
    pub(crate) drawing: Option<Arc<Drawing>>,
}

impl Sharing {
    /// Shares the runtime of a connection.
    ///
    /// # Errors
    /// What keeps the engine from lending it.
    pub(crate) async fn of(&self, session: &Arc<Session>) -> Result<Shared> {
        let runtime = self.engine.of_session(session).await?;
        let target = Target::Client(session.id().to_owned());
        let chat = self.agents.clone().map(|agents| (target, agents));
        Ok(Shared {
            session: Arc::downgrade(session),
            work: EngineExecutor::new(runtime.clone(), chat, self.drawing.clone()),
            runtime,
            turns: Semaphore::new(TURNS),
        })
    }

    /// Why nothing is shared where another executor does the tasks.
    pub(crate) fn refused() -> RpcError {
        let remedy = "leave `share_session_runtime` out: tasks of this daemon are done by an executor of its own";
        RpcError::unavailable("the runtime of a connection", remedy)
    }
}

/// Does the turns of messages that come over one listener, with the runtime of one connection and with no
/// other: a turn that has not begun when the listener stops, or that is under way when the connection ends,
/// fails and says why.
pub(crate) struct Shared {
    session: Weak<Session>,
    runtime: Arc<dyn EngineRuntime>,
    work: EngineExecutor,
    /// Places of turns; closed when the listener stops.
    turns: Semaphore,
}

impl Shared {
    /// The tools that are shared.
    pub(crate) fn tools(&self) -> Vec<Value> {
        self.runtime.tools()
    }

    /// Whether it is this connection whose runtime is shared.
    pub(crate) fn is_of(&self, session: &Arc<Session>) -> bool {
        std::ptr::eq(self.session.as_ptr(), Arc::as_ptr(session))
    }

    /// Begins no turn from now on.
    pub(crate) fn stop(&self) {
        self.turns.close();
    }

    /// Whether the connection has ended.
    fn is_left(&self) -> bool {
        self.session.upgrade().is_none_or(|session| session.is_closed())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stopped", &self.turns.is_closed()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Executor for Shared {
    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        let place = self.turns.acquire().await;
        if self.is_left() {
            return Ending::saying(End::Failed, LEFT);
        }
        let Ok(_place) = place else { return Ending::saying(End::Failed, STOPPED) };
        let ending = self.work.turn(turn, updates).await;
        if !stands(&ending) && self.is_left() {
            return Ending::saying(End::Failed, LEFT);
        }
        ending
    }
}

/// Whether a turn ended so by itself, whatever became of its connection meanwhile: what was done stays done and
/// what was refused stays refused. That nobody took a chat is no such thing.
fn stands(ending: &Ending) -> bool {
    let of_the_end = |part: &Part| match &part.content {
        Content::Text(text) => text.contains(CONNECTION_ENDED),
        _ => false,
    };
    match ending.end {
        End::Completed => *ending != super::acknowledged(),
        End::Rejected => !ending.says.iter().any(of_the_end),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
