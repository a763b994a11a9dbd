//! Where a listener is, who it says it is, and which hosts and origins it answers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use carport_a2a_api::Executor;
use carport_core::{Result, RpcError};
use hyper::Uri;

use super::auth::AuthMode;
use crate::executor::Shared;

/// What one listener was started with.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// Where clients reach it, without a slash at its end; empty until it is bound.
    pub(crate) public_url: String,
    pub(crate) auth: AuthMode,
    pub(crate) agent_name: Option<String>,
    pub(crate) agent_description: Option<String>,
    pub(crate) organization: Option<String>,
    pub(crate) organization_url: Option<String>,
    /// The addresses and names of the header `Host` that are answered beside loopback ones.
    pub(crate) hosts: Vec<String>,
    /// The connection whose runtime peers work with, if it is not the daemon's own for them.
    pub(crate) shared: Option<Arc<Shared>>,
}

/// Reads `host:port`, where the host is an address or `localhost`.
pub(crate) fn parse_bind(text: &str) -> Result<SocketAddr> {
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    address.parse().map_err(|_| {
        let why =
            "must be `host:port` with an address or `localhost` as the host, such as `127.0.0.1:0`";
        RpcError::invalid_params("bind", why)
    })
}

/// The host of a URL or of a header, in lower case, without port and brackets.
pub(super) fn host_of(authority: &str) -> Option<String> {
    let uri: Uri = authority.parse().ok()?;
    let host = uri.authority()?.host().trim_start_matches('[').trim_end_matches(']');
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

impl Place {
    /// Checks a public URL: `http` or `https`, a host, and nothing behind the path.
    pub(crate) fn check_public_url(url: &str) -> Result<()> {
        let plain = |uri: &Uri| {
            let http = matches!(uri.scheme_str(), Some("http" | "https"));
            http && uri.authority().is_some_and(|it| !it.as_str().contains('@'))
                && uri.query().is_none()
        };
        match url.parse::<Uri>() {
            Ok(uri) if url.len() <= 2048 && !url.contains('#') && plain(&uri) => Ok(()),
            _ => {
                let why = "must be an http or https URL without user info, query and fragment";
                Err(RpcError::invalid_params("public_url", why))
            }
        }
    }

    /// What does the turns of messages that come here; `None`: what does all others.
    pub(crate) fn executor(&self) -> Option<Arc<dyn Executor>> {
        self.shared.clone().map(|shared| shared as Arc<dyn Executor>)
    }

    /// The place once it is bound.
    pub(super) fn at(mut self, bound: SocketAddr, tls: bool) -> Self {
        if self.public_url.is_empty() {
            let scheme = if tls { "https" } else { "http" };
            self.public_url = format!("{scheme}://{bound}");
        }
        self.public_url.truncate(self.public_url.trim_end_matches('/').len());
        // A wildcard is nobody's name.
        let own = Some(bound.ip()).filter(|it| !it.is_unspecified()).map(|it| it.to_string());
        self.hosts = host_of(&self.public_url).into_iter().chain(own).collect();
        self
    }

    /// Whether a request for this host is meant for the listener. A page that had its own name resolve
    /// to this machine is not.
    pub(super) fn answers(&self, host: &str) -> bool {
        let Some(host) = host_of(host) else { return false };
        let loopback = host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback());
        loopback || host == "localhost" || self.hosts.contains(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(public_url: &str) -> Place {
        Place {
            public_url: public_url.into(),
            auth: AuthMode::None,
            agent_name: None,
            agent_description: None,
            organization: None,
            organization_url: None,
            hosts: Vec::new(),
            shared: None,
        }
    }

    #[test]
    fn only_its_own_names_are_answered() {
        let bound = "127.0.0.1:8000".parse().unwrap();
        let place = place("https://Agents.Example/a2a/").at(bound, false);
        assert_eq!(place.public_url, "https://Agents.Example/a2a");
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:9", "agents.example:443"]
        {
            assert!(place.answers(host), "{host}");
        }
        for host in ["evil.example", "", "localhost.evil.example", "10.0.0.1", "a b"] {
            assert!(!place.answers(host), "{host}");
        }
    }

    #[test]
    fn without_a_public_url_the_address_is_one() {
        for (bound, tls, url) in [
            ("127.0.0.1:80", false, "http://127.0.0.1:80"),
            ("10.0.0.1:443", true, "https://10.0.0.1:443"),
            ("[::1]:1", true, "https://[::1]:1"),
        ] {
            let place = place("").at(bound.parse().unwrap(), tls);
            assert_eq!(place.public_url, url);
            assert!(place.answers(bound), "{bound}");
        }
        for wildcard in ["0.0.0.0:443", "[::]:443"] {
            let place = place("https://agents.example").at(wildcard.parse().unwrap(), true);
            assert!(place.answers("agents.example") && place.answers("localhost"));
            assert!(!place.answers(wildcard), "{wildcard}");
        }
    }

    #[test]
    fn a_bind_is_an_address_and_a_port() {
        for good in ["127.0.0.1:0", "localhost:80", "[::1]:0", "0.0.0.0:1"] {
            assert!(parse_bind(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1", "example.com:80", "localhost:", "127.0.0.1:70000", ":80"] {
            assert_eq!(parse_bind(bad).unwrap_err().field(), Some("bind"), "{bad}");
        }
    }

    #[test]
    fn a_public_url_is_plain() {
        for good in ["http://a.example", "https://a.example:8/x"] {
            assert!(Place::check_public_url(good).is_ok(), "{good}");
        }
        for bad in
            ["a.example", "ftp://a.example", "http://me@a.example", "http://a/?x", "http://a/#x"]
        {
            assert!(Place::check_public_url(bad).is_err(), "{bad}");
        }
    }
}
