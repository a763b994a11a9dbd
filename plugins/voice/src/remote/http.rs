//! Requests to a provider: one client without redirects, its key, and what its refusals mean.

use std::{future::Future, net::IpAddr, time::Duration};

use carport_core::Result as Answer;
use carport_voice_api::{Cancel, Failure, FailureKind, Out, Sound, Unready};
use reqwest::{
    Body, Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::{ProviderSettings, pcm::Pieces, secret::SecretRef, waiting::unless_cancelled, wrong};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an answer that is text.
#[cfg(feature = "openai-http")]
const MOST_TEXT: usize = 1 << 20;
/// Bytes of a refusal that are looked at.
const MOST_REFUSAL: usize = 16 * 1024;
/// Samples of one speech: an hour at 24 kHz.
const MOST_SAMPLES: usize = 3600 * 24_000;
/// The longest wait that a provider may ask for: a day.
const MOST_WAIT_SECS: u64 = 86_400;

/// How a key is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyHeader {
    /// `authorization: Bearer KEY`.
    #[cfg(feature = "openai-http")]
    Bearer,
    /// `xi-api-key: KEY`.
    #[cfg(feature = "elevenlabs")]
    Xi,
}

/// A service that is asked over HTTP. Its methods that wait run on a provider's own thread.
pub(crate) struct Remote {
    /// Its id, for messages.
    pub(crate) name: String,
    client: Client,
    /// Without `/` at the end.
    base: String,
    key: Option<SecretRef>,
    header: KeyHeader,
    pub(crate) timeout: Duration,
    pub(crate) runtime: Handle,
}

impl Remote {
    /// Reaches nothing yet. Called inside the runtime that requests run on.
    pub(crate) fn new(
        name: &str,
        settings: &ProviderSettings,
        usual: &str,
        header: KeyHeader,
    ) -> Answer<Self> {
        let base = settings.base_url.as_deref().unwrap_or(usual).trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base).to_owned();
        check_address(name, &base, settings.key.is_some())?;
        let timeout = Duration::from_secs(settings.timeout_secs);
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(timeout)
            .build()
            .map_err(|_| wrong(name, "base_url", "needs TLS, which could not be set up here"))?;
        let key = settings.key.as_deref().and_then(SecretRef::parse);
        let (name, runtime) = (name.to_owned(), Handle::current());
        Ok(Self { name, client, base, key, header, timeout, runtime })
    }

    /// Whether its key is there.
    pub(crate) fn ready(&self) -> Result<(), Unready> {
        self.key.as_ref().map_or(Ok(()), |key| key.read().map(drop))
    }

    /// A request with the key, to a path that begins with `/`.
    pub(crate) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let Some(key) = &self.key else { return Ok(request) };
        let key = key.read().map_err(|it| Failure::new(FailureKind::Auth, it.remedy))?;
        let (header, text) = match self.header {
            #[cfg(feature = "openai-http")]
            KeyHeader::Bearer => ("authorization", format!("Bearer {}", key.expose_secret())),
            #[cfg(feature = "elevenlabs")]
            KeyHeader::Xi => ("xi-api-key", key.expose_secret().to_owned()),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            let why = format!("the key of `{}` holds bytes that no header takes", self.name);
            Failure::new(FailureKind::Auth, why)
        })?;
        value.set_sensitive(true);
        Ok(request.header(HeaderName::from_static(header), value))
    }

    /// A request with a JSON body.
    pub(crate) fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<RequestBuilder, Failure> {
        let request = self.request(Method::POST, path)?;
        Ok(request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_string())))
    }

    /// Sends a request; what is no success is a failure.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let mut response = request.send().await.map_err(|error| self.broke(&error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let retry_after_ms = wait(response.headers());
        let is_spent = status == StatusCode::UNAUTHORIZED && {
            // Some say that there is no credit as if it were a wrong key.
            let said = body(&mut response, MOST_REFUSAL).await.unwrap_or_default();
            String::from_utf8_lossy(&said).contains("quota_exceeded")
        };
        // What a service says of a refused key may hold the key, so none of its words are repeated.
        let (kind, why) = match status.as_u16() {
            401 if is_spent => (FailureKind::Limit, "has no credit left"),
            401 | 403 => (FailureKind::Auth, "refused its key"),
            402 => (FailureKind::Limit, "has no credit left"),
            429 => (FailureKind::Limit, "wants fewer requests"),
            300..=399 => (FailureKind::Failed, "sent us elsewhere, where we do not go"),
            _ => (FailureKind::Failed, "could not do what was asked"),
        };
        let message = format!("provider `{}` {why} (status {})", self.name, status.as_u16());
        Err(Failure { kind, message, retry_after_ms })
    }

    /// A whole answer that is text.
    #[cfg(feature = "openai-http")]
    pub(crate) async fn text(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let mut response = self.send(request).await?;
        match body(&mut response, MOST_TEXT).await {
            Ok(body) if body.len() <= MOST_TEXT => Ok(body),
            Ok(_) => Err(self.failed("answered with too much")),
            Err(error) => Err(self.broke(&error)),
        }
    }

    /// Hands on what is answered as 16-bit samples while it comes; whether more is wanted.
    pub(crate) fn speak(
        &self,
        request: RequestBuilder,
        cancel: &Cancel,
        out: Out<'_>,
    ) -> Result<bool, Failure> {
        let Some(response) = self.wait_for(cancel, self.send(request)) else { return Ok(false) };
        let mut response = response?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if kind.is_some_and(|it| it.starts_with("text/") || it.starts_with("application/json")) {
            return Err(self.failed("answered with text where sound was due"));
        }
        let (mut pieces, mut samples) = (Pieces::default(), 0);
        loop {
            let Some(next) = self.wait_for(cancel, response.chunk()) else { return Ok(false) };
            let Some(bytes) = next.map_err(|error| self.broke(&error))? else { break };
            if let Some(piece) = pieces.push(&bytes) {
                samples += piece.len();
                if samples > MOST_SAMPLES {
                    return Err(self.failed("speaks without end"));
                }
                if out(Sound::Samples(piece)).is_break() {
                    return Ok(false);
                }
            }
        }
        match pieces.finish() {
            None => Err(self.failed("broke off in the middle of a sample")),
            Some(rest) if rest.is_empty() && samples == 0 => {
                Err(self.failed("answered without sound"))
            }
            Some(rest) if rest.is_empty() => Ok(true),
            Some(rest) => Ok(out(Sound::Samples(rest)).is_continue()),
        }
    }

    /// `None` as soon as nobody wants it any more.
    fn wait_for<T>(&self, cancel: &Cancel, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(unless_cancelled(cancel, work))
    }

    /// A failure of no special kind; `why` goes on after the provider's name.
    pub(crate) fn failed(&self, why: &str) -> Failure {
        Failure::new(FailureKind::Failed, format!("provider `{}` {why}", self.name))
    }

    /// Our own words for an error, for those of the client show the address.
    pub(crate) fn broke(&self, error: &reqwest::Error) -> Failure {
        self.failed(if error.is_connect() {
            "could not be reached"
        } else if error.is_timeout() {
            "said nothing for too long"
        } else {
            "broke off"
        })
    }
}

/// The body, or as much of it as shows that it is longer than `most`.
async fn body(response: &mut Response, most: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(more) = response.chunk().await? {
        body.extend_from_slice(&more);
        if body.len() > most {
            break;
        }
    }
    Ok(body)
}

/// `Retry-After` in its form in seconds (RFC 9110, section 10.2.3), as milliseconds.
fn wait(headers: &HeaderMap) -> Option<u64> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<u64>().ok()?;
    Some(secs.min(MOST_WAIT_SECS) * 1000)
}

/// Refuses what is no address, and a key in the clear to another machine.
fn check_address(name: &str, base: &str, has_key: bool) -> Answer<()> {
    let url = Url::parse(base).ok().filter(|it| ["http", "https"].contains(&it.scheme()));
    let Some(url) = url.filter(|it| it.query().is_none() && it.fragment().is_none()) else {
        return Err(wrong(name, "base_url", "must be an address like `https://host/path`"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(name, "base_url", "must hold no password: use `key`"));
    }
    let host = url.host_str().unwrap_or_default();
    let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_here = host == "localhost" || ip.is_ok_and(|it| it.is_loopback());
    match url.scheme() == "http" && has_key && !is_here {
        true => Err(wrong(name, "base_url", "must be `https`, for a key is sent there")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_to_another_machine_under_tls_only() {
        for (base, has_key, fits) in [
            ("https://api.example.com", true, true),
            ("http://api.example.com", true, false),
            ("http://api.example.com", false, true),
            ("http://127.0.0.1:8000", true, true),
            ("http://[::1]:8000/x", true, true),
            ("http://127.0.0.1.example.com", true, false),
            ("https://me:secret@api.example.com", false, false),
            ("ftp://api.example.com", false, false),
            ("https://api.example.com?key=1", false, false),
            ("nothing", false, false),
        ] {
            let checked = check_address("x", base, has_key);
            assert_eq!(checked.is_ok(), fits, "{base}");
            assert!(checked.err().is_none_or(|it| !it.to_string().contains("secret")));
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_bounded() {
        let told = |text: &'static str| {
            wait(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!((told("7"), told("soon"), told("-1")), (Some(7000), None, None));
        assert_eq!(told("18446744073709551615"), Some(86_400_000));
    }
}
