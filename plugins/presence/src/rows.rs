//! Rows that connections own. Pure: no clock, no socket.

use std::collections::BTreeMap;

use carport_core::{AgentStatus, HostAgent, HostDevice, RpcError, Time};

/// Agents that one connection may register.
pub(crate) const MAX_AGENTS: usize = 64;
/// Devices that one connection may register.
pub(crate) const MAX_DEVICES: usize = 16;

/// Why a row does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no such {0}")]
    Unknown(&'static str),
    #[error("this {0} is owned by another session")]
    Owned(&'static str),
    #[error("{0} of a connection: the limit is {1}")]
    Quota(&'static str, usize),
}

/// A row with an id and the connection that owns it.
pub(crate) trait Row: Clone {
    const NOUN: &'static str;
    const QUOTA: usize;
    fn id(&self) -> &str;
    fn owner(&self) -> &str;
}

impl Row for HostAgent {
    const NOUN: &'static str = "agent";
    const QUOTA: usize = MAX_AGENTS;
    fn id(&self) -> &str {
        &self.id
    }
    fn owner(&self) -> &str {
        &self.session_id
    }
}

impl Row for HostDevice {
    const NOUN: &'static str = "device";
    const QUOTA: usize = MAX_DEVICES;
    fn id(&self) -> &str {
        &self.id
    }
    fn owner(&self) -> &str {
        self.session_id.as_deref().unwrap_or_default()
    }
}

/// Rows by id.
#[derive(Debug, Clone)]
pub(crate) struct Rows<R>(BTreeMap<String, R>);

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<R: Row> Rows<R> {
    /// Puts a row in, over the owner's own of that id; the one it replaces is given back.
    pub(crate) fn put(&mut self, row: R) -> Result<Option<R>, Refused> {
        match self.0.get(row.id()) {
            Some(known) if known.owner() != row.owner() => return Err(Refused::Owned(R::NOUN)),
            Some(_) => {}
            None => {
                let own = self.0.values().filter(|known| known.owner() == row.owner()).count();
                if own >= R::QUOTA {
                    return Err(Refused::Quota(R::NOUN, R::QUOTA));
                }
            }
        }
        Ok(self.0.insert(row.id().to_owned(), row))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&R> {
        self.0.get(id)
    }

    /// The row, for its owner to change.
    pub(crate) fn owned(&mut self, id: &str, owner: &str) -> Result<&mut R, Refused> {
        match self.0.get_mut(id) {
            None => Err(Refused::Unknown(R::NOUN)),
            Some(row) if row.owner() != owner => Err(Refused::Owned(R::NOUN)),
            Some(row) => Ok(row),
        }
    }

    pub(crate) fn remove(&mut self, id: &str, owner: &str) -> Result<R, Refused> {
        self.owned(id, owner)?;
        self.0.remove(id).ok_or(Refused::Unknown(R::NOUN))
    }

    /// Takes out what a connection that is gone owned.
    pub(crate) fn take_owned(&mut self, owner: &str) -> Vec<R> {
        self.0.extract_if(.., |_, row| row.owner() == owner).map(|(_, row)| row).collect()
    }

    /// Every row, sorted by id.
    pub(crate) fn all(&self) -> Vec<R> {
        self.0.values().cloned().collect()
    }
}

/// What an agent was doing before it began to wait for a person, and how many approvals it waits for.
#[derive(Debug, Default)]
pub(crate) struct Waits(BTreeMap<String, (AgentStatus, usize)>);

impl Waits {
    /// The agent waits for one more approval. `true` if its status changes by it.
    pub(crate) fn begin(&mut self, agent: &mut HostAgent, now: Time) -> bool {
        let entry = self.0.entry(agent.id.clone()).or_insert((agent.status, 0));
        entry.1 += 1;
        set(agent, AgentStatus::WaitingForApproval, now)
    }

    /// One approval is over. With the last one the former status returns, unless the status was changed
    /// meanwhile. `true` if it changes.
    pub(crate) fn end(&mut self, agent: &mut HostAgent, now: Time) -> bool {
        let Some((former, count)) = self.0.get_mut(&agent.id) else { return false };
        *count -= 1;
        if *count > 0 {
            return false;
        }
        let former = *former;
        self.0.remove(&agent.id);
        agent.status == AgentStatus::WaitingForApproval && set(agent, former, now)
    }

    /// The agent itself says what it does, or its row is gone: nothing returns.
    pub(crate) fn forget(&mut self, agent_id: &str) {
        self.0.remove(agent_id);
    }
}

fn set(agent: &mut HostAgent, status: AgentStatus, now: Time) -> bool {
    let changes = agent.status != status;
    if changes {
        (agent.status, agent.updated_at) = (status, now);
    }
    changes
}

impl From<Refused> for RpcError {
    fn from(why: Refused) -> Self {
        match why {
            Refused::Unknown(noun) => Self::not_found(noun),
            Refused::Owned(_) => Self::forbidden(why),
            Refused::Quota(noun, limit) => {
                Self::limit(format!("{noun}s of a connection"), limit as u64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn agent(id: &str, owner: &str) -> HostAgent {
        HostAgent {
            id: id.into(),
            name: id.into(),
            kind: "test".into(),
            capabilities: Vec::new(),
            project: None,
            pid: None,
            display: Default::default(),
            metadata: Default::default(),
            status: AgentStatus::Idle,
            current_task: None,
            message: None,
            session_id: owner.into(),
            registered_at: Time::default(),
            updated_at: Time::default(),
        }
    }

    #[test]
    fn the_former_status_returns_with_the_last_approval() {
        let (mut waits, mut row, now) = (Waits::default(), agent("a", "s"), Time::default());
        row.status = AgentStatus::Running;
        assert!(waits.begin(&mut row, now));
        assert!(!waits.begin(&mut row, now));
        assert!(!waits.end(&mut row, now));
        assert_eq!(row.status, AgentStatus::WaitingForApproval);
        assert!(waits.end(&mut row, now));
        assert_eq!(row.status, AgentStatus::Running);
        assert!(!waits.end(&mut row, now));
    }

    #[test]
    fn a_status_that_was_changed_meanwhile_stays() {
        let (mut waits, mut row, now) = (Waits::default(), agent("a", "s"), Time::default());
        waits.begin(&mut row, now);
        row.status = AgentStatus::Paused;
        assert!(!waits.end(&mut row, now));
        assert_eq!(row.status, AgentStatus::Paused);
    }

    proptest! {
        /// Against a plain list: whoever put a row in first keeps it until it goes.
        #[test]
        fn a_row_is_its_owners(steps in prop::collection::vec((0..4u8, 0..6u8, 0..3u8), 0..80)) {
            let (mut rows, mut model) = (Rows::default(), BTreeMap::new());
            for (what, id, owner) in steps {
                let (id, owner) = (id.to_string(), owner.to_string());
                let known: Option<String> = model.get(&id).cloned();
                match what {
                    0 | 1 => {
                        let put = rows.put(agent(&id, &owner)).is_ok();
                        prop_assert_eq!(put, known.is_none_or(|known| known == owner));
                        if put {
                            model.insert(id, owner);
                        }
                    }
                    2 => {
                        let expected = match known {
                            None => Err(Refused::Unknown("agent")),
                            Some(known) if known != owner => Err(Refused::Owned("agent")),
                            Some(_) => Ok(()),
                        };
                        prop_assert_eq!(rows.remove(&id, &owner).map(drop), expected);
                        if expected.is_ok() {
                            model.remove(&id);
                        }
                    }
                    _ => {
                        let left = rows.take_owned(&owner).len();
                        let before = model.len();
                        model.retain(|_, known| *known != owner);
                        prop_assert_eq!(left, before - model.len());
                    }
                }
                prop_assert_eq!(rows.all().len(), model.len());
            }
        }
    }
}
