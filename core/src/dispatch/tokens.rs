//! The secrets that connections are checked against, and who holds which agent.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::{
    contract::{names::encode_name, service::ServiceKey, session::Session},
    wire::{error::Result, guarded::Guarded},
};

/// Where the secrets are. A file is read anew for every proof, so that a rotated token counts at
/// once.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    /// Makes a connection a client.
    pub client: Option<Token>,
    /// Makes a connection the host.
    pub host: Option<Token>,
    /// A directory of `ID.token` files that make a connection the agent `ID`; the id is encoded as
    /// [`encode_name`] does.
    pub agents: Option<PathBuf>,
}

/// One secret.
#[derive(Debug, Clone)]
pub enum Token {
    /// This text.
    Fixed(SecretString),
    /// What this file holds, white space at its ends aside.
    File(PathBuf),
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self::Fixed(text.into())
    }
}

impl Token {
    /// Whether `given` is the secret, in constant time for equal lengths. A file that cannot be
    /// read, or is empty, matches nothing.
    pub async fn matches(&self, given: &str) -> bool {
        match self {
            Self::Fixed(secret) => same(secret.expose_secret(), given),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => same(SecretString::from(text.trim()).expose_secret(), given),
                Err(_) => false,
            },
        }
    }
}

fn same(secret: &str, given: &str) -> bool {
    !secret.is_empty() && bool::from(secret.as_bytes().ct_eq(given.as_bytes()))
}

/// Vouches for agents. The host does not know what an agent is; the plugin that keeps them does.
pub const AGENT_AUTHORITY: ServiceKey<dyn AgentAuthority> = ServiceKey::named("agent-authority");

/// What an authority says about a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouch {
    /// The proof holds.
    Yes,
    /// The agent is known and the proof does not hold.
    No,
    /// No such agent here; somebody else may know it.
    Unknown,
}

/// Knows agents and their tokens.
#[async_trait]
pub trait AgentAuthority: Send + Sync {
    /// Whether `token` is the token of `agent`. An error is the answer to the proof, whatever it
    /// shows: this authority binds nobody now.
    async fn vouch(&self, agent: &str, token: &str) -> Result<Vouch>;

    /// Whether this authority knows `agent` at all.
    fn knows(&self, agent: &str) -> bool;

    /// The connection proved to be `agent` and holds its name. It may be narrowed here
    /// ([`Session::narrow`]). An error is the answer to the proof, and the name is free again.
    fn attach(&self, _agent: &str, _session: &Arc<Session>) -> Result<()> {
        Ok(())
    }
}

impl Tokens {
    /// Whether `token` is what `ID.token` holds.
    pub(crate) async fn agent_matches(&self, agent: &str, token: &str) -> bool {
        match (&self.agents, encode_name("agent_id", agent)) {
            (Some(directory), Ok(name)) => {
                Token::File(directory.join(format!("{name}.token"))).matches(token).await
            }
            _ => false,
        }
    }
}

/// Which connection is which agent: one at a time.
#[derive(Default)]
pub(crate) struct Claims(Guarded<HashMap<Arc<str>, Arc<Session>>>);

impl Claims {
    /// Gives `agent` to the session, unless another has it or the socket has already ended. One that was
    /// told to end has nothing any more, however long its client takes to see that.
    pub(crate) fn take(&self, agent: &Arc<str>, session: &Arc<Session>) -> bool {
        let mut claims = self.0.lock();
        let taken = claims
            .get(agent)
            .is_some_and(|holder| holder.serial() != session.serial() && holder.ending().is_none());
        if taken || session.is_closed() {
            return false;
        }
        claims.insert(agent.clone(), session.clone());
        true
    }

    /// The session is gone.
    pub(crate) fn free(&self, session: &Session) {
        self.0.lock().retain(|_, holder| holder.serial() != session.serial());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_file_is_read_for_every_proof() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth-token");
        let token = Token::File(path.clone());
        assert!(!token.matches("").await);
        std::fs::write(&path, "first\n").unwrap();
        assert!(token.matches("first").await);
        std::fs::write(&path, "second").unwrap();
        assert!(!token.matches("first").await);
        assert!(token.matches("second").await);
        std::fs::write(&path, "\n").unwrap();
        assert!(!token.matches("").await);
    }

    #[tokio::test]
    async fn white_space_around_a_proof_is_not_forgiven() {
        let token = Token::from("secret");
        for wrong in ["", " secret", "secret ", "secret\n", "Secret", "secre"] {
            assert!(!token.matches(wrong).await, "{wrong:?}");
        }
        assert!(token.matches("secret").await);
    }
}
