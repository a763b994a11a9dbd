//! Whether a URL may be called: when it is registered, by its spelling, and when it is connected to, by
//! every address that its name resolves to.

use std::net::IpAddr;

use carport_core::{RpcError, codes};
use thiserror::Error;

use crate::{
    address::is_blocked,
    allow::AllowList,
    target::{BadUrl, Target},
};

/// Whether whoever asks says that a host that nobody allowed may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// It does, or none is needed.
    Given,
    /// It does not.
    Missing,
}

impl Consent {
    /// What an `allow...` of a call means.
    pub const fn given(given: bool) -> Self {
        if given { Self::Given } else { Self::Missing }
    }
}

/// Why a URL may not be called.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// It is no URL to call.
    #[error("{0}")]
    BadUrl(#[from] BadUrl),
    /// `http` to a host that is not allowed by name.
    #[error("must be https: add `{0}` to `a2a.allow` to call it over http")]
    Plain(String),
    /// The host is of this machine or its network.
    #[error(
        "leads to `{0}`, which is of this machine or its network: add it to `a2a.allow` if it is meant"
    )]
    Blocked(String),
    /// Nobody said that the host may be called.
    #[error(
        "leads to `{0}`, which is no known peer: register it, allow it in `a2a.allow`, or say that it may be called"
    )]
    Untrusted(String),
}

impl Refusal {
    /// The word of `data.reason`.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::BadUrl(_) | Self::Plain(_) => "bad_url",
            Self::Blocked(_) => "blocked_address",
            Self::Untrusted(_) => "untrusted_endpoint",
        }
    }

    /// The host, if there is one.
    pub fn host(&self) -> &str {
        match self {
            Self::BadUrl(_) => "",
            Self::Plain(host) | Self::Blocked(host) | Self::Untrusted(host) => host,
        }
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let why = refusal.to_string();
        Self::new(codes::POLICY, format!("the endpoint {why}"))
            .with("reason", refusal.reason())
            .with("host", refusal.host())
            .with("remedy", why)
    }
}

/// The rules for what is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Screen {
    allow: AllowList,
}

impl Screen {
    /// Rules with these hosts allowed by name.
    pub fn new(allow: AllowList) -> Self {
        Self { allow }
    }

    /// Judges a URL by its spelling, without asking what its name resolves to.
    ///
    /// # Errors
    /// Why it may not be called. Consent lifts only that a host is unknown.
    pub fn register(&self, url: &str, consent: Consent) -> Result<Target, Refusal> {
        let target = Target::parse(url)?;
        if self.allow.names(&target) {
            return Ok(target);
        }
        let host = target.host();
        if target.address().is_some_and(is_blocked) || is_local_name(&host) {
            return Err(Refusal::Blocked(host));
        }
        if !target.is_https() {
            return Err(Refusal::Plain(host));
        }
        match consent {
            Consent::Given => Ok(target),
            Consent::Missing => Err(Refusal::Untrusted(host)),
        }
    }

    /// Whether a target is allowed by name, so that it may be connected to wherever it leads.
    pub fn names(&self, target: &Target) -> bool {
        self.allow.names(target)
    }

    /// Judges the addresses that a target's name resolved to. A host that is allowed by name may have
    /// any; of another one every address has to be in bounds, or one answer could hide the other.
    ///
    /// # Errors
    /// One of them is of this machine or its network.
    pub fn connect(&self, target: &Target, resolved: &[IpAddr]) -> Result<(), Refusal> {
        match self.allow.names(target) {
            true => Ok(()),
            false => self.in_bounds(target.host(), resolved),
        }
    }

    /// As [`Self::connect`], of a host that is not allowed by name: for the moment of connecting, when the port is
    /// not known.
    ///
    /// # Errors
    /// One of the addresses is of this machine or its network.
    pub fn connect_host(&self, host: &str, resolved: &[IpAddr]) -> Result<(), Refusal> {
        self.in_bounds(host.trim_end_matches('.').to_ascii_lowercase(), resolved)
    }

    fn in_bounds(&self, host: String, resolved: &[IpAddr]) -> Result<(), Refusal> {
        let out_of_bounds = |it: &IpAddr| is_blocked(*it) && !self.allow.holds(*it);
        match resolved.iter().any(out_of_bounds) {
            true => Err(Refusal::Blocked(host)),
            false => Ok(()),
        }
    }
}

/// Names that by their spelling are of this machine or its network.
fn is_local_name(host: &str) -> bool {
    let under = |suffix: &str| host.strip_suffix(suffix).is_some_and(|it| it.ends_with('.'));
    // The last two are metadata services of clouds.
    ["localhost", "metadata", "instance-data"].contains(&host)
        || ["localhost", "local", "internal"].into_iter().any(under)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(screen: &Screen, url: &str, consent: Consent) -> &'static str {
        screen.register(url, consent).err().map_or("passes", |it| it.reason())
    }

    #[test]
    fn spelling_decides_at_registration() {
        let screen = Screen::default();
        for url in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://metadata/",
            "https://INSTANCE-DATA./",
            "https://[::1]/",
            "https://169.254.169.254/",
            "https://[::ffff:10.0.0.1]/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "http://10.0.0.1/",
            "https://[64:ff9b::7f00:1]/",
        ] {
            assert_eq!(reason(&screen, url, Consent::Given), "blocked_address", "{url}");
        }
        assert_eq!(reason(&screen, "http://a.example/", Consent::Given), "bad_url");
        assert_eq!(reason(&screen, "gopher://a.example/", Consent::Given), "bad_url");
        assert_eq!(reason(&screen, "https://a.example/", Consent::Missing), "untrusted_endpoint");
        for url in ["https://a.example/", "https://localhost.example/", "https://notlocal/"] {
            assert_eq!(reason(&screen, url, Consent::Given), "passes", "{url}");
        }
    }

    #[test]
    fn a_name_on_the_list_needs_nothing_else() {
        let screen = Screen::new(AllowList::parse(&["localhost", "10.0.0.0/8"]).unwrap());
        assert_eq!(reason(&screen, "http://localhost:9/", Consent::Missing), "passes");
        assert_eq!(reason(&screen, "http://10.1.1.1/", Consent::Missing), "passes");
        assert_eq!(reason(&screen, "http://127.0.0.1/", Consent::Missing), "blocked_address");
    }

    #[test]
    fn every_resolved_address_counts() {
        let screen = Screen::new(AllowList::parse(&["db.example", "10.0.0.0/8"]).unwrap());
        let addresses = |all: &[&str]| all.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
        let (a, db) = ("https://a.example/", "https://db.example/");
        for (url, resolved, passes) in [
            (a, addresses(&["1.1.1.1"]), true),
            (a, addresses(&["1.1.1.1", "127.0.0.1"]), false),
            (a, addresses(&["::ffff:192.168.0.1"]), false),
            (a, addresses(&["10.2.3.4"]), true),
            (db, addresses(&["127.0.0.1"]), true),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(screen.connect(&target, &resolved).is_ok(), passes, "{url} {resolved:?}");
            let by_host = screen.connect_host(&target.host(), &resolved);
            assert_eq!(by_host.is_ok(), passes && url != db, "{url} {resolved:?}");
        }
    }
}
