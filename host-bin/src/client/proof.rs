//! Who asks, and the token that proves it.

use std::{env, fmt, fs, path::Path};

use carport_core::{bounds, host::Authenticate};
use secrecy::{ExposeSecret, SecretString};

use super::locate::Located;
use crate::exit::{Code, Exit};

/// Who a connection wants to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// Anybody with the daemon token.
    Client,
    /// The operator, with the host token.
    Host,
    /// An agent, with a token of its own.
    Agent(String),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Host => f.write_str("host"),
            Self::Agent(id) => write!(f, "agent `{id}`"),
        }
    }
}

/// Reads an agent's id off the command line.
pub(crate) fn agent_id(text: &str) -> Result<String, String> {
    bounds::agent_id("agent id", text).map(|()| text.to_owned()).map_err(|error| error.message)
}

impl Role {
    /// The environment variables that hold the role's token, the first that is set counts.
    fn variables(&self) -> [&'static str; 2] {
        match self {
            Self::Client => ["CARPORT_TOKEN", "CAR_TOKEN"],
            Self::Host => ["CARPORT_HOST_TOKEN", "CAR_HOST_TOKEN"],
            Self::Agent(_) => ["CARPORT_AGENT_TOKEN", "CAR_AGENT_TOKEN"],
        }
    }

    /// The agent that the environment's token is for: another agent must not be shown it.
    fn is_meant(&self, variable: &str, var: &impl Fn(&str) -> Option<String>) -> bool {
        let Self::Agent(id) = self else { return true };
        let owner = variable.replace("_TOKEN", "_ID");
        var(&owner).is_none_or(|owner| owner == *id)
    }
}

/// A role's token, and where it is from. Never printed.
pub(crate) struct Proof {
    role: Role,
    token: Option<SecretString>,
    source: String,
}

impl Proof {
    /// The environment's token, else the file's of the state root that the daemon belongs to.
    pub(crate) fn find(role: &Role, located: &Located) -> Result<Self, Exit> {
        Self::choose(role, located, |name| env::var(name).ok().filter(|it| !it.is_empty()))
    }

    fn choose(
        role: &Role,
        located: &Located,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Exit> {
        for name in role.variables() {
            if role.is_meant(name, &var)
                && let Some(token) = var(name)
            {
                return Ok(Self {
                    role: role.clone(),
                    token: Some(token.into()),
                    source: name.into(),
                });
            }
        }
        let Some(root) = &located.root else {
            return Self::without_a_file(role, located);
        };
        let path = match role {
            Role::Client => root.auth_token(),
            Role::Host => root.host_token(),
            Role::Agent(id) => root.agent_token(id)?,
        };
        let source = path.display().to_string();
        match (read(&path), role) {
            (Ok(token), _) => Ok(Self { role: role.clone(), token: Some(token), source }),
            // A daemon may ask its clients for nothing, and then there is no token to find.
            (Err(_), Role::Client) => Ok(Self { role: role.clone(), token: None, source }),
            (Err(why), Role::Host) => {
                Err(Exit::new(Code::Denied, format!("no host token: {source}: {why}")))
            }
            (Err(why), Role::Agent(id)) => {
                let remedy = format!("`carport token agent {id}` mints one");
                Err(Exit::new(Code::Denied, format!("no token: {source}: {why}; {remedy}")))
            }
        }
    }

    fn without_a_file(role: &Role, located: &Located) -> Result<Self, Exit> {
        let [name, _] = role.variables();
        match role {
            Role::Client => {
                Ok(Self { role: role.clone(), token: None, source: format!("{name} (not set)") })
            }
            _ => Err(Exit::new(
                Code::Denied,
                format!(
                    "no token for the role {role} at {}: that is not the daemon of this state \
                     root, so set {name}",
                    located.address
                ),
            )),
        }
    }

    /// The parameters of `session.auth`.
    pub(crate) fn params(&self) -> Authenticate {
        let token = self.token.as_ref().map(|token| token.expose_secret().to_owned());
        match &self.role {
            Role::Client => Authenticate { token, ..Authenticate::default() },
            Role::Host => Authenticate { host_token: token, ..Authenticate::default() },
            Role::Agent(id) => {
                Authenticate { token, agent_id: Some(id.clone()), ..Authenticate::default() }
            }
        }
    }

    /// Where the token is from.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

fn read(path: &Path) -> Result<SecretString, String> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err("is empty".into()),
        Ok(text) => Ok(text.trim().into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::locate::Address, daemon::root::StateRoot};

    struct Scene {
        dir: tempfile::TempDir,
        located: Located,
    }

    fn scene() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(dir.path())).unwrap();
        fs::create_dir_all(dir.path().join("run/agents")).unwrap();
        fs::write(root.auth_token(), "of-clients\n").unwrap();
        fs::write(root.host_token(), "of-the-host").unwrap();
        fs::write(root.agent_token("a").unwrap(), "of-a").unwrap();
        let located = Located { address: Address::Unix("/s".into()), root: Some(root) };
        Scene { dir, located }
    }

    #[expect(clippy::needless_pass_by_value, reason = "short calls in tests")]
    fn found(role: Role, located: &Located, vars: &[(&str, &str)]) -> Result<Authenticate, Exit> {
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Proof::choose(&role, located, var).map(|proof| proof.params())
    }

    #[test]
    fn each_role_has_its_own_file() {
        let Scene { dir: _dir, located } = scene();
        let client = found(Role::Client, &located, &[]).unwrap();
        assert_eq!(client.token.as_deref(), Some("of-clients"));
        let host = found(Role::Host, &located, &[]).unwrap();
        assert_eq!((host.token, host.host_token.as_deref()), (None, Some("of-the-host")));
        let agent = found(Role::Agent("a".into()), &located, &[]).unwrap();
        assert_eq!((agent.token.as_deref(), agent.agent_id.as_deref()), (Some("of-a"), Some("a")));
    }

    #[test]
    fn the_environment_wins_and_its_own_names_before_those_of_car() {
        let Scene { dir: _dir, located } = scene();
        let both = [("CAR_TOKEN", "car"), ("CARPORT_TOKEN", "own"), ("CAR_HOST_TOKEN", "host")];
        let client = found(Role::Client, &located, &both).unwrap();
        assert_eq!(client.token.as_deref(), Some("own"));
        let host = found(Role::Host, &located, &both).unwrap();
        assert_eq!(host.host_token.as_deref(), Some("host"));
    }

    #[test]
    fn an_agents_token_is_not_shown_as_another_agents() {
        let Scene { dir: _dir, located } = scene();
        let vars = [("CARPORT_AGENT_ID", "b"), ("CARPORT_AGENT_TOKEN", "of-b")];
        let token = |id: &str| found(Role::Agent(id.into()), &located, &vars).map(|it| it.token);
        assert_eq!(token("b").unwrap().as_deref(), Some("of-b"));
        assert_eq!(token("a").unwrap().as_deref(), Some("of-a"));
        let exit = token("c").unwrap_err();
        assert_eq!(exit.code, Code::Denied);
        assert!(exit.message.contains("carport token agent c"), "{}", exit.message);
    }

    #[test]
    fn a_daemon_named_by_hand_is_shown_no_file() {
        let Scene { dir: _dir, mut located } = scene();
        located.root = None;
        assert_eq!(found(Role::Client, &located, &[]).unwrap().token, None);
        let exit = found(Role::Host, &located, &[]).unwrap_err();
        assert_eq!(exit.code, Code::Denied);
        assert!(exit.message.contains("CARPORT_HOST_TOKEN"), "{}", exit.message);
    }
}
