//! What a child finds in its environment.

use std::collections::BTreeMap;

use crate::{spec::AgentSpec, supervisor::Inherit};

/// Names of the basic set; those that end with `*` are beginnings.
const BASIC: [&str; 15] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Names that no child inherits, also when it inherits everything or asks for them.
const NEVER: [&str; 3] = ["CARPORT_*", "CAR_AUTH_TOKEN", "CAR_HOST_TOKEN"];

/// The environment of a child: what it inherits of `daemon`, then `pass_env`, then `env`, then who it
/// is. Of two values the later one counts. Sorted by name.
pub fn child_environment(
    inherit: Inherit,
    daemon: &BTreeMap<String, String>,
    spec: &AgentSpec,
    identity: Vec<(String, String)>,
) -> BTreeMap<String, String> {
    let mut environment = inherited_environment(inherit, daemon, &spec.pass_env, &spec.env);
    environment.extend(identity);
    environment
}

/// The environment of a process that is told nothing of itself: what it inherits of `daemon`, then
/// what is `passed` by name, then what is `set`.
pub fn inherited_environment(
    inherit: Inherit,
    daemon: &BTreeMap<String, String>,
    passed: &[String],
    set: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let inherited = daemon.iter().filter(|(name, _)| match inherit {
        Inherit::Basic => is_among(&BASIC, name),
        Inherit::All => !is_among(&NEVER, name),
    });
    let passed = passed.iter().filter(|name| !is_among(&NEVER, name));
    let passed = passed.filter_map(|name| daemon.get_key_value(name));
    let all = inherited.chain(passed).chain(set);
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// This process's own environment, less what is not UTF-8.
pub fn own_environment() -> BTreeMap<String, String> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn is_among(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => *pattern == name,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(inherit: Inherit) -> BTreeMap<String, String> {
        let daemon = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("SECRET", "s"),
            ("WANTED", "w"),
            ("CARPORT_TOKEN", "t"),
            ("CAR_HOST_TOKEN", "t"),
            ("CAR_AGENT_ID", "the daemon's"),
        ];
        let daemon = daemon.map(|(name, value)| (name.into(), value.into())).into();
        let spec = serde_json::from_value(json!({
            "id": "a", "command": "/bin/true",
            "pass_env": ["WANTED", "UNSET", "CAR_HOST_TOKEN", "CARPORT_TOKEN"], "env": {"PATH": "/own"},
        }));
        let identity = vec![("CAR_AGENT_ID".into(), "a".into())];
        child_environment(inherit, &daemon, &spec.unwrap(), identity)
    }

    #[test]
    fn a_child_gets_the_basic_set_what_it_asks_for_and_who_it_is() {
        let expected = [("CAR_AGENT_ID", "a"), ("LC_ALL", "C"), ("PATH", "/own"), ("WANTED", "w")];
        assert_eq!(of(Inherit::Basic), expected.map(|(n, v)| (n.into(), v.into())).into());
    }

    #[test]
    fn also_a_child_that_inherits_all_gets_no_token_of_the_daemon() {
        let all = of(Inherit::All);
        assert_eq!(all["SECRET"], "s");
        assert_eq!(all["CAR_AGENT_ID"], "a");
        assert!(!all.contains_key("CARPORT_TOKEN") && !all.contains_key("CAR_HOST_TOKEN"));
    }
}
