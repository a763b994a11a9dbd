//! Which version of A2A a call is in: by the spelling of its method, and over HTTP by a header.

use crate::error::{A2aError, Kind};

/// A version of the protocol that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Version {
    /// v0.3.
    #[serde(rename = "0.3")]
    V03,
    /// v1.0.
    #[serde(rename = "1.0")]
    V1,
}

impl Version {
    /// As the header and cards say it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::V03 => "0.3",
            Self::V1 => "1.0",
        }
    }

    /// Reads the value of the header `A2A-Version`; nothing is 0.3. Digits after the first dot do not
    /// matter.
    ///
    /// # Errors
    /// Version not supported: it is neither 0.x nor 1.x.
    pub fn of_header(value: Option<&str>) -> Result<Self, A2aError> {
        let value = value.map_or("", str::trim);
        if value.is_empty() {
            return Ok(Self::V03);
        }
        let mut numbers = value.split('.');
        let number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next());
        let whole = minor.is_some_and(number) && numbers.all(number);
        match major {
            "0" if whole => Ok(Self::V03),
            "1" if whole => Ok(Self::V1),
            _ => {
                let shown: String = value.chars().take(32).collect();
                Err(unsupported(format!("A2A-Version `{shown}`")))
            }
        }
    }
}

fn unsupported(what: impl std::fmt::Display) -> A2aError {
    let why = format!("Version not supported: {what}; served are 1.0 and 0.3");
    A2aError::new(Kind::VersionNotSupported, why).with("supported", "1.0, 0.3")
}

/// How a method's name is written, which says the version of what goes in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `SendMessage`.
    Pascal,
    /// `message/send`.
    Slash,
}

impl Spelling {
    /// That of a name.
    pub fn of(method: &str) -> Self {
        match method.contains('/') {
            true => Self::Slash,
            false => Self::Pascal,
        }
    }

    /// The version of its shapes.
    pub const fn version(self) -> Version {
        match self {
            Self::Pascal => Version::V1,
            Self::Slash => Version::V03,
        }
    }
}

/// What the header must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRules {
    /// Whether a name of v1.0 needs the header.
    pub require: bool,
}

impl VersionRules {
    /// The version of a call over HTTP: name and header have to agree.
    ///
    /// # Errors
    /// Version not supported, with the versions that are.
    pub fn admit(self, method: &str, header: Option<&str>) -> Result<Version, A2aError> {
        let spelled = Spelling::of(method).version();
        let silent = header.is_none_or(|value| value.trim().is_empty());
        let said = Version::of_header(header)?;
        if spelled == said || (silent && spelled == Version::V1 && !self.require) {
            return Ok(spelled);
        }
        let what = match spelled {
            Version::V1 => format!("`{method}` needs `A2A-Version: 1.0`"),
            Version::V03 => format!("`{method}` is a method of 0.3"),
        };
        Err(unsupported(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(method: &str, header: Option<&str>, require: bool) -> Option<Version> {
        match (VersionRules { require }).admit(method, header) {
            Ok(version) => Some(version),
            Err(error) => {
                assert_eq!(error.kind(), Kind::VersionNotSupported);
                assert!(error.message().contains("1.0 and 0.3"), "{error}");
                None
            }
        }
    }

    #[test]
    fn name_and_header_agree() {
        let (v1, v03) = (Some(Version::V1), Some(Version::V03));
        for (header, pascal, slash) in [
            (None, None, v03),
            (Some(""), None, v03),
            (Some("0.3"), None, v03),
            (Some("0.3.9"), None, v03),
            (Some("1.0"), v1, None),
            (Some(" 1.0 "), v1, None),
            (Some("1.0.7"), v1, None),
            (Some("1.1"), v1, None),
            (Some("99.0"), None, None),
            (Some("1"), None, None),
            (Some("1."), None, None),
            (Some("1.x"), None, None),
            (Some("10.0"), None, None),
            (Some("-1.0"), None, None),
        ] {
            assert_eq!(outcome("SendMessage", header, true), pascal, "{header:?}");
            assert_eq!(outcome("message/send", header, true), slash, "{header:?}");
        }
    }

    #[test]
    fn only_an_absent_header_may_be_forgiven() {
        assert_eq!(outcome("SendMessage", None, false), Some(Version::V1));
        assert_eq!(outcome("SendMessage", Some(""), false), Some(Version::V1));
        assert_eq!(outcome("SendMessage", Some("0.3"), false), None);
        assert_eq!(outcome("message/send", Some("1.0"), false), None);
    }
}
