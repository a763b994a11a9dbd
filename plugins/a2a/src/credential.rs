//! Credentials of peers: each goes to the origin that it was given for, and shows nowhere.

use std::fmt;

use carport_a2a_outbound::Target;
use carport_a2ui_api::RouteAuth;
use carport_core::{Result, RpcError};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// Shorter values are no secrets, and may stand in any text.
const SECRET_BYTES: usize = 8;
/// What stands in their place.
const STRUCK: &str = "***";

/// A credential, and the origin that it was given for.
#[derive(Clone)]
pub(crate) struct Credential {
    given_for: Target,
    name: HeaderName,
    value: HeaderValue,
    secret: SecretString,
}

/// Where it goes, and nothing of what it is.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("given_for", &self.given_for).finish_non_exhaustive()
    }
}

impl Credential {
    /// That of a call, given for the origin of `target`.
    ///
    /// # Errors
    /// Invalid parameters: it cannot be sent as a header. It is not repeated.
    pub(crate) fn of(auth: &RouteAuth, target: &Target) -> Result<Option<Self>> {
        let (name, text, secret) = match auth {
            RouteAuth::None => return Ok(None),
            RouteAuth::Bearer(token) => {
                (Ok(AUTHORIZATION), format!("Bearer {}", token.expose_secret()), token)
            }
            RouteAuth::Header { name, value } => {
                (HeaderName::try_from(name.as_str()), value.expose_secret().to_owned(), value)
            }
        };
        let wrong = || RpcError::invalid_params("routeAuth", "cannot be sent as a header");
        let name = name.map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(text).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(Some(Self { given_for: target.clone(), name, value, secret: secret.clone() }))
    }

    /// The header for a request to `target`; none for another origin than it was given for.
    pub(crate) fn header_for(&self, target: &Target) -> Option<(HeaderName, HeaderValue)> {
        let is_meant = target.same_origin(&self.given_for);
        is_meant.then(|| (self.name.clone(), self.value.clone()))
    }

    /// Strikes it from every text of what a peer answered, which may repeat what it was sent.
    pub(crate) fn strike(&self, answer: &mut Value) {
        let secret = self.secret.expose_secret();
        if secret.len() >= SECRET_BYTES {
            strike(answer, secret);
        }
    }
}

fn strike(value: &mut Value, secret: &str) {
    match value {
        Value::String(text) if text.contains(secret) => *text = text.replace(secret, STRUCK),
        Value::Array(items) => items.iter_mut().for_each(|it| strike(it, secret)),
        Value::Object(members) => {
            if members.keys().any(|key| key.contains(secret)) {
                let all = std::mem::take(members).into_iter();
                *members = all.map(|(key, it)| (key.replace(secret, STRUCK), it)).collect();
            }
            members.values_mut().for_each(|it| strike(it, secret));
        }
        _ => {}
    }
}

/// Reads the `routeAuth` of a call. What is wrong with it is told without it.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<RouteAuth, D::Error> {
    let sent = Value::deserialize(from)?;
    if sent.is_null() {
        return Ok(RouteAuth::None);
    }
    RouteAuth::deserialize(&sent).map_err(|_| {
        D::Error::custom(
            "must be {type: none}, {type: bearer, token} or {type: header, name, value}: a name that is an HTTP \
             token and not the transport's, and a value of 1..=8192 bytes without CR, LF, NUL",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cret-of-a";

    fn given_for(url: &str) -> Credential {
        let auth = read(json!({ "type": "header", "name": "X-Key", "value": SECRET })).unwrap();
        Credential::of(&auth, &Target::parse(url).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn it_goes_to_its_own_origin_only() {
        let credential = given_for("https://a.example/rpc");
        for (url, goes) in [
            ("https://a.example/", true),
            ("https://A.example:443/other?x", true),
            ("http://a.example/rpc", false),
            ("https://a.example:8443/rpc", false),
            ("https://a.example.evil.example/rpc", false),
            ("https://sub.a.example/rpc", false),
        ] {
            let header = credential.header_for(&Target::parse(url).unwrap());
            assert_eq!(header.is_some(), goes, "{url}");
        }
    }

    #[test]
    fn it_is_not_shown() {
        let credential = given_for("https://a.example/rpc");
        let header = credential.header_for(&credential.given_for);
        for shown in [format!("{credential:?}"), format!("{header:?}")] {
            assert!(!shown.contains(SECRET), "{shown}");
        }
        let mut answer =
            json!({ "a": [format!("you said {SECRET}!")], SECRET: { SECRET: 1 }, "n": 7 });
        credential.strike(&mut answer);
        assert_eq!(answer, json!({ "a": ["you said ***!"], "***": { "***": 1 }, "n": 7 }));
    }

    #[test]
    fn what_is_wrong_with_it_is_told_without_it() {
        for sent in [
            json!(SECRET),
            json!({ "type": SECRET }),
            json!({ "type": "bearer", "token": [SECRET] }),
            json!({ "type": "bearer", "token": format!("{SECRET}\r\nX: y") }),
            json!({ "type": "header", "name": "Host", "value": SECRET }),
            json!({ "type": "header", "name": "x y", "value": SECRET }),
        ] {
            let error = read(sent).unwrap_err().to_string();
            assert!(!error.contains(SECRET) && error.contains("bearer"), "{error}");
        }
        assert!(matches!(read(Value::Null), Ok(RouteAuth::None)));
        let control = RouteAuth::Bearer(format!("{SECRET}\u{1}").into());
        let error = Credential::of(&control, &Target::parse("https://a.example").unwrap());
        let error = error.unwrap_err();
        assert_eq!((error.code, error.field()), (-32602, Some("routeAuth")));
        assert!(!error.message.contains(SECRET));
    }
}
