//! An agent of others: where it is asked, its answers, and its streams.

use std::{collections::VecDeque, sync::Arc};

use carport_a2a_types::{
    StreamResponse, Version,
    read::{Read, read},
};
use carport_core::RpcError;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ask::Ask,
    card::find_card,
    carrier::{Carrier, Pieces, Reply, Request},
    failure::{Failure, Unmet},
    peer::choose_interface,
    sse::{Event, EventReader},
    target::Target,
};

/// Bytes of an answer, and of one event of a stream.
pub const ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of the id of a task or context of others.
const NAME_BYTES: usize = 256;

/// The whole body of an answer, if it has no more than `most` bytes.
pub(crate) async fn whole(mut reply: Reply, most: usize) -> Result<Vec<u8>, Unmet> {
    if reply.length.is_some_and(|length| length > most as u64) {
        return Err(Unmet::Long(most));
    }
    let mut read = Vec::new();
    while let Some(piece) = reply.pieces.next().await {
        let piece = piece?;
        if read.len() + piece.len() > most {
            return Err(Unmet::Long(most));
        }
        read.extend_from_slice(&piece);
    }
    Ok(read)
}

/// The header that names extensions.
const fn extensions(version: Version) -> &'static str {
    match version {
        Version::V1 => "a2a-extensions",
        Version::V03 => "x-a2a-extensions",
    }
}

/// An agent and where it is asked.
#[derive(Debug)]
pub struct Agent<C> {
    carrier: C,
    posted: Target,
    streams: bool,
    extensions: Option<&'static str>,
}

impl<C: Carrier> Agent<C> {
    /// Finds out where an agent is asked: a URL with a path is that place, of a bare one the card says it.
    ///
    /// # Errors
    /// There is no card, or none that names a place of its own origin.
    pub async fn find(carrier: C, url: &Target) -> Result<Self, Failure> {
        let (posted, streams) = match url.is_bare() {
            false => (url.clone(), false),
            true => {
                let (card, _) = find_card(&carrier, url).await?;
                let interface = choose_interface(&card, url).ok_or(Failure::Elsewhere)?;
                let posted = Target::parse(&interface.url).map_err(|_| Failure::Elsewhere)?;
                (posted, card.capabilities.streaming == Some(true))
            }
        };
        Ok(Self { carrier, posted, streams, extensions: None })
    }

    /// The same agent, asked for extensions, whose names commas part.
    #[must_use]
    pub fn with_extensions(self, extensions: Option<&'static str>) -> Self {
        Self { extensions, ..self }
    }

    /// What carries the requests.
    pub const fn carrier(&self) -> &C {
        &self.carrier
    }

    /// Where it is asked.
    pub const fn posted(&self) -> &Target {
        &self.posted
    }

    /// Whether its card says that it streams; without a card it does not.
    pub const fn declares_streams(&self) -> bool {
        self.streams
    }

    /// Asks for an answer: in v1.0, and in v0.3 if the agent knows no such thing, in which case it did nothing.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call<T: Read>(&self, ask: &Ask<'_>) -> Result<(T, Version), Failure> {
        match self.call_in(ask, Version::V1).await {
            Err(failure) if failure.knows_no_such_thing() => {
                Ok((self.call_in(ask, Version::V03).await?, Version::V03))
            }
            answered => Ok((answered?, Version::V1)),
        }
    }

    /// Asks for an answer in one version.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call_in<T: Read>(&self, ask: &Ask<'_>, version: Version) -> Result<T, Failure> {
        let reply = self.post(ask, version).await?;
        if reply.is_stream {
            return Err(Failure::Stream);
        }
        said(self.answer(reply).await?, version)
    }

    /// Asks for a stream, as [`Self::call`] asks for an answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn stream(&self, ask: &Ask<'_>) -> Result<Events<'_, C>, Failure> {
        match self.stream_in(ask, Version::V1).await {
            Err(failure) if failure.knows_no_such_thing() => {
                self.stream_in(ask, Version::V03).await
            }
            opened => opened,
        }
    }

    /// Asks for a stream in one version. An answer that is none is heard like a stream of one event.
    ///
    /// # Errors
    /// Why there is neither.
    pub async fn stream_in(
        &self,
        ask: &Ask<'_>,
        version: Version,
    ) -> Result<Events<'_, C>, Failure> {
        let reply = self.post(ask, version).await?;
        let (first, pieces) = match reply.is_stream {
            true => (None, reply.pieces),
            false => (Some(self.answer(reply).await?), stream::empty().boxed()),
        };
        let (reader, waiting) = (EventReader::new(ANSWER_BYTES), VecDeque::new());
        let (last_id, room) = (None, usize::MAX);
        Ok(Events { agent: self, version, first, pieces, reader, waiting, last_id, room })
    }

    async fn post(&self, ask: &Ask<'_>, version: Version) -> Result<Reply, Failure> {
        let (method, params) = ask.spoken(version);
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("a2a-version", version.text()),
        ];
        headers.extend(self.extensions.map(|names| (extensions(version), names)));
        headers.extend(ask.after().map(|id| ("last-event-id", id)));
        let body = Some(call.to_string().into_bytes());
        let reply = self.carrier.carry(Request { to: &self.posted, headers, body }).await?;
        match reply.status {
            401 | 403 => Err(Failure::Denied),
            300..=399 => Err(Failure::Redirect),
            _ => Ok(reply),
        }
    }

    /// The result in an answer that came whole.
    async fn answer(&self, reply: Reply) -> Result<Value, Failure> {
        let status = reply.status;
        match self.result(&whole(reply, ANSWER_BYTES).await?) {
            Err(Failure::NoJsonRpc) if matches!(status, 404 | 405) => Err(Failure::NotThere),
            judged => judged,
        }
    }

    /// The result in an envelope of JSON-RPC.
    fn result(&self, text: &[u8]) -> Result<Value, Failure> {
        let mut envelope = serde_json::from_slice(text).map_err(|_| Failure::NoJsonRpc)?;
        self.carrier.clean(&mut envelope);
        match RpcError::deserialize(&envelope["error"]) {
            Ok(error) => Err(Failure::Refused(error)),
            Err(_) => envelope.get_mut("result").map(Value::take).ok_or(Failure::NoJsonRpc),
        }
    }
}

/// What a result of a version says.
fn said<T: Read>(result: Value, version: Version) -> Result<T, Failure> {
    read(result, version).map_err(|_| Failure::Unknown)
}

/// The change that a result of a version tells.
fn event(result: Value, version: Version) -> Result<StreamResponse, Failure> {
    let event = said(result, version)?;
    within_bounds(&event).map(|()| event)
}

/// Checks the names that a peer gives a task and its context: they are kept.
///
/// # Errors
/// One of them has more than 256 bytes.
pub fn within_bounds(event: &StreamResponse) -> Result<(), Failure> {
    let (task, context) = match event {
        StreamResponse::Task(it) => (Some(&it.id), Some(&it.context_id)),
        StreamResponse::Message(it) => (it.task_id.as_ref(), it.context_id.as_ref()),
        StreamResponse::StatusUpdate(it) => (Some(&it.task_id), Some(&it.context_id)),
        StreamResponse::ArtifactUpdate(it) => (Some(&it.task_id), Some(&it.context_id)),
    };
    match [task, context].into_iter().flatten().any(|it| it.len() > NAME_BYTES) {
        true => Err(Failure::LongName(NAME_BYTES)),
        false => Ok(()),
    }
}

/// A stream of changes.
pub struct Events<'a, C> {
    agent: &'a Agent<C>,
    version: Version,
    /// The result of an answer that is no stream.
    first: Option<Value>,
    pieces: Pieces,
    reader: EventReader,
    waiting: VecDeque<Event>,
    last_id: Option<Arc<str>>,
    room: usize,
}

impl<C: Carrier> Events<'_, C> {
    /// The same stream, of which no more bytes are read. By itself only single events are bounded.
    #[must_use]
    pub fn with_room(self, room: usize) -> Self {
        Self { room, ..self }
    }

    /// The bytes that may still be read.
    pub const fn room(&self) -> usize {
        self.room
    }

    /// The version that is spoken.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The id of the last event that was heard, if the agent gives any.
    pub fn last_id(&self) -> Option<Arc<str>> {
        self.last_id.clone()
    }

    /// The next change; `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream broke, an event is too long or no change, or the agent tells an error.
    pub async fn next(&mut self) -> Result<Option<StreamResponse>, Failure> {
        if let Some(result) = self.first.take() {
            return event(result, self.version).map(Some);
        }
        while self.waiting.is_empty() {
            let Some(piece) = self.pieces.next().await else { return Ok(None) };
            let piece = piece?;
            let room = self.room.checked_sub(piece.len());
            self.room = room.ok_or(Unmet::Long(ANSWER_BYTES))?;
            let events = self.reader.feed(&piece);
            self.waiting.extend(events.map_err(|_| Unmet::Long(ANSWER_BYTES))?);
        }
        let Event { id, data } = self.waiting.pop_front().unwrap_or_default();
        let event = event(self.agent.result(data.as_bytes())?, self.version)?;
        self.last_id = id;
        Ok(Some(event))
    }
}

#[cfg(test)]
mod tests;
