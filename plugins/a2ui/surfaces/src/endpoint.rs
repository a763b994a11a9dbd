//! Endpoints of peers: which may be kept, and what of them is shown.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use thiserror::Error;
use url::{Host, Url};

/// The most bytes of an endpoint.
const MOST_BYTES: usize = 2048;

/// Why an endpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EndpointFault {
    /// It is no address that can be called.
    #[error(
        "an endpoint must be an https URL of at most 2048 bytes without user info and fragment"
    )]
    BadUrl,
    /// It leads into this machine or network.
    #[error(
        "`{0}` is an address of this machine, of a private network or of none; a peer must be elsewhere"
    )]
    Blocked(String),
    /// Nobody allowed it.
    #[error("nobody allowed `{0}`; say `allowUntrustedEndpoint: true` if you trust it")]
    Untrusted(String),
}

impl EndpointFault {
    /// The word for it on the wire.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::Blocked(_) => "blocked_address",
            Self::Untrusted(_) => "untrusted_endpoint",
        }
    }
}

/// An endpoint that may be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.shown()).finish()
    }
}

/// Where somebody is, with the query: it may hold a key, so this is compared and never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Whole(pub(crate) String);

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Whole(..)")
    }
}

impl Endpoint {
    /// Reads an endpoint, without judging where it leads.
    ///
    /// # Errors
    /// It is no http or https URL, too long, or has user info or a fragment.
    pub fn read(text: &str) -> Result<Self, EndpointFault> {
        let clean = text.len() <= MOST_BYTES && !text.contains(['\r', '\n', '\0']);
        let url = Url::parse(text).ok().filter(|_| clean).ok_or(EndpointFault::BadUrl)?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if web && plain { Ok(Self { url }) } else { Err(EndpointFault::BadUrl) }
    }

    /// All of it.
    pub fn full(&self) -> &str {
        self.url.as_str()
    }

    /// Origin and path: what may be shown.
    pub fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.into()
    }

    /// Its origin: whoever is there is at all of its paths.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// A text without what the query says: the query as it is written, and its values however they are.
    /// What has less than four bytes is no secret and goes only where it is the endpoint's query.
    pub fn without_query(&self, text: &str) -> String {
        let Some(query) = self.url.query().filter(|it| !it.is_empty()) else { return text.into() };
        let written = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |it| it.1));
        let read = self.url.query_pairs().map(|(_, value)| value.into_owned());
        let values = written.map(str::to_owned).chain(read).filter(|it| it.len() >= 4);
        let asked = text.replace(&format!("?{query}"), "?***");
        let whole = if query.len() >= 4 { asked.replace(query, "***") } else { asked };
        values.fold(whole, |text, value| text.replace(&*value, "***"))
    }
}

/// Judges an endpoint by its spelling, where no plugin that could call it does. Nothing is looked up.
///
/// # Errors
/// Which rule it breaks.
pub fn screen(endpoint: &Endpoint, allow_untrusted: bool) -> Result<(), EndpointFault> {
    let url = &endpoint.url;
    let host = url.host_str().unwrap_or_default().to_owned();
    let blocked = match url.host() {
        Some(Host::Ipv4(address)) => is_near_v4(address),
        Some(Host::Ipv6(address)) => is_near_v6(address),
        Some(Host::Domain(name)) => is_near_name(name),
        None => true,
    };
    match (blocked, url.scheme(), allow_untrusted) {
        (true, ..) => Err(EndpointFault::Blocked(host)),
        (_, "https", true) => Ok(()),
        (_, "https", false) => Err(EndpointFault::Untrusted(host)),
        _ => Err(EndpointFault::BadUrl),
    }
}

fn is_near_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ending = |suffix: &str| name.ends_with(suffix);
    name == "localhost"
        || [".localhost", ".local", ".internal"].into_iter().any(ending)
        || name.parse::<IpAddr>().is_ok()
}

/// Loopback, private, shared, link-local (metadata services are there), documentation, multicast and reserved.
fn is_near_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

/// The same, unique-local addresses, and IPv4 addresses in other clothes.
fn is_near_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inner = || {
        let [w, x] = g.to_be_bytes();
        let [y, z] = h.to_be_bytes();
        Ipv4Addr::new(w, x, y, z)
    };
    let mapped = (a, b, c, d, e) == (0, 0, 0, 0, 0) && (f == 0xffff || f == 0);
    let nat64 = (a, b) == (0x64, 0xff9b);
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || (a & 0xfe00) == 0xfc00
        || (a & 0xffc0) == 0xfe80
        || (a, b) == (0x2001, 0xdb8)
        || a == 0x2002
        || nat64
        || (mapped && is_near_v4(inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> &'static str {
        let judged = Endpoint::read(text).and_then(|it| screen(&it, true));
        judged.map_or_else(|fault| fault.reason(), |()| "ok")
    }

    #[test]
    fn endpoints_are_judged_by_spelling() {
        for good in [
            "https://agent.example.com/a2a",
            "https://93.184.215.14/",
            "https://[2606:4700::1]/x?k=1",
        ] {
            assert_eq!(judged(good), "ok", "{good}");
        }
        for near in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://localhost/",
            "https://a.LOCALHOST./",
            "https://10.1.2.3/",
            "https://169.254.169.254/",
            "https://100.64.0.1/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://printer.local/",
            "https://metadata.google.internal/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://192.0.2.1/",
            "https://[fe80::1]/",
            "https://[2001:db8::1]/",
        ] {
            assert_eq!(judged(near), "blocked_address", "{near}");
        }
        for bad in [
            "",
            "agent",
            "ftp://a.com/",
            "https://u:p@a.com/",
            "https://a.com/#x",
            "http://a.com/",
            "https://a.com/\n",
        ] {
            assert_eq!(judged(bad), "bad_url", "{bad}");
        }
        assert_eq!(judged(&format!("https://a.com/{}", "x".repeat(2048))), "bad_url");
    }

    #[test]
    fn an_endpoint_needs_consent_and_shows_no_query() {
        let endpoint = Endpoint::read("https://a.com/rpc?key=secret").unwrap();
        assert_eq!(screen(&endpoint, false).unwrap_err().reason(), "untrusted_endpoint");
        assert_eq!(endpoint.shown(), "https://a.com/rpc");
        assert_eq!(endpoint.full(), "https://a.com/rpc?key=secret");
        assert!(!format!("{endpoint:?}{:?}", Whole(endpoint.full().into())).contains("secret"));
        assert_eq!(format!("{endpoint:?}"), "Endpoint(\"https://a.com/rpc\")");
    }

    #[test]
    fn a_text_loses_what_the_query_says() {
        let endpoint = Endpoint::read("https://a.com/rpc?key=s%20cret&n=1&t0ken").unwrap();
        for (text, shown) in [
            (
                "no route to https://a.com/rpc?key=s%20cret&n=1&t0ken",
                "no route to https://a.com/rpc?***",
            ),
            ("key `s cret` is wrong", "key `***` is wrong"),
            ("key s%20cret, 1 try", "key ***, 1 try"),
            ("what is t0ken?", "what is ***?"),
        ] {
            assert_eq!(endpoint.without_query(text), shown);
        }
        assert_eq!(Endpoint::read("https://a.com/rpc?").unwrap().without_query("a"), "a");
        let short = Endpoint::read("https://a.com/rpc?k").unwrap();
        assert_eq!(short.without_query("ask https://a.com/rpc?k"), "ask https://a.com/rpc?***");
    }
}
