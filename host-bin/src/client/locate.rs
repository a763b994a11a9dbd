//! Where the daemon is: what was named, else what the state root says.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use tokio_tungstenite::tungstenite::http::Uri;

use crate::{
    cli::Global,
    daemon::{endpoint::Endpoint, root::StateRoot},
    exit::{Code, Exit},
};

/// A place that a daemon listens at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// `ws://HOST:PORT/...`
    Tcp {
        /// As it was given.
        url: String,
        /// Without the brackets of an IPv6 address.
        host: String,
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { url, .. } => f.write_str(url),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// Reads `ws://HOST[:PORT][/...]` or `unix:PATH`; `source` names where the text is from.
    pub(crate) fn parse(text: &str, source: &str) -> Result<Self, Exit> {
        let wrong = |why: &str| Exit::usage(format!("{source} `{text}`: {why}"));
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            return match path.is_absolute() {
                true => Ok(Self::Unix(path.to_owned())),
                false => Err(wrong("a socket needs an absolute path")),
            };
        }
        let uri: Uri = text.parse().map_err(|_| wrong("not a URL"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("ws"), Some(host)) if !host.is_empty() => Ok(Self::Tcp {
                url: text.to_owned(),
                host: host.trim_matches(['[', ']']).to_owned(),
                port: uri.port_u16().unwrap_or(80),
            }),
            (Some("wss"), _) => Err(wrong("this build speaks no TLS; use ws:// or unix:PATH")),
            _ => Err(wrong("use ws://HOST:PORT or unix:PATH")),
        }
    }

    fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Tcp { host, port, .. },
                Self::Tcp { host: other_host, port: other_port, .. },
            ) => (host, port) == (other_host, other_port),
            (one, other) => one == other,
        }
    }
}

/// A daemon's address, and whether the token files of the state root are meant for it.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) address: Address,
    /// The state root of this daemon. Tokens on disk are secrets between it and its own daemon, so
    /// a daemon that was named by hand is shown only tokens that were given by hand.
    pub(crate) root: Option<StateRoot>,
}

impl Located {
    /// `--url` or `CARPORT_URL`, else `CAR_DAEMON_URL`, else `run/endpoint.json` of the state root.
    pub(crate) fn find(global: &Global) -> Result<Self, Exit> {
        let car = env::var("CAR_DAEMON_URL").ok();
        let named = match (&global.url, &car) {
            (Some(url), _) => Some((url.as_str(), "--url or CARPORT_URL")),
            (None, Some(url)) if !url.is_empty() && global.state_root.is_none() => {
                Some((url.as_str(), "CAR_DAEMON_URL"))
            }
            _ => None,
        };
        let root = StateRoot::resolve(global.state_root.as_deref());
        match named {
            None => Self::of_root(&root?),
            Some((url, source)) => {
                let address = Address::parse(url, source)?;
                // A state root that cannot be resolved or read has no tokens to offer.
                let known = root.ok().and_then(|root| Some((Endpoint::read(&root).ok()??, root)));
                Ok(Self::named(address, known))
            }
        }
    }

    /// The daemon that holds this state root.
    pub(crate) fn of_root(root: &StateRoot) -> Result<Self, Exit> {
        match Endpoint::read(root)? {
            Some(endpoint) => Ok(Self { address: preferred(&endpoint)?, root: Some(root.clone()) }),
            None => Err(Exit::new(
                Code::NoDaemon,
                format!(
                    "no daemon: {} is not there; start one with `carport serve`, or name one with \
                     --url",
                    root.endpoint().display()
                ),
            )),
        }
    }

    fn named(address: Address, known: Option<(Endpoint, StateRoot)>) -> Self {
        let root = known.and_then(|(endpoint, root)| {
            let places = [socket(&endpoint), Address::parse(&endpoint.url, "endpoint.json").ok()];
            places.iter().flatten().any(|place| place.same_place(&address)).then_some(root)
        });
        Self { address, root }
    }
}

/// The Unix socket, which only this user can hold, else TCP. Never both: once a daemon is gone, its
/// port may be anybody's, and whoever listens there would be shown a token.
fn preferred(endpoint: &Endpoint) -> Result<Address, Exit> {
    match socket(endpoint) {
        Some(socket) => Ok(socket),
        None => Address::parse(&endpoint.url, "the url of run/endpoint.json"),
    }
}

fn socket(endpoint: &Endpoint) -> Option<Address> {
    endpoint.socket.clone().map(Address::Unix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(socket: Option<&str>) -> Endpoint {
        Endpoint {
            url: "ws://127.0.0.1:9170".into(),
            socket: socket.map(PathBuf::from),
            pid: 1,
            started_at: Default::default(),
        }
    }

    fn parse(text: &str) -> Result<Address, String> {
        Address::parse(text, "--url").map_err(|exit| exit.message)
    }

    #[test]
    fn an_address_is_a_web_socket_url_or_a_socket_path() {
        let tcp = |url: &str, host: &str, port| {
            Ok(Address::Tcp { url: url.into(), host: host.into(), port })
        };
        assert_eq!(parse("ws://127.0.0.1:9170"), tcp("ws://127.0.0.1:9170", "127.0.0.1", 9170));
        assert_eq!(parse("ws://[::1]:9/x"), tcp("ws://[::1]:9/x", "::1", 9));
        assert_eq!(parse("ws://name"), tcp("ws://name", "name", 80));
        assert_eq!(parse("unix:/run/c.sock"), Ok(Address::Unix("/run/c.sock".into())));
        assert_eq!(parse("unix:///run/c.sock"), Ok(Address::Unix("/run/c.sock".into())));
        for (text, why) in [
            ("wss://example.org", "TLS"),
            ("http://127.0.0.1:9170", "ws://"),
            ("127.0.0.1:9170", "ws://"),
            ("unix:relative", "absolute"),
            ("ws://", "--url"),
            ("", "--url"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(why) && message.contains("--url"), "{message}");
        }
    }

    #[test]
    fn the_socket_is_preferred_to_the_port() {
        assert_eq!(preferred(&endpoint(Some("/s"))).unwrap(), Address::Unix("/s".into()));
        assert!(matches!(preferred(&endpoint(None)).unwrap(), Address::Tcp { port: 9170, .. }));
    }

    #[test]
    fn tokens_on_disk_are_for_the_daemon_that_wrote_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(dir.path())).unwrap();
        let offers = |url: &str| {
            let known = Some((endpoint(Some("/s")), root.clone()));
            Located::named(parse(url).unwrap(), known).root.is_some()
        };
        assert!(offers("ws://127.0.0.1:9170"));
        assert!(offers("ws://127.0.0.1:9170/"));
        assert!(offers("unix:/s"));
        assert!(!offers("ws://127.0.0.1:9171"));
        assert!(!offers("ws://example.org:9170"));
        assert!(!offers("unix:/other"));
        assert!(Located::named(parse("unix:/s").unwrap(), None).root.is_none());
    }

    #[test]
    fn without_a_daemon_the_file_and_the_remedy_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(dir.path())).unwrap();
        let exit = Located::of_root(&root).unwrap_err();
        assert_eq!(exit.code, Code::NoDaemon);
        assert!(exit.message.contains("run/endpoint.json"), "{}", exit.message);
        assert!(exit.message.contains("carport serve"), "{}", exit.message);
    }
}
