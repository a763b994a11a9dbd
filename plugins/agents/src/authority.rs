//! Vouches for agents of the manifest, binds their connections and narrows them.

use std::sync::Arc;

use async_trait::async_trait;
use carport_agents_process::AgentSpec;
use carport_core::{
    AgentAuthority, AllowedMethods, ManifestRole, Result, RpcError, Session, Vouch,
};

use crate::{bundles::Denied, keeping::Keeping, roster::Roster, tokens::AgentTokens};

/// What an agent's connection may always do beside saying who it is.
const ALWAYS: &str = "agent.chat.event";

pub(crate) struct Authority {
    pub(crate) roster: Arc<Roster>,
    pub(crate) tokens: AgentTokens,
    pub(crate) keeping: Arc<Keeping>,
}

#[async_trait]
impl AgentAuthority for Authority {
    async fn vouch(&self, agent: &str, token: &str) -> Result<Vouch> {
        self.keeping.refuse_observer()?;
        let holds = self.tokens.matches(agent, token).await;
        // Who is bound is supervised: its spec says what it may call, and the list shows it.
        let unread = self.keeping.role() == ManifestRole::None;
        if holds && unread && self.keeping.is_written(agent).await? {
            self.keeping.own().await?;
        }
        Ok(match (self.knows(agent), holds) {
            (true, true) => Vouch::Yes,
            (true, false) => Vouch::No,
            (false, _) => Vouch::Unknown,
        })
    }

    fn knows(&self, agent: &str) -> bool {
        self.roster.get(agent).is_some()
    }

    fn attach(&self, agent: &str, session: &Arc<Session>) -> Result<()> {
        if !self.roster.attach(agent, session) && !self.tokens.exists(agent) {
            self.roster.detach(agent, session);
            return Err(RpcError::conflict(format!("agent `{agent}` was removed")));
        }
        Ok(())
    }
}

/// Lets a connection call what its agent's spec allows and its manifest does not deny.
pub(crate) fn narrow(session: &Session, spec: &AgentSpec, denied: Denied) {
    let always = || [ALWAYS.to_owned()];
    let only = spec.method_allowlist.clone();
    let only = only.map(|names| AllowedMethods::new(names.into_iter().chain(always())));
    session.narrow(match denied {
        Denied::All => Some(AllowedMethods::new(always())),
        Denied::Methods(denied) if denied.is_empty() => only,
        Denied::Methods(denied) => {
            Some(only.unwrap_or_default().except(denied.into_iter().map(str::to_owned)))
        }
    });
}
