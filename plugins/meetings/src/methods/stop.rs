//! `meeting.stop`.

use std::sync::Arc;

use carport_core::{Access, Caller, Identity, Method, Result, RpcError, Time, blocking_io};
use carport_meetings_record::{EndedBy, Meeting, Segment, Status, SummaryKind, size};
use carport_memory_api::GraphRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{MOST_REPLY, check_id, forbidden, may_change, not_found};
use crate::{
    Meetings,
    hall::{CATCH_UP, Hall},
    live::{Made, Stage, Wanted},
    remembering,
    shelf::Kept,
};

/// Segments in the reply.
const MOST_SEGMENTS: usize = 2000;

/// Stops a meeting; its transcript is complete and its summary made when this is answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StopMeeting {
    /// The meeting.
    #[serde(alias = "id")]
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
    /// Whether a summary is made; true if absent.
    pub summarize: Option<bool>,
}

/// A meeting is over.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// Its id.
    pub meeting_id: String,
    /// The same.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// When it was over.
    pub ended_at: Option<Time>,
    /// How long it was.
    pub duration_ms: u64,
    /// The summary without its title, if one was made; empty if nothing was said.
    pub summary: Option<String>,
    /// How the summary was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_kind: Option<SummaryKind>,
    /// Its last 2000 segments.
    pub transcript: Vec<Segment>,
    /// Whether there are more; `meeting.get` has them.
    pub truncated: bool,
    /// The meeting.
    pub meeting: Meeting,
}

impl Stopped {
    fn new(meeting: Meeting, mut segments: Vec<Segment>, made: Option<Made>) -> Self {
        let all = segments.len();
        let mut room = MOST_REPLY;
        let fits = |it: &&Segment| {
            room = room.saturating_sub(size(it));
            room > 0
        };
        let last = segments.iter().rev().take(MOST_SEGMENTS).take_while(fits).count();
        let transcript = segments.split_off(all - last);
        let (summary, summary_kind) = made.unzip();
        Self {
            meeting_id: meeting.id.clone(),
            id: meeting.id.clone(),
            status: meeting.status,
            ended_at: meeting.ended_at,
            duration_ms: meeting.duration_ms,
            summary,
            summary_kind,
            truncated: transcript.len() < all,
            transcript,
            meeting,
        }
    }
}

impl Method for StopMeeting {
    const NAME: &'static str = "meeting.stop";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Stopped;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Stopped> {
        let (hall, summarize) = (&meetings.hall, self.summarize.unwrap_or(true));
        let Some(live) = hall.seen(&self.meeting_id, caller) else {
            let (hall, identity) = (hall.clone(), caller.identity().clone());
            // To its end even if the connection goes meanwhile: nothing catches up with what a half of it left.
            let stopping = tokio::spawn(async move {
                hall.stop_again(&self.meeting_id, &identity, summarize).await
            });
            return stopping.await.map_err(RpcError::internal)?;
        };
        if !live.is_of(caller) {
            return Err(forbidden());
        }
        hall.end_with(&live, EndedBy::Stop, summarize);
        live.reached(Stage::Over).await;
        let view = live.view(Wanted::ALL);
        let made = live.state.lock().summary.clone();
        Ok(Stopped::new(view.meeting, view.segments, made))
    }
}

impl Hall {
    pub(crate) async fn catch_up(&self, graph: &GraphRef, meeting: &Meeting, segments: &[Segment]) {
        let catching = remembering::catch_up(&*self.memory, graph, meeting, segments);
        match timeout(CATCH_UP, catching).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(meeting = meeting.id, %error, "the memory has not got all of a meeting");
            }
            Err(_) => {
                tracing::error!(
                    meeting = meeting.id,
                    "the memory has not got all of a meeting in time"
                );
            }
        }
    }

    /// Stops a meeting that is over: one that was interrupted ends, and one without a summary gets it. The
    /// memory gets what it has not got, before anything says that there is no more to do.
    async fn stop_again(
        self: Arc<Self>,
        id: &str,
        identity: &Identity,
        summarize: bool,
    ) -> Result<Stopped> {
        let _held = self.hold(id).await;
        let (shelf, name) = (self.shelf.clone(), id.to_owned());
        let kept =
            blocking_io(move || shelf.kept(&name)).await.map_err(|error| crate::broken(&error))?;
        let kept = kept.ok_or_else(|| not_found(id))?;
        let graph = self.graph_of(&kept);
        let mut meeting = kept.meeting;
        may_change(identity, &meeting)?;
        self.check_over(&meeting)?;
        let is_interrupted = meeting.status == Status::Interrupted;
        if !is_interrupted && (!summarize || meeting.summary.is_some()) {
            let why = format!("meeting `{id}` has ended; `meeting.get` shows it");
            return Err(RpcError::conflict(why).with("status", serde_json::json!(meeting.status)));
        }
        let (shelf, name) = (self.shelf.clone(), id.to_owned());
        let read = blocking_io(move || shelf.transcript(&name, Wanted::ALL)).await;
        let segments = read.map_err(|error| crate::broken(&error))?.segments;
        if let Some(graph) = &graph {
            self.catch_up(graph, &meeting, &segments).await;
        }
        if is_interrupted {
            let ended = meeting.ended_at.unwrap_or(meeting.started_at);
            meeting.end(Status::Ended, ended, EndedBy::Crash).map_err(RpcError::internal)?;
            let (shelf, kept) = (self.shelf.clone(), Kept::new(meeting.clone(), graph.as_ref()));
            let written = blocking_io(move || shelf.rewrite(&kept)).await;
            written.map_err(|error| crate::broken(&error))?;
        }
        let shown: Vec<_> = segments.iter().map(|it| meeting.shown(it)).collect();
        let made = match summarize {
            true => self.sum_up(&mut meeting, shown.clone(), graph.as_ref(), true).await.made,
            false => None,
        };
        Ok(Stopped::new(meeting, shown, made))
    }
}
