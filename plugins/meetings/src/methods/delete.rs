//! `meeting.delete`.

use carport_core::{Access, Caller, Method, Result, RpcError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_id, forbidden, may_change};
use crate::Meetings;

/// Removes a meeting that is over: its files, and what the memory knows of it if its graph is there still.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct DeleteMeeting {
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
}

/// Whether there was anything to remove.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was such a meeting.
    pub deleted: bool,
}

impl Method for DeleteMeeting {
    const NAME: &'static str = "meeting.delete";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Deleted;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Deleted> {
        let (hall, id) = (&meetings.hall, self.meeting_id);
        if let Some(live) = hall.seen(&id, caller) {
            if !live.is_of(caller) {
                return Err(forbidden());
            }
            let why = format!("meeting `{id}` is being recorded; stop it first");
            return Err(RpcError::conflict(why));
        }
        match hall.remove(&id, |meeting| may_change(caller.identity(), meeting)).await {
            Ok(deleted) => Ok(Deleted { deleted }),
            // What the caller may not see is not there for it.
            Err(error) if error.code == carport_core::codes::NOT_FOUND => {
                Ok(Deleted { deleted: false })
            }
            Err(error) => Err(error),
        }
    }
}
