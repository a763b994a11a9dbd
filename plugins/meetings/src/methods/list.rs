//! `meeting.list`.

use std::{path::Path, sync::Arc};

use carport_core::{Access, Caller, Method, Result, RpcError, blocking_io, bounds};
use carport_meetings_record::Meeting;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_id;
use crate::{
    Meetings,
    config::ForeignRoot,
    hall::{Hall, may_see, order},
    shelf::Shelf,
};

/// Meetings of a page.
const PAGE: u32 = 100;

/// Lists meetings, the newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListMeetings {
    /// Another directory of meetings that the operator listed; the daemon's own if absent or empty.
    #[schemars(length(max = 4096))]
    pub root: Option<String>,
    /// How many at most; 100 if absent.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// The id of the last meeting of the page before.
    #[schemars(length(min = 1, max = 64))]
    pub before: Option<String>,
}

/// A page of meetings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// Newest first, then by id.
    pub meetings: Vec<Meeting>,
    /// What `before` of the next page is, if more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whose directory is read.
pub(super) enum Root {
    Own,
    Listed(Arc<Shelf>),
    /// One that is not looked at.
    Empty,
}

impl Hall {
    /// The directory that a caller names. Only names are compared, so that nobody can feel around the disk.
    pub(super) fn root(&self, root: Option<&str>) -> Result<Root> {
        let Some(root) = root.filter(|it| !it.is_empty()).map(Path::new) else {
            return Ok(Root::Own);
        };
        if root == self.shelf.root {
            return Ok(Root::Own);
        }
        if let Some(listed) = self.listed.iter().find(|it| it.root == root) {
            return Ok(Root::Listed(listed.clone()));
        }
        match self.config.foreign_root {
            ForeignRoot::Empty => Ok(Root::Empty),
            ForeignRoot::Refuse => {
                let why =
                    "is not listed in `meetings.roots`; leave it out to read the daemon's own";
                Err(RpcError::invalid_params("root", why))
            }
        }
    }
}

impl Method for ListMeetings {
    const NAME: &'static str = "meeting.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Listed;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("root", self.root.as_deref(), 0..=4096)?;
        bounds::within("limit", self.limit.unwrap_or(PAGE), 1..=1000)?;
        self.before.as_deref().map_or(Ok(()), |it| check_id("before", it))
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Listed> {
        let (hall, limit) = (&meetings.hall, self.limit.unwrap_or(PAGE) as usize);
        let (shelf, is_own) = match hall.root(self.root.as_deref())? {
            Root::Own => (hall.shelf.clone(), true),
            Root::Listed(shelf) => (shelf, false),
            Root::Empty => return Ok(Listed { meetings: Vec::new(), next: None }),
        };
        let all = blocking_io(move || shelf.all()).await.map_err(|error| crate::broken(&error))?;
        let mut all: Vec<_> = all.into_iter().map(|it| it.meeting).collect();
        if is_own {
            // What is being recorded is ahead of its file.
            for meeting in &mut all {
                if let Some(live) = hall.find(&meeting.id) {
                    *meeting = live.meeting();
                }
            }
        }
        all.retain(|it| may_see(caller.identity(), &it.owner));
        all.sort_by(order);
        let begin = match &self.before {
            None => 0,
            Some(id) => {
                let at = all.iter().position(|it| it.id == *id);
                1 + at.ok_or_else(|| {
                    RpcError::invalid_params(
                        "before",
                        "no meeting here has this id; begin anew without it",
                    )
                })?
            }
        };
        let more = all.len() > begin + limit;
        let page: Vec<_> = all.into_iter().skip(begin).take(limit).collect();
        let next = page.last().filter(|_| more).map(|it| it.id.clone());
        Ok(Listed { meetings: page, next })
    }
}
