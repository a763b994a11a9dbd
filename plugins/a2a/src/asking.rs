//! Asking a peer: a message goes there with its credential, and what comes of it is heard, as it comes if the
//! peer streams.

use std::{sync::Arc, time::Duration};

use carport_a2a_outbound::{
    ANSWER_BYTES, Agent, Ask, Carrier, Events, Failure, Gathered, Reply, Request, Target, Unmet,
    within_bounds,
};
use carport_a2a_types::{Message, SendResult, StreamResponse, Task, TaskState, Version};
use carport_core::RpcError;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{credential::Credential, outgoing::Outgoing};

/// How long all may take that does not wait for the work, and a card.
const AT_ONCE: Duration = Duration::from_secs(60);
/// How long all may take that does.
const BLOCKING: Duration = Duration::from_secs(300);
/// How long is waited before a stream that broke is taken up again: at once, and then once more; anew after each
/// stream that told something.
const RESUMED_AFTER: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];
/// Changes that are heard of one message.
const MOST_CHANGES: usize = 10_000;

/// How a peer is asked.
pub(crate) struct Asking<'a> {
    outgoing: &'a Outgoing,
    /// Goes along where the origin is the one that it was given for.
    pub(crate) credential: Option<Credential>,
    /// Whether the answer waits for the work.
    blocking: bool,
    /// When all that is asked has to be over: the card, and however many requests a message takes.
    pub(crate) until: Instant,
}

impl<'a> Asking<'a> {
    /// The time begins now.
    pub(crate) fn new(
        outgoing: &'a Outgoing,
        credential: Option<Credential>,
        blocking: bool,
    ) -> Self {
        let until = Instant::now() + if blocking { BLOCKING } else { AT_ONCE };
        Self { outgoing, credential, blocking, until }
    }

    /// Finds out where a peer is asked.
    ///
    /// # Errors
    /// There is no card that says it, or the time is up.
    pub(crate) async fn find(self, endpoint: &Target) -> Result<Peer<'a>, Failure> {
        in_time(self.until, Agent::find(self, endpoint)).await
    }
}

/// What is asked, or that it took too long.
pub(crate) async fn in_time<T>(
    until: Instant,
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout_at(until, asked).await.unwrap_or_else(|_| Err(Unmet::Late.into()))
}

impl Carrier for Asking<'_> {
    async fn carry(&self, request: Request<'_>) -> Result<Reply, Unmet> {
        let headers = request.headers.into_iter();
        let own = headers.filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
        });
        let mut headers: HeaderMap = own.collect();
        let mut total = AT_ONCE;
        if request.body.is_some() {
            headers.extend(self.credential.as_ref().and_then(|it| it.header_for(request.to)));
            total = if self.blocking { BLOCKING } else { AT_ONCE };
        }
        self.outgoing.exchange(request.to, headers, request.body, total).await
    }

    fn clean(&self, answer: &mut Value) {
        if let Some(credential) = &self.credential {
            credential.strike(answer);
        }
    }
}

/// A peer, and how it is asked.
pub(crate) type Peer<'a> = Agent<Asking<'a>>;

/// Sends a message and hears what comes of it: as it comes, where the answer waits for the work and the peer's card
/// says that it streams. `news` is told each thing once. When the time is up, or the peer cannot be heard any more,
/// the answer is the task as far as it is known.
///
/// # Errors
/// Nothing was heard, or too much, or the peer tells an error; `taskId` in the data names the task, if it is known.
pub(crate) async fn hear(
    peer: &Peer<'_>,
    message: &Message,
    news: impl FnMut(StreamResponse) + Send,
) -> Result<(SendResult, Version), RpcError> {
    let gathered = Gathered::default();
    let (version, changes, last_id) = (Version::V1, 0, None);
    let (is_news, has_gap) = (false, false);
    let mut hearing =
        Hearing { peer, message, news, gathered, version, changes, last_id, is_news, has_gap };
    let heard = timeout_at(peer.carrier().until, hearing.run()).await;
    let Hearing { gathered, version, .. } = hearing;
    if let Ok(Err(failure)) = heard {
        let error = RpcError::from(failure);
        return Err(match gathered.task() {
            Some(task) => error.with("taskId", task.id.as_str()),
            None => error,
        });
    }
    let result = gathered.into_result().ok_or(Failure::Unmet(Unmet::Late))?;
    Ok((result, version))
}

/// How a task stands: its state, and the message that says more.
type Stand = Option<(TaskState, Option<String>)>;

/// How far a message was heard.
enum Heard {
    /// To the end of its turn.
    All,
    /// Not so far, or not without a gap, and perhaps why: the task has to be looked at.
    Partly(Option<Failure>),
}

/// A message that was sent, and what was heard of it.
struct Hearing<'a, N> {
    peer: &'a Peer<'a>,
    message: &'a Message,
    news: N,
    gathered: Gathered,
    version: Version,
    changes: usize,
    last_id: Option<Arc<str>>,
    /// Whether anything new was told since this was looked at.
    is_news: bool,
    /// Whether something may have been missed that no later snapshot told.
    has_gap: bool,
}

impl<'a, N: FnMut(StreamResponse) + Send> Hearing<'a, N> {
    async fn run(&mut self) -> Result<(), Failure> {
        match self.peer.declares_streams() && self.peer.carrier().blocking {
            true => self.listen().await,
            false => self.ask().await,
        }
    }

    fn take(&mut self, event: StreamResponse) {
        let before = self.stand();
        if let Some(news) = self.gathered.take(event) {
            self.is_news |= match &news {
                StreamResponse::Task(task) => !task.artifacts.is_empty() || self.stand() != before,
                _ => true,
            };
            (self.news)(news);
        }
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        let ask = Ask::Send { message: self.message, wait: self.peer.carrier().blocking };
        let (result, version): (SendResult, _) = self.peer.call(&ask).await?;
        self.version = version;
        let event = result.into();
        within_bounds(&event)?;
        self.take(event);
        Ok(())
    }

    /// Asks for a stream, and for an answer if the peer does not stream after all: what it says instead of a stream
    /// it says before it does anything, which is not so of what it says in one.
    async fn listen(&mut self) -> Result<(), Failure> {
        let events = match self.peer.stream(&Ask::SendStreaming(self.message)).await {
            Err(failure) if failure.refuses_streams() => return self.ask().await,
            opened => opened?,
        };
        self.version = events.version();
        match self.listen_to(events.with_room(ANSWER_BYTES)).await? {
            Heard::All => Ok(()),
            Heard::Partly(why) => self.look(why).await,
        }
    }

    async fn listen_to(&mut self, mut events: Events<'a, Asking<'a>>) -> Result<Heard, Failure> {
        let (mut is_first, mut waits) = (true, RESUMED_AFTER.iter());
        loop {
            match self.drain(&mut events, is_first).await {
                Ok(true) if self.has_gap => return Ok(Heard::Partly(None)),
                Ok(true) => return Ok(Heard::All),
                Ok(false) if self.gathered.is_empty() => return Err(Failure::Silent),
                Ok(false) => {}
                Err(failure) if self.gathered.is_empty() => return Err(failure),
                Err(failure) => {
                    tracing::warn!(%failure, "a peer's stream ended too early");
                    if failure.is_excess() || matches!(failure, Failure::Refused(_)) {
                        return Ok(Heard::Partly(Some(failure)));
                    }
                }
            }
            if std::mem::take(&mut self.is_news) {
                waits = RESUMED_AFTER.iter();
            }
            is_first = false;
            events = loop {
                let Some(wait) = waits.next() else { return Ok(Heard::Partly(None)) };
                sleep(*wait).await;
                match self.resume(events.room()).await {
                    Ok(resumed) => break resumed,
                    Err(Failure::Unmet(Unmet::Unreachable | Unmet::Broken)) => {}
                    Err(_) => return Ok(Heard::Partly(None)),
                }
            };
        }
    }

    /// Hears a stream to its end, or until nothing follows. Whether the turn is over then: a task that goes on may
    /// wait as before, or for an earlier message, until the first stream says no more; a later one begins with how
    /// the task was when the one before broke, which by itself is the end of nothing.
    async fn drain(
        &mut self,
        events: &mut Events<'_, Asking<'_>>,
        is_first: bool,
    ) -> Result<bool, Failure> {
        let (before, goes_on) = (self.stand(), self.message.task_id.is_some());
        let (mut has_moved, mut has_begun) = (!goes_on, is_first);
        loop {
            let told = match events.next().await {
                Ok(None) => return Ok(self.gathered.ends_turn() && (is_first || has_moved)),
                Err(failure) if self.gathered.task().is_some() && failure.is_of_one_event() => {
                    tracing::debug!(%failure, "an event of a peer is left out");
                    None
                }
                told => told?,
            };
            self.changes += 1;
            if self.changes > MOST_CHANGES {
                return Err(Failure::Endless(MOST_CHANGES));
            }
            self.last_id = events.last_id();
            self.has_gap = match &told {
                Some(StreamResponse::Task(task)) if task.id == self.task() => false,
                Some(_) => self.has_gap || !has_begun,
                None => true,
            };
            has_begun = true;
            let Some(event) = told else { continue };
            self.take(event);
            has_moved |= self.stand() != before;
            let may_wait = goes_on && (is_first || !has_moved);
            if self.gathered.is_final() || (self.gathered.ends_turn() && !may_wait) {
                return Ok(true);
            }
        }
    }

    fn task(&self) -> &str {
        self.gathered.task().map_or("", |it| &it.id)
    }

    fn stand(&self) -> Stand {
        let status = &self.gathered.task()?.status;
        Some((status.state, status.message.as_ref().map(|it| it.message_id.clone())))
    }

    async fn resume(&self, room: usize) -> Result<Events<'a, Asking<'a>>, Failure> {
        let follow = Ask::Follow { id: self.task(), after: self.last_id.as_deref() };
        Ok(self.peer.stream_in(&follow, self.version).await?.with_room(room))
    }

    /// Looks how the task is. If that fails, it is as it was heard last, unless there is a reason why it could not
    /// be heard on; a peer's own error is the answer also where the task tells nothing newer.
    async fn look(&mut self, why: Option<Failure>) -> Result<(), Failure> {
        let looked = self.peer.call_in::<Task>(&Ask::Get(self.task()), self.version).await;
        let looked = looked.map(StreamResponse::Task);
        match looked.and_then(|event| within_bounds(&event).map(|()| event)) {
            Ok(event) => {
                self.is_news = false;
                self.take(event);
                why.filter(|why| !why.is_excess() && !self.is_news).map_or(Ok(()), Err)
            }
            Err(failure) => {
                tracing::debug!(%failure, "a peer's task could not be looked at");
                why.or(failure.is_excess().then_some(failure)).map_or(Ok(()), Err)
            }
        }
    }
}

#[cfg(test)]
mod tests;
