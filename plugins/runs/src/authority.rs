//! Who may do what with a run. Pure.

use carport_core::{Identity, Result, RpcError};

/// Whether the caller is the run's own agent. A parameter never makes anyone an owner.
pub(crate) fn owns(identity: &Identity, agent_id: &str) -> bool {
    identity.agent_id() == Some(agent_id)
}

/// Whether the caller may read the runs of an agent: the agent itself, and the host. The core asks before
/// a method runs; this is asked of the very run whose data are handed out, which may be another by then.
pub(crate) fn read(identity: &Identity, agent_id: &str) -> Result<()> {
    match *identity == Identity::Host || owns(identity, agent_id) {
        true => Ok(()),
        false => Err(RpcError::forbidden("this belongs to another agent")),
    }
}

/// Whether the caller may write turns or resume: the agent itself, and nobody else. Whoever may read
/// every trace must not be able to forge one.
pub(crate) fn may_write(identity: &Identity, agent_id: &str) -> bool {
    owns(identity, agent_id)
}

/// Whether the caller may end the run: the agent itself, or the connection that the run is attached to.
pub(crate) fn may_complete(
    identity: &Identity,
    agent_id: &str,
    attached: Option<u64>,
    session: u64,
) -> bool {
    owns(identity, agent_id) || attached == Some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_of_writers() {
        let (owner, other) = (Identity::agent("a"), Identity::agent("b"));
        for (identity, attached, write, complete) in [
            (&owner, None, true, true),
            (&owner, Some(1), true, true),
            (&Identity::Client, Some(1), false, true),
            (&Identity::Client, Some(2), false, false),
            (&other, Some(2), false, false),
            (&other, None, false, false),
            (&Identity::Host, None, false, false),
            (&Identity::Host, Some(1), false, true),
        ] {
            assert_eq!(may_write(identity, "a"), write, "{identity:?}");
            assert_eq!(may_complete(identity, "a", attached, 1), complete, "{identity:?}");
            let reads = *identity == Identity::Host || *identity == owner;
            assert_eq!(read(identity, "a").is_ok(), reads, "{identity:?}");
        }
    }
}
