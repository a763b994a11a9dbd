//! Who a request over HTTP is from.

use std::{collections::BTreeMap, path::PathBuf};

use carport_a2a_tasks::Caller;
use carport_core::{Result, RpcError, Token};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a request has to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// Nothing: whoever reaches the listener is one and the same caller.
    #[default]
    None,
    /// A token of `a2a.tokens`, or the daemon token, as `Authorization: Bearer`.
    Bearer,
}

/// The tokens that are known, by the name of whoever holds them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys(Vec<(String, Token)>);

/// The name of whoever holds the daemon token.
const DAEMON: &str = "daemon";

impl Keys {
    /// Reads references: `env:NAME` or `file:/PATH`.
    ///
    /// # Errors
    /// Internal: a name is taken, a reference malformed, or its variable not set. It names the key of the
    /// configuration and never a value.
    pub(crate) fn read(tokens: &BTreeMap<String, String>, daemon: Option<PathBuf>) -> Result<Self> {
        let mut keys: Vec<_> =
            daemon.map(|it| (DAEMON.to_owned(), Token::File(it))).into_iter().collect();
        for (name, reference) in tokens {
            let wrong = |why: &str| Err(RpcError::internal(format!("`a2a.tokens.{name}` {why}")));
            if name == DAEMON {
                return wrong("has the name of whoever shows the daemon token: choose another");
            }
            let token = match reference.split_once(':') {
                Some(("file", path)) if path.starts_with('/') => Token::File(path.into()),
                Some(("env", variable)) => match std::env::var(variable) {
                    Ok(value) => Token::from(value.as_str()),
                    Err(_) => return wrong("names a variable that is not set"),
                },
                _ => return wrong("must be `env:NAME` or `file:/PATH`"),
            };
            keys.push((name.clone(), token));
        }
        Ok(Self(keys))
    }

    /// Who shows this value of the header `Authorization`.
    pub(super) async fn holder(&self, authorization: &str) -> Option<Caller> {
        let (scheme, token) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        // All are compared, so that the time says nothing of which one it is.
        let mut holder = None;
        for (name, known) in &self.0 {
            if known.matches(token.trim()).await {
                holder.get_or_insert(name);
            }
        }
        holder.map(|name| Caller::peer(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_names_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let reference = format!("file:{}", path.display());
        let tokens = BTreeMap::from([("friend".to_owned(), reference)]);
        let keys = Keys::read(&tokens, Some(directory.path().join("absent"))).unwrap();
        let holder = async |value: &str| keys.holder(value).await.map(|it| it.name().to_owned());
        assert_eq!(holder("Bearer s3cret").await.as_deref(), Some("peer:friend"));
        assert_eq!(holder("bearer  s3cret ").await.as_deref(), Some("peer:friend"));
        for bad in ["", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Basic s3cret"] {
            assert_eq!(holder(bad).await, None, "{bad}");
        }
    }

    #[test]
    fn nobody_has_the_name_of_whoever_shows_the_daemon_token() {
        let tokens = BTreeMap::from([("daemon".to_owned(), "file:/a/token".to_owned())]);
        let error = Keys::read(&tokens, None).unwrap_err();
        assert!(error.message.contains("`a2a.tokens.daemon` has the name"), "{}", error.message);
    }

    #[test]
    fn a_malformed_reference_is_refused_without_its_value() {
        for bad in ["s3cret", "file:relative", "env:NO_SUCH_VARIABLE_HERE"] {
            let tokens = BTreeMap::from([("friend".to_owned(), bad.to_owned())]);
            let error = Keys::read(&tokens, None).unwrap_err();
            assert!(error.message.contains("a2a.tokens.friend"), "{}", error.message);
            assert!(!error.message.contains("s3cret"), "{}", error.message);
        }
    }
}
