//! Vouches for agents of the manifest, binds their connections and narrows them.

use std::sync::Arc;

use async_trait::async_trait;
use carport_agents_process::AgentSpec;
use carport_core::{AgentAuthority, AllowedMethods, ManifestRole, Result, Session, Vouch};

use crate::{keeping::Keeping, roster::Roster, tokens::AgentTokens};

/// What an agent's connection may always do beside saying who it is.
const ALWAYS: &str = "agent.chat.event";

pub(crate) struct Authority {
    pub(crate) roster: Arc<Roster>,
    pub(crate) tokens: AgentTokens,
    pub(crate) keeping: Arc<Keeping>,
}

#[async_trait]
impl AgentAuthority for Authority {
    async fn vouch(&self, agent: &str, token: &str) -> Vouch {
        if self.keeping.role() == ManifestRole::Observer {
            // Only to say why a right token binds nothing here.
            let tokens = AgentTokens::new(self.keeping.home().join("run/agents"));
            return match tokens.matches(agent, token).await {
                true => Vouch::Yes,
                false => Vouch::Unknown,
            };
        }
        match (self.knows(agent), self.tokens.matches(agent, token).await) {
            (true, true) => Vouch::Yes,
            (true, false) => Vouch::No,
            (false, _) => Vouch::Unknown,
        }
    }

    fn knows(&self, agent: &str) -> bool {
        self.roster.get(agent).is_some()
    }

    fn attach(&self, agent: &str, session: &Arc<Session>) -> Result<()> {
        self.keeping.refuse_observer()?;
        if let Some(managed) = self.roster.get(agent) {
            narrow(session, &managed.spec);
        }
        self.roster.attach(agent, session);
        Ok(())
    }
}

/// Lets a connection call what its agent's spec allows.
pub(crate) fn narrow(session: &Session, spec: &AgentSpec) {
    let always = || [ALWAYS.to_owned()];
    let allowed = spec.method_allowlist.clone();
    session.narrow(allowed.map(|names| AllowedMethods::new(names.into_iter().chain(always()))));
}
