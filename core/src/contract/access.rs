//! Who is calling, and who may.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

/// Who may call a method. Every method says so itself; there is no default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Anyone who reached the socket.
    Public,
    /// Anyone who proved an identity: a client, an agent or the host.
    Authenticated,
    /// The agent that owns what the call touches, or the host. The method says who that is in
    /// [`Method::owner`](super::method::Method::owner).
    AgentOwner,
    /// Only a connection that presented the host token.
    Host,
}

/// Who a connection has proved to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Nothing was proved.
    #[default]
    Nobody,
    /// Whoever holds the daemon token.
    Client,
    /// The agent of this id, by its own token.
    Agent(Arc<str>),
    /// Whoever holds the host token.
    Host,
}

impl Identity {
    /// The identity of an agent.
    pub fn agent(id: &str) -> Self {
        Self::Agent(id.into())
    }

    /// The word for it on the wire.
    pub const fn role(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Client => "client",
            Self::Agent(_) => "agent",
            Self::Host => "host",
        }
    }

    /// The agent's id, if it is one.
    pub fn agent_id(&self) -> Option<&str> {
        match self {
            Self::Agent(id) => Some(id),
            _ => None,
        }
    }
}

/// Whose the thing is that a call touches. Asked only under [`Access::AgentOwner`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This agent's. It and the host pass.
    Agent(String),
    /// Nobody's. Only the host passes.
    Nobody,
    /// There is no such thing. The method runs and says so in its own way.
    Unknown,
}

/// The only methods that a connection may call, where whoever vouches for it narrows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedMethods {
    /// `None` leaves every method.
    only: Option<BTreeSet<String>>,
    never: BTreeSet<String>,
}

impl AllowedMethods {
    /// Saying who it is stays open to a narrowed connection.
    const ALWAYS: [&'static str; 2] = ["session.auth", "server.handshake"];

    /// Each pattern is a method's name, or `namespace.*` for all that begin with `namespace.`.
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Self {
        Self { only: Some(patterns.into_iter().collect()), never: BTreeSet::new() }
    }

    /// Takes the methods of these patterns away again; [`Self::default`] has all of them.
    #[must_use]
    pub fn except(mut self, patterns: impl IntoIterator<Item = String>) -> Self {
        self.never.extend(patterns);
        self
    }

    /// Whether `method` may be called.
    pub fn allows(&self, method: &str) -> bool {
        let is_among = |patterns: &BTreeSet<String>| {
            let below = |(at, _): (usize, &str)| patterns.contains(&format!("{}.*", &method[..at]));
            patterns.contains(method) || method.match_indices('.').any(below)
        };
        Self::ALWAYS.contains(&method)
            || (self.only.as_ref().is_none_or(is_among) && !is_among(&self.never))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrowed_connection_may_call_what_is_named_and_say_who_it_is() {
        let allowed = AllowedMethods::new(["runs.*", "tools.list", "a.b.*"].map(str::to_owned));
        for yes in ["runs.start", "tools.list", "a.b.c", "session.auth", "server.handshake"] {
            assert!(allowed.allows(yes), "{yes}");
        }
        for no in ["runs", "runsx.start", "tools.listen", "a.c", "rpc.discover", "", "*"] {
            assert!(!allowed.allows(no), "{no}");
        }
        let fewer = allowed.except(["runs.start", "a.*", "session.auth"].map(str::to_owned));
        for (method, yes) in
            [("runs.start", false), ("runs.list", true), ("a.b.c", false), ("session.auth", true)]
        {
            assert_eq!(fewer.allows(method), yes, "{method}");
        }
        let most = AllowedMethods::default().except(["runs.start".to_owned()]);
        assert!(most.allows("anything") && !most.allows("runs.start"));
    }
}
