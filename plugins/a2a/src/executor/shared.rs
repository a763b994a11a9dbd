//! Messages that come over a listener which shares the runtime of the connection that started it.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use carport_a2a_api::{End, Ending, Executor, Turn, Updates};
use carport_agents_api::{Agents, Target};
use carport_core::{Result, RpcError, Session};
use carport_engine_api::{Engine, EngineRuntime};
use serde_json::Value;

use super::EngineExecutor;
use crate::drawing::Drawing;

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
            stopped: AtomicBool::new(false),
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
    stopped: AtomicBool,
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
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether the connection has ended.
    fn is_left(&self) -> bool {
        self.session.upgrade().is_none_or(|session| session.is_closed())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

#[async_trait]
impl Executor for Shared {
    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        if self.is_left() {
            return Ending::saying(End::Failed, LEFT);
        }
        if self.stopped.load(Ordering::Acquire) {
            return Ending::saying(End::Failed, STOPPED);
        }
        let ending = self.work.turn(turn, updates).await;
        // What was done before the connection ended stays done; that nobody took a chat is no such thing.
        let is_done = ending.end == End::Completed && ending != super::acknowledged();
        if !is_done && self.is_left() {
            return Ending::saying(End::Failed, LEFT);
        }
        ending
    }
}

#[cfg(test)]
mod tests;
