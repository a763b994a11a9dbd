//! What can be wrong with a configuration.

use std::{fmt, io, path::PathBuf};

use crate::exit::Exit;

/// One thing that is wrong, in one line that says where it was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The file is there and cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    /// The file is no TOML.
    #[error("{from}: {why}")]
    Syntax { from: String, why: String },
    /// A variable that is no text.
    #[error("the environment variable {0} is not UTF-8")]
    NotText(String),
    /// A section or key that nobody reads.
    #[error("{from}: there is no {}{}", Named(path), Meant(nearest.as_deref()))]
    Unknown { from: String, path: Vec<String>, nearest: Option<String> },
    /// A section of a plugin that was left out of the build.
    #[error(
        "{from}: section [{id}] is for the plugin `{id}`, which is not in this build: build it \
             with the feature `{id}`, or remove the section"
    )]
    Absent { from: String, id: String },
    /// A key of a plugin that has no settings.
    #[error("{from}: the plugin `{id}` has no settings: remove the section [{id}]")]
    Settled { from: String, id: String },
    /// A value instead of a section.
    #[error("{from}: `{key}` is a table: write it as [{key}] with its keys below")]
    NoTable { from: String, key: String },
    /// A value of the wrong type or out of bounds.
    #[error("{from}: {why}")]
    Value { from: String, why: String },
    /// Two owners of one section.
    #[error("the plugin `{0}` has the name of a section of the daemon: rename it (`Plugin::ID`)")]
    SectionTaken(&'static str),
}

impl Fault {
    pub(crate) fn unknown(from: String, path: &[String], nearest: Option<&str>) -> Self {
        let (_, above) = path.split_last().unwrap_or((&String::new(), &[]));
        let whole = |last: &str| super::dotted(&[above, &[last.to_owned()]].concat());
        Self::Unknown { from, path: path.to_vec(), nearest: nearest.map(whole) }
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        Self::usage(format!("configuration: {fault}"))
    }
}

/// A section in brackets, a key in back quotes.
struct Named<'a>(&'a [String]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [section] => write!(f, "section or key `{section}`"),
            path => write!(f, "key `{}`", super::dotted(path)),
        }
    }
}

struct Meant<'a>(Option<&'a str>);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, "; the nearest is `{nearest}`"),
            None => Ok(()),
        }
    }
}
