//! The methods, one file each or one for a pair.

mod append;
mod delete;
mod follow;
mod get;
mod label;
mod list;
mod start;
mod stop;

use carport_core::{Identity, Result, RpcError, bounds};
use carport_meetings_record::{Meeting, Role};

pub use append::{AppendText, Appended, TextFromElsewhere};
pub use delete::{DeleteMeeting, Deleted};
pub use follow::{FollowMeeting, Followed, UnfollowMeeting, Unfollowed};
pub use get::{GetMeeting, Got};
pub use label::{NameLabel, Named};
pub use list::{ListMeetings, Listed};
pub use start::{NewParticipant, NewSource, StartMeeting, Started};
pub use stop::{StopMeeting, Stopped};

use crate::hall::may_see;

/// Bytes of transcript in one reply, about.
const MOST_REPLY: usize = 6 << 20;

/// `[A-Za-z0-9_][A-Za-z0-9._-]{0,63}`.
fn check_id(field: &str, id: &str) -> Result<()> {
    bounds::bytes(field, id, 1..=64)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    bounds::letters(field, id, "[A-Za-z0-9._-]", word)?;
    match id.starts_with(['.', '-']) {
        true => Err(RpcError::invalid_params(field, "must begin with a letter, a digit or `_`")),
        false => Ok(()),
    }
}

/// What is said of a meeting that is not there, or not for the caller to see.
fn not_found(id: &str) -> RpcError {
    RpcError::not_found(format!("meeting `{id}`"))
}

/// What is said of a meeting that the caller sees and may not change.
fn forbidden() -> RpcError {
    RpcError::forbidden("only who started the meeting or the host may do this")
}

/// Whether the caller may change a meeting that is over: an agent its own, the host any, and a client those
/// of clients, for the connection that started it may be gone.
fn may_change(identity: &Identity, meeting: &Meeting) -> Result<()> {
    if !may_see(identity, &meeting.owner) {
        return Err(not_found(&meeting.id));
    }
    match (identity, meeting.owner.role) {
        (Identity::Host, _) | (_, Role::Client) => Ok(()),
        (identity, Role::Agent) if identity.agent_id().is_some() => Ok(()),
        _ => Err(forbidden()),
    }
}
