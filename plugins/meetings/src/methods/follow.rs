//! `meeting.subscribe`, `meeting.unsubscribe`: follows a meeting.

use carport_core::{Access, Caller, Method, Result};
use carport_meetings_record::{Meeting, Segment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MOST_REPLY, check_id, get::view};
use crate::{Meetings, live::Wanted};

/// Follows a meeting: what was said so far, then `meeting.event` for whatever happens.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct FollowMeeting {
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
    /// The number of the first segment that is wanted; 0 if absent.
    pub from: Option<u64>,
}

/// A meeting so far.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Followed {
    /// The meeting.
    pub meeting: Meeting,
    /// Its segments from `from` on.
    pub transcript: Vec<Segment>,
    /// The next event has one more. A meeting that is over has no events.
    pub cursor: u64,
    /// The first segment that had no room in this reply, if one had not; `meeting.get` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl Method for FollowMeeting {
    const NAME: &'static str = "meeting.subscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Followed;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Followed> {
        let hall = &meetings.hall;
        let (from, bytes) = (self.from.unwrap_or(0), MOST_REPLY);
        let wanted = Wanted { from, limit: usize::MAX, bytes };
        let (view, cursor) = match hall.seen(&self.meeting_id, caller) {
            Some(live) => live.follow(&hall.followers, caller, wanted)?,
            None => (view(hall.shelf.clone(), &self.meeting_id, caller, wanted).await?, 0),
        };
        Ok(Followed { meeting: view.meeting, transcript: view.segments, cursor, next: view.next })
    }
}

/// Stops following a meeting.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnfollowMeeting {
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
}

/// Whether there was anything to stop.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Unfollowed {
    /// Whether this connection followed it.
    pub unsubscribed: bool,
}

impl Method for UnfollowMeeting {
    const NAME: &'static str = "meeting.unsubscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Unfollowed;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Unfollowed> {
        let live = meetings.hall.find(&self.meeting_id);
        let followers = &meetings.hall.followers;
        let unsubscribed = live.is_some_and(|it| it.unfollow(followers, caller.session()));
        Ok(Unfollowed { unsubscribed })
    }
}
