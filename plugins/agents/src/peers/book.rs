//! Which messages of agents to agents may pass, and which wait for a person. Pure: time is passed in.

use std::collections::{BTreeMap, HashMap, VecDeque};

use carport_core::RpcError;
use sha2::{Digest, Sha256};

/// Milliseconds within which one body goes to one peer once.
const SAME_BODY: i64 = 10_000;
/// How many messages one sender may send one peer within so many milliseconds.
const PER_PAIR: usize = 20;
const PAIR_WINDOW: i64 = 60_000;
/// How many messages may wait for one peer's word at once.
const WAITING: usize = 50;
/// How many messages wait for a person, and how much JSON their bodies may be together: a list of
/// them fits one reply.
pub(crate) const MAX_HELD: usize = 100;
const HELD_BYTES: usize = 8 << 20;
/// From how many pairs on those that have been silent are looked for.
const MANY_PAIRS: usize = 256;

/// Why a message does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerError {
    /// The same was said just now.
    #[error("the same was sent to this peer within the last {} s", SAME_BODY / 1000)]
    Same,
    /// Too many in a minute.
    #[error("messages to one peer in {} s", PAIR_WINDOW / 1000)]
    PerPair,
    /// The peer has not answered so many yet.
    #[error("{WAITING} messages wait for this peer's word")]
    Waiting,
}

impl From<PeerError> for RpcError {
    fn from(error: PeerError) -> Self {
        match error {
            PeerError::Same => Self::conflict(error).with("retry_after_ms", SAME_BODY),
            PeerError::PerPair => Self::limit(error, PER_PAIR as u64),
            PeerError::Waiting => Self::overloaded(error),
        }
    }
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) body: String,
}

/// A message that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) message: Message,
    pub(crate) at: i64,
    /// Its body in JSON.
    bytes: usize,
}

/// A message that passed.
struct Sent {
    id: String,
    at: i64,
    digest: [u8; 32],
}

/// What was sent of late, what waits for a peer and what waits for a person. Times are milliseconds.
#[derive(Default)]
pub(crate) struct Book {
    pairs: HashMap<(String, String), VecDeque<Sent>>,
    waiting: BTreeMap<String, usize>,
    held: VecDeque<Held>,
    held_bytes: usize,
}

impl Book {
    /// Notes that a message passes, if it may. A message that passed before counts as itself, once.
    fn admit(&mut self, now: i64, message: &Message) -> Result<(), PeerError> {
        if self.pairs.len() > MANY_PAIRS {
            self.pairs.retain(|_, sent| sent.back().is_some_and(|it| now - it.at < PAIR_WINDOW));
        }
        let digest = Sha256::digest(&message.body).into();
        let pair = (message.from.clone(), message.to.clone());
        let sent = self.pairs.entry(pair).or_default();
        sent.retain(|it| now - it.at < PAIR_WINDOW);
        let mut others = sent.iter().filter(|it| it.id != message.id);
        if others.clone().any(|it| it.digest == digest && now - it.at < SAME_BODY) {
            return Err(PeerError::Same);
        }
        if others.nth(PER_PAIR - 1).is_some() {
            return Err(PeerError::PerPair);
        }
        sent.retain(|it| it.id != message.id);
        sent.push_back(Sent { id: message.id.clone(), at: now, digest });
        Ok(())
    }

    /// Notes that a message passes and waits for its peer's word, until [`Self::heard`].
    pub(crate) fn send(&mut self, now: i64, message: &Message) -> Result<(), PeerError> {
        if self.waiting.get(&message.to).is_some_and(|waiting| *waiting >= WAITING) {
            return Err(PeerError::Waiting);
        }
        self.admit(now, message)?;
        *self.waiting.entry(message.to.clone()).or_default() += 1;
        Ok(())
    }

    /// A peer answered, or was waited for long enough.
    pub(crate) fn heard(&mut self, peer: &str) {
        if let Some(waiting) = self.waiting.get_mut(peer) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(peer);
            }
        }
    }

    /// Keeps a message for a person, if it may pass; answers the oldest ones that have to go for it.
    pub(crate) fn hold(&mut self, now: i64, message: Message) -> Result<Vec<Message>, PeerError> {
        self.admit(now, &message)?;
        let bytes = serde_json::to_string(&message.body).map_or(usize::MAX, |it| it.len());
        self.held_bytes += bytes;
        self.held.push_back(Held { message, at: now, bytes });
        let mut dropped = Vec::new();
        while self.held.len() > MAX_HELD || (self.held_bytes > HELD_BYTES && self.held.len() > 1) {
            dropped.extend(self.held.pop_front().map(|it| self.let_go(it)));
        }
        Ok(dropped)
    }

    /// What waits for a person, the oldest first.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    /// One message that waits for a person.
    pub(crate) fn find(&self, id: &str) -> Option<&Message> {
        self.held.iter().map(|it| &it.message).find(|it| it.id == id)
    }

    /// Lets a message that waits for a person pass as [`Self::send`] does; one that may not pass stays.
    pub(crate) fn release(&mut self, now: i64, id: &str) -> Result<Option<Message>, PeerError> {
        let Some(message) = self.find(id).cloned() else { return Ok(None) };
        self.send(now, &message)?;
        Ok(self.take(id))
    }

    /// Takes a message out of those that wait for a person.
    pub(crate) fn take(&mut self, id: &str) -> Option<Message> {
        let at = self.held.iter().position(|it| it.message.id == id)?;
        let held = self.held.remove(at)?;
        Some(self.let_go(held))
    }

    fn let_go(&mut self, held: Held) -> Message {
        self.held_bytes -= held.bytes;
        held.message
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
