//! How many surfaces whoever creates them has, and how many bytes.

use std::collections::HashMap;

use carport_a2ui_api::Creator;

use super::STRANGER;
use crate::endpoint::{Endpoint, Whole};

/// Whose a surface counts as: an agent's, else a connection's, else a peer's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Account {
    Agent(String),
    Connection(String),
    /// All paths of an origin are one, and so are all whose names are for one payload.
    Peer(Option<String>),
}

impl Account {
    pub(super) fn of(by: &Creator, peer: Option<&Whole>) -> Self {
        match (&by.agent_id, &by.client_id) {
            (Some(agent), _) => Self::Agent(agent.clone()),
            (None, Some(client)) => Self::Connection(client.clone()),
            (None, None) => {
                let name = peer.map(|it| &it.0).filter(|it| !it.starts_with(STRANGER));
                let origin = |it: &String| Endpoint::read(it).map(|it| it.origin());
                Self::Peer(name.map(|it| origin(it).unwrap_or_else(|_| it.clone())))
            }
        }
    }
}

/// What an account has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) surfaces: usize,
    pub(super) bytes: usize,
}

/// What each has: kept, so that nothing is counted anew for a change.
#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<Account, Held>);

impl Accounts {
    pub(super) fn held(&self, account: &Account) -> Held {
        self.0.get(account).copied().unwrap_or_default()
    }

    /// A new surface of so many bytes.
    pub(super) fn add(&mut self, account: Account, bytes: usize) {
        let held = self.0.entry(account).or_default();
        held.surfaces += 1;
        held.bytes += bytes;
    }

    /// A surface of so many bytes has so many now.
    pub(super) fn resize(&mut self, account: &Account, before: usize, after: usize) {
        if let Some(held) = self.0.get_mut(account) {
            held.bytes = held.bytes - before + after;
        }
    }

    /// A surface of so many bytes is gone.
    pub(super) fn remove(&mut self, account: &Account, bytes: usize) {
        if let Some(held) = self.0.get_mut(account) {
            held.surfaces -= 1;
            held.bytes -= bytes;
            if held.surfaces == 0 {
                self.0.remove(account);
            }
        }
    }
}
