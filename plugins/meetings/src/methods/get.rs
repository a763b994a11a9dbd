//! `meeting.get`.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Result, Time, blocking_io, bounds};
use carport_meetings_record::{
    EndedBy, Meeting, Owner, Participant, Segment, Source, Status, SummaryInfo,
};
use carport_meetings_summary::without_title;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MOST_REPLY, check_id, list::Root, not_found};
use crate::{
    Meetings,
    hall::may_see,
    live::{View, Wanted},
    shelf::Shelf,
};

/// Segments of a page.
const PAGE: u32 = 1000;

/// Shows a meeting, with a page of its transcript.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetMeeting {
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
    /// As in `meeting.list`.
    #[schemars(length(max = 4096))]
    pub root: Option<String>,
    /// The number of the first segment; 0 if absent.
    pub from: Option<u64>,
    /// How many segments at most; 1000 if absent.
    #[schemars(range(min = 1, max = 5000))]
    pub limit: Option<u32>,
}

/// A meeting with some of its transcript.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Got {
    /// Its id.
    pub id: String,
    /// What it is called; may be empty.
    pub title: String,
    /// Where it stands.
    pub status: Status,
    /// 0 on its clock.
    pub started_at: Time,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// What ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// Who started it.
    pub owner: Owner,
    /// Where its sound comes from.
    pub sources: Vec<Source>,
    /// Who speaks.
    pub participants: Vec<Participant>,
    /// How long it was.
    pub duration_ms: u64,
    /// Segments of its transcript.
    pub segments: u64,
    /// Words of its transcript.
    pub words: u64,
    /// The languages that were heard.
    pub languages: Vec<String>,
    /// What is known of its summary.
    pub summary_info: Option<SummaryInfo>,
    /// Whether what is said is kept in the memory.
    pub ingest: bool,
    /// Of the format of the files.
    pub version: u32,
    /// Some of what was said.
    pub transcript: Vec<Segment>,
    /// The summary without its title.
    pub summary: Option<String>,
    /// What `from` of the next page is, if more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl Got {
    fn new(view: View) -> Self {
        let Meeting { id, title, status, started_at, ended_at, ended_by, owner, .. } = view.meeting;
        let Meeting { sources, participants, duration_ms, segments, words, languages, .. } =
            view.meeting;
        let Meeting { summary: summary_info, ingest, version, .. } = view.meeting;
        let (transcript, next, summary) = (view.segments, view.next, view.summary);
        Self {
            id,
            title,
            status,
            started_at,
            ended_at,
            ended_by,
            owner,
            sources,
            participants,
            duration_ms,
            segments,
            words,
            languages,
            summary_info,
            ingest,
            version,
            transcript,
            summary,
            next,
        }
    }
}

impl Method for GetMeeting {
    const NAME: &'static str = "meeting.get";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Got;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)?;
        bounds::maybe_bytes("root", self.root.as_deref(), 0..=4096)?;
        bounds::within("limit", self.limit.unwrap_or(PAGE), 1..=5000)
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Got> {
        let (id, hall) = (self.meeting_id, &meetings.hall);
        let (from, limit) = (self.from.unwrap_or(0), self.limit.unwrap_or(PAGE) as usize);
        let wanted = Wanted { from, limit, bytes: MOST_REPLY };
        let view = match hall.root(self.root.as_deref())? {
            Root::Own => match hall.seen(&id, caller) {
                Some(live) => live.view(wanted),
                None => view(hall.shelf.clone(), &id, caller, wanted).await?,
            },
            Root::Listed(shelf) => view(shelf, &id, caller, wanted).await?,
            Root::Empty => return Err(not_found(&id)),
        };
        Ok(Got::new(view))
    }
}

/// A meeting that is over, as its files say, if the caller may see it.
pub(super) async fn view(
    shelf: Arc<Shelf>,
    id: &str,
    caller: &Caller,
    wanted: Wanted,
) -> Result<View> {
    let (name, identity) = (id.to_owned(), caller.identity().clone());
    let read = blocking_io(move || {
        let kept = shelf.kept(&name)?.filter(|it| may_see(&identity, &it.meeting.owner));
        let Some(kept) = kept else { return Ok(None) };
        let found = shelf.transcript(&name, wanted)?;
        let summary = match kept.meeting.summary {
            Some(_) => shelf.summary(&name)?.map(|it| without_title(&it).to_owned()),
            None => None,
        };
        let meeting = kept.meeting;
        let segments = found.segments.iter().map(|it| meeting.shown(it)).collect();
        Ok(Some(View { segments, next: found.next, summary, meeting }))
    });
    read.await.map_err(|error| crate::broken(&error))?.ok_or_else(|| not_found(id))
}
