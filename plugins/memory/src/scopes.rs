//! Which graph a connection uses.

use carport_core::{Identity, Result, RpcError, Session};
use carport_memory_api::GraphRef;

use crate::config::{AgentNamespaces, Config, Unbound};

/// The graph of a connection with this identity: its namespace's, else its agent's, else what the
/// operator says of connections that are bound to nothing.
///
/// # Errors
/// Forbidden: an agent may not use this namespace.
pub(crate) fn graph_of(
    session: &Session,
    identity: &Identity,
    config: &Config,
) -> Result<GraphRef> {
    let agent = identity.agent_id();
    if let Some(namespace) = session.memory_namespace() {
        if let (AgentNamespaces::Own, Some(agent)) = (config.agent_namespaces, agent)
            && !namespace.strip_prefix(agent).is_some_and(|rest| rest.starts_with('/'))
        {
            let why = format!("agent `{agent}` may use namespaces that begin with `{agent}/` only");
            return Err(RpcError::forbidden(why));
        }
        return Ok(GraphRef::Namespace(namespace.to_string()));
    }
    Ok(match (agent, config.unbound) {
        (Some(agent), _) => GraphRef::Agent(agent.to_owned()),
        (None, Unbound::Session) => GraphRef::Session(session.id().to_owned()),
        (None, Unbound::Shared) => GraphRef::Shared,
    })
}
