//! A URL that something is to be sent to.

use std::{fmt, net::IpAddr};

use thiserror::Error;
use url::{Host, Url};

/// Bytes of a URL.
pub const MAX_URL_BYTES: usize = 2048;

/// What is wrong with a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadUrl {
    /// It is no URL.
    #[error("is not an absolute URL")]
    Malformed,
    /// It is longer than 2048 bytes, by itself or as it is sent.
    #[error(
        "must have at most {MAX_URL_BYTES} bytes, also with what is not ASCII written in ASCII"
    )]
    TooLong,
    /// Neither `http` nor `https`.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// It holds a name or a password.
    #[error("must hold no user name and no password: give credentials beside it")]
    UserInfo,
    /// It has a fragment.
    #[error("must have no fragment")]
    Fragment,
    /// It holds a control character.
    #[error("must hold no control character")]
    Control,
}

/// A URL that something is to be sent to: `http` or `https`, without user info and fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target(Url);

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        if text.len() > MAX_URL_BYTES {
            return Err(BadUrl::TooLong);
        }
        if text.bytes().any(|it| it.is_ascii_control()) {
            return Err(BadUrl::Control);
        }
        let url = Url::parse(text).map_err(|_| BadUrl::Malformed)?;
        // What is kept is read again as it is sent.
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(BadUrl::TooLong);
        }
        if !["http", "https"].contains(&url.scheme()) {
            return Err(BadUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(BadUrl::Fragment);
        }
        match url.host() {
            Some(_) => Ok(Self(url)),
            None => Err(BadUrl::Malformed),
        }
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme and host in lower case, no default port, no trailing slash.
    pub fn canonical(&self) -> String {
        let text = self.0.as_str();
        match self.0.query() {
            None => text.trim_end_matches('/').to_owned(),
            Some(_) => text.to_owned(),
        }
    }

    /// Whether it is TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host in lower case, without a trailing dot; IPv6 without brackets.
    pub fn host(&self) -> String {
        match self.0.host() {
            Some(Host::Domain(name)) => name.trim_end_matches('.').to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => String::new(),
        }
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }

    /// The port, said or by default.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Whether it names no more than an origin, so that a card has to say what is posted to.
    pub fn is_bare(&self) -> bool {
        matches!(self.0.path(), "" | "/") && self.0.query().is_none()
    }

    /// Whether both are of one scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// Another path of the same origin.
    pub fn at(&self, path: &str) -> Self {
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(None);
        Self(url)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Only the host: a path or query may hold a secret.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}:{})", self.host(), self.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_target_says_why() {
        for (text, why) in [
            ("", BadUrl::Malformed),
            ("/a", BadUrl::Malformed),
            ("ftp://a.example/", BadUrl::Scheme),
            ("file:///etc/passwd", BadUrl::Scheme),
            ("https://me@a.example/", BadUrl::UserInfo),
            ("https://me:pw@a.example/", BadUrl::UserInfo),
            ("https://a.example/#x", BadUrl::Fragment),
            ("https://a.example/\r\nX: y", BadUrl::Control),
            ("https://a.example/\0", BadUrl::Control),
            (&format!("https://a.example/{}", "x".repeat(2048)), BadUrl::TooLong),
            (&format!("https://a.example/{}", "\u{e9}".repeat(400)), BadUrl::TooLong),
        ] {
            assert_eq!(Target::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn one_place_has_one_spelling() {
        for (text, canonical) in [
            ("HTTPS://A.Example:443/", "https://a.example"),
            ("http://a.example:80/x/", "http://a.example/x"),
            ("https://a.example:8443", "https://a.example:8443"),
            ("https://a.example/?q=/", "https://a.example/?q=/"),
            ("http://2130706433/", "http://127.0.0.1"),
            ("http://0x7f.1/", "http://127.0.0.1"),
        ] {
            assert_eq!(Target::parse(text).unwrap().canonical(), canonical);
        }
        let target = Target::parse("https://a.example./x?y").unwrap();
        assert_eq!((target.host().as_str(), target.is_bare()), ("a.example", false));
        assert!(target.same_origin(&target.at("/.well-known/agent-card.json")));
        let other = Target::parse("https://a.example:444/").unwrap();
        assert!(!target.same_origin(&other) && other.is_bare());
    }
}
