//! The tokens of agents: a private file each, minted once, kept for as long as the agent is.

use std::{io, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carport_core::{RpcError, Token, encode_name};

use crate::files;

/// How many random bytes a token has.
const BYTES: usize = 32;

/// `run/agents`, where the token of agent `ID` is `ID.token`, the id encoded as a file name.
#[derive(Debug, Clone)]
pub(crate) struct AgentTokens(PathBuf);

impl AgentTokens {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn path(&self, id: &str) -> io::Result<PathBuf> {
        let invalid = |error: RpcError| io::Error::new(io::ErrorKind::InvalidInput, error);
        Ok(self.0.join(format!("{}.token", encode_name("id", id).map_err(invalid)?)))
    }

    /// Mints the token of an agent unless it has one.
    pub(crate) fn mint(&self, id: &str) -> io::Result<()> {
        if self.exists(id) {
            return Ok(());
        }
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        files::create(&self.path(id)?, URL_SAFE_NO_PAD.encode(bytes).as_bytes()).map(drop)
    }

    /// Whether an agent has a token.
    pub(crate) fn exists(&self, id: &str) -> bool {
        self.path(id).is_ok_and(|path| path.exists())
    }

    /// The token itself, for the environment of the agent's own process.
    pub(crate) fn read(&self, id: &str) -> io::Result<String> {
        Ok(std::fs::read_to_string(self.path(id)?)?.trim().to_owned())
    }

    /// Whether `given` is the token of this agent, in constant time.
    pub(crate) async fn matches(&self, id: &str, given: &str) -> bool {
        match self.path(id) {
            Ok(path) => Token::File(path).matches(given).await,
            Err(_) => false,
        }
    }

    /// Takes an agent's token back.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        files::remove(&self.path(id)?).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_token_is_minted_once_private_and_gone_when_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = AgentTokens::new(dir.path().to_owned());
        tokens.mint("Builder").unwrap();
        let path = dir.path().join("%42uilder.token");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let token = tokens.read("Builder").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(&token).unwrap().len(), BYTES);
        tokens.mint("Builder").unwrap();
        assert_eq!(tokens.read("Builder").unwrap(), token);
        assert!(tokens.matches("Builder", &token).await);
        tokens.mint("other").unwrap();
        assert!(!tokens.matches("other", &token).await && !tokens.matches("Builder", "").await);
        tokens.remove("Builder").unwrap();
        tokens.remove("Builder").unwrap();
        assert!(!tokens.matches("Builder", &token).await);
    }
}
