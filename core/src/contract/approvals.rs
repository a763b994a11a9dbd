//! What a plugin asks people to decide, in the one list that hosts watch.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{BoxFuture, session::Session};
use crate::wire::error::Result;

/// Raises approvals for a plugin; [`StartContext::approvals`](super::start::StartContext::approvals)
/// hands it out.
pub trait Approvals: Send + Sync {
    /// Raises a row of `plugin`'s on behalf of `asker`. It ends with that connection, when it expires or by the
    /// decision of a host connection; the asker itself cannot decide. Of a connection that has ended
    /// it ends at once. Returns the row's id, or overloaded while too many rows are pending, or invalid
    /// parameters if the context is beyond 16 KiB of JSON.
    fn raise(&self, plugin: &str, asker: &Session, new: NewApproval) -> Result<String>;

    /// Cancels a row that is still pending, because there is nothing left to decide.
    fn withdraw(&self, id: &str);
}

/// A row before it is raised.
pub struct NewApproval {
    /// What is to be decided, as a word for programs.
    pub action: String,
    /// What is to be decided, in a line for people.
    pub title: String,
    /// And at length.
    pub description: Option<String>,
    /// The agent that it is about.
    pub agent_id: Option<String>,
    /// Facts for the decision, an object; secrets in it are masked.
    pub context: Value,
    /// How long it waits.
    pub expires_in: Duration,
    /// Told when the row is decided, and when it ends undecided.
    pub when_over: WhenOver,
}

/// Called with a decision before it counts: the row is decided, and hosts hear of it, once the future
/// has ended well. Its error is the reply to whoever decided, and leaves the row pending. Begun, the
/// future is run to its end. Called with nothing when the row expired or was cancelled; that future is
/// dropped. The call itself may not block.
pub type WhenOver =
    Arc<dyn Fn(Option<Decision>) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static>;

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub approved: bool,
    /// The connection that decided.
    pub by: String,
    /// What it said with it.
    pub notes: Option<String>,
}
