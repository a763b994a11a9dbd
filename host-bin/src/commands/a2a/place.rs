//! Whom a command means, and the token that it shows there.

use std::{env, fs, io, path::Path};

use carport_a2a::ListPeers;
use carport_a2a_outbound::Target;
use secrecy::SecretString;

use crate::{client::link::Link, exit::Exit};

/// This daemon, in the place of a URL or a name.
const HERE: &str = ".";
/// Bytes of a token.
const TOKEN_BYTES: usize = 8 * 1024;

/// Whom a command means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This daemon, over its own connection.
    Here,
    /// An agent over HTTP.
    There(Target),
}

impl Place {
    /// `.`, a URL, or the name of a peer that this daemon knows.
    pub(super) async fn find(text: &str, link: &Link) -> Result<Self, Exit> {
        if text == HERE {
            return Ok(Self::Here);
        }
        if let Some(url) = url(text)? {
            return Ok(Self::There(url));
        }
        let known = link.call(ListPeers {}).await?.peers;
        let peer = known.into_iter().find(|it| it.slug == text).ok_or_else(|| unknown(text))?;
        let url = Target::parse(&peer.url);
        url.map(Self::There).map_err(|why| Exit::failed(format!("the URL of peer `{text}` {why}")))
    }
}

/// The URL, if the text is meant to be one.
pub(super) fn url(text: &str) -> Result<Option<Target>, Exit> {
    match text.contains("://") {
        false => Ok(None),
        true => match Target::parse(text) {
            Ok(url) => Ok(Some(url)),
            Err(why) => Err(Exit::usage(format!("the URL {why}"))),
        },
    }
}

/// There is no such peer.
pub(super) fn unknown(name: &str) -> Exit {
    Exit::failed(format!(
        "no such peer `{name}`; `carport a2a peers list` shows those that there are, and a URL begins with \
         https://"
    ))
}

/// Where a token is: never in the arguments, which everybody on the machine can read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct TokenFrom {
    /// Where the token for the agent is: `env:NAME`, `file:PATH`, or `-` for standard input
    #[arg(long, global = true, value_name = "WHERE")]
    token_from: Option<String>,
}

impl TokenFrom {
    /// Whether standard input holds it.
    pub(super) fn is_stdin(&self) -> bool {
        self.token_from.as_deref() == Some("-")
    }

    /// Reads the token, if there is to be one.
    pub(super) fn read(&self) -> Result<Option<SecretString>, Exit> {
        let Some(from) = &self.token_from else { return Ok(None) };
        let failed = |what: &str, why: &str| Exit::failed(format!("the token of {what} {why}"));
        let (what, text) = match from.split_once(':') {
            None if from == "-" => (
                "standard input".into(),
                io::read_to_string(io::stdin()).map_err(|it| it.to_string()),
            ),
            Some(("env", name)) => {
                (format!("${name}"), env::var(name).map_err(|_| "is not set".into()))
            }
            Some(("file", path)) => (
                path.to_owned(),
                fs::read_to_string(Path::new(path)).map_err(|it| format!("does not read: {it}")),
            ),
            // What stands there may be the token itself, so it is not repeated.
            _ => {
                return Err(Exit::usage(
                    "`--token-from` must be `env:NAME`, `file:PATH` or `-`; a token itself is never an argument",
                ));
            }
        };
        let text = text.map_err(|why: String| failed(&what, &why))?;
        match text.trim() {
            "" => Err(failed(&what, "is empty")),
            token if token.len() > TOKEN_BYTES => {
                Err(failed(&what, &format!("has more than {TOKEN_BYTES} bytes")))
            }
            token => Ok(Some(token.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::exit::Code;

    #[test]
    fn a_token_is_read_from_where_it_is_and_never_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        fs::write(&file, " s3cret\n").unwrap();
        let from = |text: &str| TokenFrom { token_from: Some(text.into()) }.read();
        let token = from(&format!("file:{}", file.display())).unwrap().unwrap();
        assert_eq!(token.expose_secret(), "s3cret");
        assert!(TokenFrom::default().read().unwrap().is_none());
        for literal in ["s3cret", "Bearer:s3cret", "s3cret:x"] {
            let exit = from(literal).unwrap_err();
            assert_eq!(exit.code, Code::Usage);
            assert!(!exit.message.contains("s3cret"), "{}", exit.message);
        }
        fs::write(&file, "\n").unwrap();
        assert!(
            from(&format!("file:{}", file.display())).unwrap_err().message.contains("is empty")
        );
        assert!(from("env:NO_SUCH_VARIABLE_HERE").unwrap_err().message.contains("is not set"));
        assert!(from("file:/no/such/file").unwrap_err().message.contains("does not read"));
    }

    #[test]
    fn what_is_meant_as_a_url_is_one() {
        assert!(url("https://a.example/x").unwrap().is_some());
        assert_eq!(url("a_example").unwrap(), None);
        let exit = url("ftp://a.example").unwrap_err();
        assert_eq!(
            (exit.code, &*exit.message),
            (Code::Usage, "the URL must begin with http:// or https://")
        );
    }
}
