//! Which addresses others can reach, what a listener there needs, and whose it is.

use std::net::{IpAddr, SocketAddr};

use carport_core::{Caller, Identity, Result, RpcError, codes};

use super::auth::AuthMode;

/// Who starts or stops a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The daemon, as it is configured.
    Configuration,
    /// A connection with the host role.
    Host,
    /// A connection that is no agent's.
    Client,
    /// An agent.
    Agent,
}

impl By {
    pub(crate) fn of(caller: &Caller) -> Self {
        match caller.identity() {
            Identity::Host => Self::Host,
            Identity::Agent(_) => Self::Agent,
            _ => Self::Client,
        }
    }

    /// Whether the operator did it.
    pub(super) const fn is_operator(self) -> bool {
        matches!(self, Self::Configuration | Self::Host)
    }
}

/// A listener as it is wished for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) bind: SocketAddr,
    pub(super) by: By,
    pub(super) auth: AuthMode,
    /// Whether there is a certificate.
    pub(super) tls: bool,
    /// Where clients reach it, as far as that was said.
    pub(super) public_url: &'a str,
    /// Whether messages are answered as conformance tests ask for.
    pub(super) test_executor: bool,
}

/// Whether others than this machine may reach an address. A wildcard is all addresses.
fn is_routable(address: IpAddr) -> bool {
    !address.to_canonical().is_loopback()
}

impl<'a> Wish<'a> {
    /// What is missing, and the remedy of each.
    fn missing(self) -> impl Iterator<Item = (&'static str, &'static str)> + use<'a> {
        let wildcard = self.bind.ip().to_canonical().is_unspecified();
        let needs = [
            (self.tls, "tls", "set `a2a.tls` with `cert` and `key` in the configuration"),
            (
                self.auth == AuthMode::Bearer,
                "auth",
                "have it ask for a token with `auth` \"bearer\"",
            ),
            (
                self.by.is_operator(),
                "host",
                "start it with the host role, or by `a2a.listen` in the configuration",
            ),
            (
                !self.public_url.is_empty() || !wildcard,
                "public_url",
                "say with `public_url` by which URL clients reach it, as a wildcard is no address of its own",
            ),
            (
                !self.public_url.get(..5).is_some_and(|it| it.eq_ignore_ascii_case("http:")),
                "public_url",
                "name an https URL with `public_url`, as by another one tokens would be sent in the clear",
            ),
            (!self.test_executor, "test_executor", "switch `a2a.test_executor` off"),
        ];
        let routable = is_routable(self.bind.ip());
        let missing = needs.into_iter().filter(move |(there, ..)| routable && !there);
        missing.map(|(_, what, remedy)| (what, remedy))
    }

    /// # Errors
    /// Policy: others can reach the address, and something that this needs is missing.
    pub(super) fn check(self) -> Result<()> {
        let (missing, remedies): (Vec<_>, Vec<_>) = self.missing().unzip();
        if missing.is_empty() {
            return Ok(());
        }
        let (bind, remedy) = (self.bind, remedies.join("; "));
        let why = format!(
            "{bind} is no loopback address, so others can reach it: bind one such as 127.0.0.1, or {remedy}"
        );
        let error = RpcError::new(codes::POLICY, why).with("reason", "routable");
        Err(error.with("missing", missing).with("remedy", remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_this_machine_alone_is_routable() {
        for (address, routable) in [
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", true),
            ("::", true),
            ("::ffff:0.0.0.0", true),
            ("10.0.0.1", true),
            ("192.168.1.1", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("8.8.8.8", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("::7f00:1", true),
        ] {
            assert_eq!(is_routable(address.parse().unwrap()), routable, "{address}");
        }
    }

    fn wish(bind: &str) -> Wish<'static> {
        Wish {
            bind: bind.parse().unwrap(),
            by: By::Host,
            auth: AuthMode::Bearer,
            tls: true,
            public_url: "",
            test_executor: false,
        }
    }

    #[test]
    fn exactly_what_is_missing_is_told() {
        let whole = wish("10.0.0.1:80");
        let nothing = Wish { by: By::Client, auth: AuthMode::None, tls: false, ..whole };
        let wildcard = Wish { bind: "0.0.0.0:80".parse().unwrap(), ..whole };
        let wildcard6 = Wish { bind: "[::ffff:0.0.0.0]:80".parse().unwrap(), ..whole };
        for (wish, expected) in [
            (whole, &[][..]),
            (Wish { by: By::Configuration, ..whole }, &[]),
            (Wish { by: By::Client, ..whole }, &["host"]),
            (Wish { by: By::Agent, ..whole }, &["host"]),
            (Wish { auth: AuthMode::None, ..whole }, &["auth"]),
            (Wish { tls: false, ..whole }, &["tls"]),
            (Wish { test_executor: true, ..whole }, &["test_executor"]),
            (nothing, &["tls", "auth", "host"]),
            (wildcard, &["public_url"]),
            (wildcard6, &["public_url"]),
            (Wish { public_url: "https://a.example", ..wildcard }, &[]),
            (Wish { public_url: "HTTP://a.example", ..whole }, &["public_url"]),
            (Wish { bind: wildcard.bind, ..nothing }, &["tls", "auth", "host", "public_url"]),
            (Wish { bind: "127.0.0.1:80".parse().unwrap(), test_executor: true, ..nothing }, &[]),
            (Wish { bind: "[::1]:80".parse().unwrap(), ..nothing }, &[]),
        ] {
            let missing: Vec<_> = wish.missing().map(|(what, _)| what).collect();
            assert_eq!(missing, expected, "{wish:?}");
            assert_eq!(wish.check().is_ok(), expected.is_empty(), "{wish:?}");
        }
        let error = Wish { tls: false, ..whole }.check().unwrap_err();
        let remedy = error.data.as_ref().unwrap()["remedy"].as_str().unwrap();
        assert!(remedy.contains("`a2a.tls`") && !remedy.contains("bearer"), "{remedy}");
        assert!(error.message.contains(remedy), "{}", error.message);
    }
}
