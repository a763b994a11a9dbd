//! Hosts that an operator allows by name.

use std::net::IpAddr;

use thiserror::Error;

use crate::{address::in_block, target::Target};

/// Hosts, hosts with a port, suffixes and blocks of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Host(String, Option<u16>),
    /// Everything that ends with it; it begins with a dot.
    Suffix(String),
    Block(IpAddr, u8),
}

/// An entry that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not `host`, `host:port`, `*.suffix` or a block such as `10.0.0.0/8`")]
pub struct BadEntry(String);

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(suffix) = text.strip_prefix('*') {
            let named = suffix.starts_with('.') && is_name(&suffix[1..]);
            return named.then(|| Self::Suffix(suffix.to_owned()));
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Block(address, bits));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Host(address.to_string(), None));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (text.as_str(), None),
        };
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        match bare {
            Some(bare) => Some(Self::Host(bare.parse::<IpAddr>().ok()?.to_string(), port)),
            None => is_name(host).then(|| Self::Host(host.to_owned(), port)),
        }
    }

    fn fits(&self, target: &Target) -> bool {
        let host = target.host();
        match self {
            Self::Host(name, port) => *name == host && port.is_none_or(|it| it == target.port()),
            Self::Suffix(suffix) => target.address().is_none() && host.ends_with(suffix),
            Self::Block(block, bits) => {
                target.address().is_some_and(|it| in_block(it, *block, *bits))
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
    !text.is_empty() && text.chars().all(letter) && !text.starts_with('.')
}

impl AllowList {
    /// Reads entries.
    ///
    /// # Errors
    /// The first one that is none.
    pub fn parse<T: AsRef<str>>(entries: &[T]) -> Result<Self, BadEntry> {
        let read = |text: &T| Entry::parse(text.as_ref()).ok_or(BadEntry(text.as_ref().into()));
        Ok(Self(entries.iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Whether the host of a target is allowed by name.
    pub fn names(&self, target: &Target) -> bool {
        self.0.iter().any(|entry| entry.fits(target))
    }

    /// Whether an address is in an allowed block.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.0.iter().any(|entry| match entry {
            Entry::Block(block, bits) => in_block(address, *block, *bits),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_fit_what_they_name() {
        let entries = ["localhost", "[::1]", "127.0.0.1:9", "*.corp.example", "10.0.0.0/8"];
        let list = AllowList::parse(&entries).unwrap();
        for (url, fits) in [
            ("http://localhost:1/", true),
            ("http://LOCALHOST./", true),
            ("http://[::1]:7/", true),
            ("http://127.0.0.1:9/", true),
            ("http://127.0.0.1:10/", false),
            ("http://a.corp.example/", true),
            ("http://corp.example/", false),
            ("http://evilcorp.example/", false),
            ("http://10.9.8.7/", true),
            ("http://11.0.0.1/", false),
        ] {
            assert_eq!(list.names(&Target::parse(url).unwrap()), fits, "{url}");
        }
        assert!(
            list.holds("10.1.1.1".parse().unwrap()) && !list.holds("127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for bad in ["", "*", "*x", "a b", "10.0.0.0/33", "host:port", "http://a/", "[::1", "a/b"] {
            assert!(AllowList::parse(&[bad]).is_err(), "{bad}");
        }
    }
}
