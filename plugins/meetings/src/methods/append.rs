//! `meeting.append`.

use carport_core::{Access, Caller, Method, Result, RpcError, bounds, object};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{check_id, forbidden, not_found, start::check_source};
use crate::{
    Meetings,
    hall::{Hall, may_see},
    live::{Order, Text},
    writer::MOST_LENGTH,
};

/// Adds text from elsewhere, as captions or typed notes, to a meeting that is being recorded.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct AppendText {
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
    /// What is added, all of it or nothing.
    #[serde(deserialize_with = "object::list")]
    #[schemars(length(min = 1, max = 64))]
    pub segments: Vec<TextFromElsewhere>,
}

/// A text.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct TextFromElsewhere {
    /// What was said or written.
    #[schemars(length(min = 1, max = 4096))]
    pub text: String,
    /// By whom; `speaker` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub speaker: Option<String>,
    /// From when on the meeting's clock; `end_ms`, or now, if absent.
    #[schemars(range(max = 43_200_000))]
    pub start_ms: Option<u64>,
    /// Until when; `start_ms` if absent.
    #[schemars(range(max = 43_200_000))]
    pub end_ms: Option<u64>,
    /// What it comes from, `[a-z0-9_-]`; `text` if absent.
    #[schemars(length(min = 1, max = 32))]
    pub source: Option<String>,
}

/// What was added.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// Texts that are in the transcript now; those in which nothing is said are not.
    pub appended: usize,
    /// Segments of the transcript.
    pub segments: u64,
}

impl Method for AppendText {
    const NAME: &'static str = "meeting.append";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Meetings;
    type Reply = Appended;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)?;
        bounds::items("segments", &self.segments, 1..=64)?;
        let longest = u64::try_from(MOST_LENGTH.as_millis()).unwrap_or(u64::MAX);
        for (at, text) in self.segments.iter().enumerate() {
            let field = |name: &str| format!("segments[{at}].{name}");
            bounds::bytes(&field("text"), &text.text, 1..=4096)?;
            bounds::maybe_bytes(&field("speaker"), text.speaker.as_deref(), 1..=64)?;
            text.source.as_deref().map_or(Ok(()), |it| check_source(&field("source"), it))?;
            let (start, end) = (text.start_ms.unwrap_or(0), text.end_ms.unwrap_or(longest));
            bounds::within(&field("start_ms"), start, 0..=longest)?;
            bounds::within(&field("end_ms"), end, start..=longest)?;
        }
        Ok(())
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Appended> {
        let hall = &meetings.hall;
        let Some(live) = hall.seen(&self.meeting_id, caller) else {
            return Err(hall.not_recording(self.meeting_id, caller).await?);
        };
        if !live.is_started_by(caller) {
            return Err(forbidden());
        }
        let text = |it: TextFromElsewhere| {
            let TextFromElsewhere { text, speaker, start_ms, end_ms, source } = it;
            Text { text, speaker, source, start_ms, end_ms }
        };
        let (reply, taken) = oneshot::channel();
        let texts = self.segments.into_iter().map(text).collect();
        live.orders.ask(Order::Texts { texts, reply }).await;
        let appended = taken.await.map_err(|_| over(&live.id))??;
        Ok(Appended { appended, segments: live.meeting().segments })
    }
}

impl Hall {
    /// What is said of a meeting that is not being recorded.
    async fn not_recording(&self, id: String, caller: &Caller) -> Result<RpcError> {
        let (shelf, name) = (self.shelf.clone(), id.clone());
        let kept = carport_core::blocking_io(move || shelf.kept(&name)).await;
        let kept = kept.map_err(|error| crate::broken(&error))?;
        let is_there = kept.is_some_and(|it| may_see(caller.identity(), &it.meeting.owner));
        Ok(if is_there { over(&id) } else { not_found(&id) })
    }
}

fn over(id: &str) -> RpcError {
    RpcError::conflict(format!("meeting `{id}` is not being recorded any more"))
}
