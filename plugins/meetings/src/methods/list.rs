//! `meeting.list`.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use carport_core::{Access, Caller, Identity, Method, Result, RpcError, blocking_io, bounds};
use carport_meetings_record::Meeting;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MOST_REPLY, check_id};
use crate::{
    Meetings,
    config::ForeignRoot,
    hall::{Hall, may_see, order},
    shelf::{Kept, Shelf},
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
        let (identity, before) = (caller.identity().clone(), self.before);
        let page = blocking_io(move || read(&shelf, &identity, before.as_deref(), limit)).await;
        let mut page = page.map_err(|error| crate::broken(&error))?.ok_or_else(|| {
            let why = "no meeting here has this id; begin anew without it";
            RpcError::invalid_params("before", why)
        })?;
        if is_own {
            // What is being recorded is ahead of its file.
            for meeting in &mut page {
                if let Some(live) = hall.find(&meeting.id) {
                    *meeting = live.meeting();
                }
            }
        }
        let mut room = MOST_REPLY;
        let fits = |it: &&Meeting| {
            let size = serde_json::to_string(it).map_or(0, |it| it.len());
            let has_room = size <= room || room == MOST_REPLY;
            room = room.saturating_sub(size);
            has_room
        };
        let shown = page.iter().take(limit).take_while(fits).count();
        let has_more = page.len() > shown;
        page.truncate(shown);
        let next = page.last().filter(|_| has_more).map(|it| it.id.clone());
        Ok(Listed { meetings: page, next })
    }
}

/// What the caller sees of a page and one more; `None` if there is no meeting that it is to begin behind. However
/// many meetings there are, no more than these are held.
fn read(
    shelf: &Shelf,
    identity: &Identity,
    before: Option<&str>,
    limit: usize,
) -> io::Result<Option<Vec<Meeting>>> {
    let is_seen = |it: &Kept| may_see(identity, &it.meeting.owner);
    let begin = match before {
        None => None,
        Some(id) => match shelf.kept(id)?.filter(is_seen) {
            Some(kept) => Some(order(&kept.meeting)),
            None => return Ok(None),
        },
    };
    let mut page = BTreeMap::new();
    shelf.each(|kept| {
        let place = order(&kept.meeting);
        if is_seen(&kept) && begin.as_ref().is_none_or(|begin| place > *begin) {
            page.insert(place, kept.meeting);
            if page.len() > limit + 1 {
                page.pop_last();
            }
        }
    })?;
    Ok(Some(page.into_values().collect()))
}
