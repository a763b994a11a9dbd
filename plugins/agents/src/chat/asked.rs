//! What is undone when an agent refuses a chat or a decision, or when whoever asked it leaves.

use carport_core::Session;

use super::{
    Chats,
    wire::{AskApprove, AskChat, ChatCancelled},
};
use crate::goals::{Goals, Undo};

/// A route whose agent has not accepted yet. Dropped so, it goes, the agent is told if it was asked,
/// and the goal that came with the chat is taken back.
pub(super) struct Asked<'a> {
    pub(super) chats: &'a Chats,
    pub(super) ask: &'a AskChat,
    pub(super) agent_id: &'a str,
    pub(super) serial: u64,
    pub(super) agent: &'a Session,
    pub(super) is_asked: bool,
    pub(super) goal: Option<Undo>,
    /// Why it came to nothing, in the host's words; `None` once the agent has accepted.
    pub(super) refused: Option<String>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let (chats, ask) = (self.chats, self.ask);
        chats.audit(
            "begin",
            &ask.session_id,
            self.agent_id,
            ask.prompt.len(),
            self.refused.as_deref(),
        );
        if self.refused.is_none() {
            return;
        }
        if let Some(undo) = self.goal.take() {
            let goals = chats.goals.clone();
            chats.tasks.spawn("goal-undo", async move { take_back(&goals, undo).await });
        }
        // Under the lock: the agent hears of this end before it can be asked for the same id again.
        let mut book = chats.book.lock();
        book.withdraw(&ask.session_id, self.serial);
        if self.is_asked {
            self.agent.notify(&ChatCancelled { session_id: ask.session_id.clone() });
        }
    }
}

/// A decision that the agent has not heard. Dropped so, it may be made again.
pub(super) struct Deciding<'a> {
    pub(super) chats: &'a Chats,
    pub(super) ask: &'a AskApprove,
    pub(super) serial: u64,
    pub(super) is_heard: bool,
}

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        if !self.is_heard {
            let AskApprove { session_id, approval_id, .. } = self.ask;
            self.chats.book.lock().reopen(session_id, self.serial, approval_id);
        }
    }
}

pub(super) async fn take_back(goals: &Goals, undo: Undo) {
    if let Err(error) = goals.undo(undo).await {
        tracing::error!(%error, "the goal of a chat that was refused stays");
    }
}
