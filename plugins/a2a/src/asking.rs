//! Asking a peer: a message goes there with its credential, and what comes of it is heard, as it comes if the
//! peer streams.

use std::time::Duration;

use carport_a2a_outbound::{
    ANSWER_BYTES, Agent, Ask, Carrier, Events, Failure, Gathered, Reply, Request, Unmet,
};
use carport_a2a_types::{Message, SendResult, StreamResponse, Task, Version};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::{credential::Credential, outgoing::Outgoing};

/// How long an answer may take that does not wait for the work, and a card.
const AT_ONCE: Duration = Duration::from_secs(60);
/// How long an answer may take that does.
const BLOCKING: Duration = Duration::from_secs(300);
/// How long is waited before a stream that broke is taken up again: at once, and then once more.
const RESUMED_AFTER: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];
/// Changes that are heard of one message.
const MOST_CHANGES: usize = 10_000;

/// How a peer is asked.
pub(crate) struct Asking<'a> {
    pub(crate) outgoing: &'a Outgoing,
    /// Goes along where the origin is the one that it was given for.
    pub(crate) credential: Option<Credential>,
    /// Whether the answer waits for the work.
    pub(crate) blocking: bool,
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
/// Nothing was heard, or too much.
pub(crate) async fn hear(
    peer: &Peer<'_>,
    message: &Message,
    news: impl FnMut(StreamResponse) + Send,
) -> Result<(SendResult, Version), Failure> {
    let gathered = Gathered::default();
    let (version, changes, last_id) = (Version::V1, 0, None);
    let mut hearing = Hearing { peer, message, news, gathered, version, changes, last_id };
    let streams = peer.declares_streams() && peer.carrier().blocking;
    if !streams {
        hearing.ask().await?;
    } else if let Ok(heard) = timeout(BLOCKING, hearing.listen()).await {
        heard?;
    }
    let Hearing { gathered, version, .. } = hearing;
    let result = gathered.into_result().ok_or(Unmet::Late)?;
    Ok((result, version))
}

/// A message that was sent, and what was heard of it.
struct Hearing<'a, N> {
    peer: &'a Peer<'a>,
    message: &'a Message,
    news: N,
    gathered: Gathered,
    version: Version,
    changes: usize,
    last_id: Option<String>,
}

impl<'a, N: FnMut(StreamResponse) + Send> Hearing<'a, N> {
    fn take(&mut self, event: StreamResponse) {
        if let Some(news) = self.gathered.take(event) {
            (self.news)(news);
        }
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        let ask = Ask::Send { message: self.message, wait: self.peer.carrier().blocking };
        let (result, version): (SendResult, _) = self.peer.call(&ask).await?;
        self.version = version;
        self.take(result.into());
        Ok(())
    }

    /// Asks for a stream, and for an answer if the peer does not stream after all.
    async fn listen(&mut self) -> Result<(), Failure> {
        match self.listen_on().await {
            Err(failure) if failure.refuses_streams() && self.gathered.is_empty() => {
                self.ask().await
            }
            listened => listened,
        }
    }

    async fn listen_on(&mut self) -> Result<(), Failure> {
        let events = self.peer.stream(&Ask::SendStreaming(self.message)).await?;
        self.version = events.version();
        let mut events = events.with_room(ANSWER_BYTES);
        // A task that goes on may wait as before, or for an earlier message, until the stream says no more.
        let ends: fn(&Gathered) -> bool = match self.message.task_id {
            Some(_) => Gathered::is_final,
            None => Gathered::ends_turn,
        };
        let heard = self.drain(&mut events, ends).await;
        if self.is_over(heard)? {
            return Ok(());
        }
        for wait in RESUMED_AFTER {
            sleep(wait).await;
            match self.resume(events.room()).await {
                Ok(resumed) => events = resumed,
                Err(Failure::Unmet(Unmet::Unreachable | Unmet::Broken)) => continue,
                Err(_) => break,
            }
            let heard = self.drain(&mut events, Gathered::ends_turn).await;
            if self.is_over(heard)? {
                return Ok(());
            }
        }
        self.look().await
    }

    /// Hears a stream to its end, or until nothing follows.
    async fn drain(
        &mut self,
        events: &mut Events<'_, Asking<'_>>,
        ends: fn(&Gathered) -> bool,
    ) -> Result<(), Failure> {
        while let Some(event) = events.next().await? {
            self.changes += 1;
            if self.changes > MOST_CHANGES {
                return Err(Failure::Endless(MOST_CHANGES));
            }
            self.last_id = events.last_id().map(str::to_owned);
            self.take(event);
            if ends(&self.gathered) {
                break;
            }
        }
        Ok(())
    }

    /// Whether what was heard is all; if not, and the task is known, it can be taken up again.
    fn is_over(&self, heard: Result<(), Failure>) -> Result<bool, Failure> {
        match heard {
            Err(failure) if failure.is_excess() || self.gathered.is_empty() => Err(failure),
            Ok(()) if self.gathered.is_empty() => Err(Failure::Silent),
            heard => Ok(heard.is_ok() && self.gathered.ends_turn()),
        }
    }

    fn task(&self) -> &str {
        self.gathered.task().map_or("", |it| &it.id)
    }

    async fn resume(&self, room: usize) -> Result<Events<'a, Asking<'a>>, Failure> {
        let follow = Ask::Follow { id: self.task(), after: self.last_id.as_deref() };
        Ok(self.peer.stream_in(&follow, self.version).await?.with_room(room))
    }

    /// Looks how the task is. If that fails, it is as it was heard last.
    async fn look(&mut self) -> Result<(), Failure> {
        match self.peer.call_in::<Task>(&Ask::Get(self.task()), self.version).await {
            Ok(task) => self.take(StreamResponse::Task(task)),
            Err(failure) if failure.is_excess() => return Err(failure),
            Err(failure) => tracing::debug!(%failure, "a peer's task could not be looked at"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
