//! Who asks for tasks, and which of them exist for them.

use std::{fmt, sync::Arc};

use carport_core::Identity;

/// Whose tasks a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Their own; all others do not exist.
    Own,
    /// Everybody's.
    All,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    name: Arc<str>,
    view: View,
}

impl Caller {
    /// Whoever an identity of the daemon's own connection is: all holders of the daemon token are one
    /// caller. The host sees everything.
    pub fn of(identity: &Identity) -> Self {
        match identity {
            Identity::Nobody => Self::anonymous(),
            Identity::Client => Self::own("client"),
            Identity::Agent(id) => Self::own(&format!("agent:{id}")),
            Identity::Host => Self { name: "host".into(), view: View::All },
        }
    }

    /// Whoever showed the token of this name over HTTP.
    pub fn peer(token: &str) -> Self {
        Self::own(&format!("peer:{token}"))
    }

    /// Whoever reaches a listener that asks for no token.
    pub fn anonymous() -> Self {
        Self::own("anonymous")
    }

    /// The daemon itself, which sees everything.
    pub fn daemon() -> Self {
        Self { name: "daemon".into(), view: View::All }
    }

    fn own(name: &str) -> Self {
        Self { name: name.into(), view: View::Own }
    }

    /// The name that their tasks bear.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a task of `owner` exists for them.
    pub fn sees(&self, owner: &str) -> bool {
        self.view == View::All || *self.name == *owner
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
