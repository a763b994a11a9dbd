//! What a manifest says about a process, as the spec that is supervised.

use carport_agents_process::AgentSpec;
use carport_core::{Result, RpcError};
use serde_json::json;

use crate::manifest::AgentManifest;

impl AgentManifest {
    /// The spec of what is to run; `None` if nothing is that the daemon starts. What a manifest has no
    /// word for stays as it is `stored`: an operator's allow list outlives a new release.
    pub fn spec(&self, stored: Option<&AgentSpec>) -> Result<Option<AgentSpec>> {
        let transport = &self.transport;
        if transport.command.is_none() && transport.interpreter.is_none() {
            return Ok(None);
        }
        let fresh: AgentSpec =
            serde_json::from_value(json!({ "id": self.agent.id })).map_err(RpcError::internal)?;
        let backoff_secs = transport.backoff_secs.unwrap_or(fresh.backoff_secs);
        let mut spec = stored.cloned().unwrap_or(fresh);
        spec.name = Some(self.agent.name.clone());
        spec.command = transport.command.clone();
        spec.interpreter = transport.interpreter.clone();
        spec.args = transport.args.clone();
        spec.cwd = transport.cwd.clone();
        spec.env = transport.env.clone();
        spec.restart = transport.restart;
        spec.max_restarts = transport.max_restarts;
        spec.backoff_secs = backoff_secs;
        spec.auto_start = transport.auto_start;
        Ok(Some(spec))
    }
}
