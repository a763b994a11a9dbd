//! What the host asked a client and was not yet answered.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::{
    error::{Result, RpcError, codes},
    guarded::Guarded,
};

/// How many requests may be open at one client; the next waits for room.
const MAX_OPEN: usize = 256;

type Answer = Result<Box<RawValue>>;

#[derive(Debug)]
pub(crate) struct Pending {
    next: AtomicU64,
    open: Guarded<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    room: Semaphore,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            next: AtomicU64::new(1),
            open: Guarded::new(Some(HashMap::new())),
            room: Semaphore::new(MAX_OPEN),
        }
    }
}

impl Pending {
    /// Opens a question. However the wait for it ends, nothing stays behind.
    pub(crate) async fn open(&self) -> Result<Question<'_>> {
        let room = self.room.acquire().await.map_err(|_| gone())?;
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        self.open.lock().as_mut().ok_or_else(gone)?.insert(id, answered);
        Ok(Question { pending: self, id, answer, _room: room })
    }

    /// Hands an answer to whoever waits for it. `false` if nobody does: late, repeated or invented.
    pub(crate) fn settle(&self, raw_id: &str, answer: Result<&str>) -> bool {
        let id = raw_id.strip_prefix("\"cb-").and_then(|id| id.strip_suffix('"')?.parse().ok());
        let Some(id) = id else { return false };
        let waiting = self.open.lock().as_mut().and_then(|open| open.remove(&id));
        let Some(waiting) = waiting else { return false };
        let answer = answer
            .and_then(|text| RawValue::from_string(text.to_owned()).map_err(RpcError::internal));
        waiting.send(answer).is_ok()
    }

    /// The client left: every open question ends now, and no further one can be opened.
    pub(crate) fn abandon(&self) {
        self.open.lock().take();
        self.room.close();
    }

    /// Whether no question is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.lock().as_ref().is_none_or(HashMap::is_empty)
    }
}

fn gone() -> RpcError {
    RpcError::new(codes::GONE, "the client that was asked is gone")
}

pub(crate) struct Question<'a> {
    pending: &'a Pending,
    pub(crate) id: u64,
    answer: oneshot::Receiver<Answer>,
    _room: SemaphorePermit<'a>,
}

impl Question<'_> {
    /// The client's answer; a client that is gone is an error like its own.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.outcome().await?
    }

    /// The client's answer, told apart from a client that is gone.
    pub(crate) async fn outcome(&mut self) -> Result<Answer> {
        (&mut self.answer).await.map_err(|_| gone())
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.pending.open.lock().as_mut() {
            open.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_its_question_once() {
        let pending = Pending::default();
        let mut first = pending.open().await.unwrap();
        let second = pending.open().await.unwrap();
        assert_eq!((first.id, second.id), (1, 2));
        assert!(pending.settle("\"cb-1\"", Ok("7")));
        assert!(!pending.settle("\"cb-1\"", Ok("7")));
        for invented in ["\"cb-9\"", "\"x\"", "1", "\"cb-\""] {
            assert!(!pending.settle(invented, Ok("7")), "{invented}");
        }
        assert_eq!(first.answer().await.unwrap().get(), "7");
        drop(second);
        assert!(pending.is_empty());
    }

    #[tokio::test]
    async fn whoever_leaves_ends_its_questions_and_opens_no_more() {
        let pending = Pending::default();
        let mut open = pending.open().await.unwrap();
        pending.abandon();
        assert_eq!(open.answer().await.unwrap_err().code, codes::GONE);
        assert!(pending.open().await.is_err());
    }

    #[tokio::test]
    async fn the_257th_question_waits_for_room() {
        let pending = Pending::default();
        let mut open = Vec::new();
        for _ in 0..MAX_OPEN {
            open.push(pending.open().await.unwrap());
        }
        let waiting = pending.open();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        open.pop();
        assert_eq!(waiting.await.unwrap().id, 257);
    }
}
