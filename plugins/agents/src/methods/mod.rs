//! `agents.*`, `goal.*`, `registry.*` and `agent.chat.event`, a file a group.

mod chat;
mod follow;
mod goal;
mod install;
mod lifecycle;
mod list;
mod logs;
mod manifest;
mod peers;
mod registry;
mod suggest;

pub use chat::{
    ApproveInChat, BeginChat, CancelChat, ChatApproved, ChatBegun, ChatIsCancelled, EventHeard,
    HearChatEvent,
};
pub use follow::{FollowLog, LogFollowed, LogUnfollowed, UnfollowLog};
pub use goal::{ClearGoal, GoalCleared, GoalOf, GoalSet, GoalView, SetGoal};
pub use install::{InstallAgent, InstallReport, Installed, SignatureState};
pub use lifecycle::{RestartAgent, StartAgent, StopAgent, StopSignal, WaitAgent};
pub use list::{
    AgentHealth, AgentsFollowed, AgentsUnfollowed, CheckAgents, FollowAgents, ListAgents,
    UnfollowAgents,
};
pub use logs::TailAgentLog;
pub use manifest::{AgentRemoved, RemoveAgent, UpsertAgent};
pub use peers::{
    DecideMessage, HeldMessages, ListHeld, ListPeers, MessageDecided, MessageSent, PeerList,
    SendMessage,
};
pub use registry::{
    Heartbeat, ListServices, ReapServices, Refreshed, RegisterService, UnregisterService,
};
pub use suggest::{Confidence, GoalSuggested, SuggestGoal};

use carport_core::{Caller, Identity, Result, RpcError, bounds};

use crate::{Agents, config::Manage};

/// Whether the caller may change the manifest.
fn check_manager(agents: &Agents, caller: &Caller) -> Result<()> {
    match (caller.identity(), agents.config.manage) {
        (Identity::Host, _) | (Identity::Client, Manage::Authenticated) => Ok(()),
        (Identity::Agent(_), _) => Err(RpcError::forbidden("an agent may not change the manifest")),
        _ => Err(RpcError::forbidden(
            "only a connection with the host role may change the manifest (`agents.manage`)",
        )),
    }
}

/// An agent may name only itself.
fn check_self(id: &str, caller: &Caller) -> Result<()> {
    match caller.agent() {
        Some(own) if own != id => {
            Err(RpcError::forbidden(format!("agent `{own}` may name only itself")))
        }
        _ => Ok(()),
    }
}

/// A chat's id: `[A-Za-z0-9._:-]{1,128}`.
fn check_session_id(id: &str) -> Result<()> {
    bounds::bytes("session_id", id, 1..=128)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || "._:-".contains(letter);
    bounds::letters("session_id", id, "[A-Za-z0-9._:-]", word)
}
