//! `session.auth`: says who a connection is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HostMethods;
use crate::{
    contract::{
        access::{Access, Identity},
        bounds,
        caller::Caller,
        method::Method,
        names::encode_name,
        session::{Session, Standing},
    },
    dispatch::{
        config::AuthMode,
        tokens::{Token, Vouch},
    },
    wire::error::{Result, RpcError},
};

/// Proves who is calling: `token` alone makes a client, `token` with `agent_id` that agent,
/// `host_token` the host.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Authenticate {
    /// The daemon token, or the agent's own token.
    #[schemars(length(min = 1, max = 512))]
    pub token: Option<String>,
    /// The host token.
    #[schemars(length(min = 1, max = 512))]
    pub host_token: Option<String>,
    /// Which agent this is: `[A-Za-z0-9._-]`, not starting with a dot.
    #[schemars(length(min = 1, max = 128))]
    pub agent_id: Option<String>,
    /// The memory that this connection works on; says nothing about identity. Without control
    /// characters, and at most 200 bytes as the name of a file.
    #[schemars(length(min = 1, max = 256))]
    pub memory_namespace: Option<String>,
}

/// Who the connection is now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Authenticated {
    /// Always true.
    pub ok: bool,
    /// Whether the daemon asks for tokens at all.
    pub auth_enabled: bool,
    /// `client`, `agent` or `host`.
    pub role: String,
    /// The name of this connection.
    pub client_id: String,
    /// The agent, for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The memory that is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_namespace: Option<String>,
}

impl Method for Authenticate {
    const NAME: &'static str = "session.auth";
    const ACCESS: Access = Access::Public;
    const ORDERED: bool = true;
    type Plugin = HostMethods;
    type Reply = Authenticated;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("token", self.token.as_deref(), 1..=512)?;
        bounds::maybe_bytes("host_token", self.host_token.as_deref(), 1..=512)?;
        if let Some(namespace) = &self.memory_namespace {
            bounds::bytes("memory_namespace", namespace, 1..=256)?;
            let visible = |letter: char| !letter.is_control();
            bounds::letters("memory_namespace", namespace, "no control characters", visible)?;
            // It becomes the name of a file.
            encode_name("memory_namespace", namespace)?;
        }
        if let Some(agent) = &self.agent_id {
            bounds::agent_id("agent_id", agent)?;
            if self.host_token.is_some() {
                let why = "an agent's proof and the host token do not go together";
                return Err(RpcError::invalid_params("agent_id", why));
            }
        }
        Ok(())
    }

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<Authenticated> {
        let session = caller.session();
        let proved = match host.prove(&self).await {
            Ok(identity) => identity,
            Err(error) => {
                // Another error says nothing about the proof.
                if error.code == host.shared.settings.auth.failure_code {
                    session.standing(|standing| standing.failed_proofs += 1);
                    tracing::warn!(from = %session.origin(), client = session.id(), "a proof failed");
                }
                return Err(error);
            }
        };
        host.bind(session, proved, self.memory_namespace.as_deref())?;
        Ok(host.answer(session))
    }
}

/// Also about an agent that does not exist: a stranger learns nothing of which do.
const AGENT_HINT: &str = "`carport token agent ID` shows an agent's token";

impl HostMethods {
    /// The identity that the strongest proof given shows.
    async fn prove(&self, proof: &Authenticate) -> Result<Identity> {
        let Authenticate { token, host_token, agent_id, .. } = proof;
        match (host_token, agent_id, token) {
            (Some(given), _, _) => {
                self.check(&self.shared.tokens.host, given).await.map(|()| Identity::Host)
            }
            (None, Some(agent), token) => {
                let token = token.as_deref().unwrap_or_default();
                self.vouch(agent, token).await.map(|()| Identity::agent(agent))
            }
            (None, None, _) if self.auth_off() => Ok(Identity::Client),
            (None, None, Some(given)) => {
                self.check(&self.shared.tokens.client, given).await.map(|()| Identity::Client)
            }
            (None, None, None) => Err(self.mismatch("no token was given")),
        }
    }

    async fn check(&self, token: &Option<Token>, given: &str) -> Result<()> {
        match token {
            Some(token) if token.matches(given).await => Ok(()),
            _ => Err(self.mismatch("the daemon restarted or the token is another's")),
        }
    }

    /// Asks the authority first, then the token files of the state root.
    async fn vouch(&self, agent: &str, token: &str) -> Result<()> {
        let authority = match &self.authority {
            Some(authority) => Some(authority.vouch(agent, token).await?),
            None => None,
        };
        match authority {
            Some(Vouch::Yes) => Ok(()),
            Some(Vouch::No) => Err(self.mismatch(AGENT_HINT)),
            None if self.shared.tokens.agents.is_none() => {
                let remedy = "build with the `agents` feature or give the daemon a state root";
                Err(RpcError::unavailable("agents", remedy))
            }
            Some(Vouch::Unknown) | None => {
                match self.shared.tokens.agent_matches(agent, token).await {
                    true => Ok(()),
                    false => Err(self.mismatch(AGENT_HINT)),
                }
            }
        }
    }

    fn mismatch(&self, hint: &str) -> RpcError {
        let code = self.shared.settings.auth.failure_code;
        RpcError::new(code, format!("auth failed: token mismatch ({hint})"))
    }

    fn auth_off(&self) -> bool {
        self.shared.settings.auth.mode == AuthMode::Off
    }

    /// An identity rises once and a namespace is bound once; the same again changes nothing.
    fn bind(
        &self,
        session: &Arc<Session>,
        proved: Identity,
        namespace: Option<&str>,
    ) -> Result<()> {
        let before = session.identity();
        let identity = match (&before, proved) {
            (before, proved) if *before == proved => proved,
            (Identity::Nobody | Identity::Client, proved) if proved != Identity::Client => proved,
            (Identity::Nobody, proved) => proved,
            (before, proved) => {
                let (from, to) = (before.role(), proved.role());
                let why = format!("this connection is `{from}` and cannot become another `{to}`");
                return Err(RpcError::conflict(why));
            }
        };
        let bound = session.memory_namespace();
        if namespace.is_some() && bound.is_some() && bound.as_deref() != namespace {
            let why = "another memory namespace is bound to this connection";
            return Err(RpcError::conflict(why).with("field", "memory_namespace"));
        }
        if let Identity::Agent(agent) = &identity
            && !self.shared.claims.take(agent, session)
        {
            let why = format!("agent `{agent}` is already attached on another connection");
            return Err(RpcError::conflict(why));
        }
        if let (Identity::Agent(agent), Some(authority)) = (&identity, &self.authority)
            && identity != before
        {
            authority.attach(agent, session).inspect_err(|_| self.shared.claims.free(session))?;
        }
        session.standing(|standing: &mut Standing| {
            standing.identity = identity;
            if standing.memory_namespace.is_none() {
                standing.memory_namespace = namespace.map(Arc::from);
            }
        });
        Ok(())
    }

    fn answer(&self, session: &Session) -> Authenticated {
        let identity = session.identity();
        Authenticated {
            ok: true,
            auth_enabled: !self.auth_off(),
            role: identity.role().into(),
            client_id: session.id().into(),
            agent_id: identity.agent_id().map(str::to_owned),
            memory_namespace: session.memory_namespace().map(|it| it.to_string()),
        }
    }
}
