//! An agent of others over HTTP, asked by this process and not by the daemon: for what the daemon's own connection
//! does not carry.

use std::time::Duration;

use carport_a2a_outbound::{
    self as outbound, Ask, Carrier, Failure, Reply, Request, Target, Unmet, find_card,
};
use carport_a2a_types::{StreamResponse, card::AgentCard, read::Read};
use carport_core::codes;
use reqwest::{
    Client,
    header::{AUTHORIZATION, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{answered, is_of_a2a};
use crate::{
    exit::{Code, Exit},
    output::one_line,
};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an agent may be silent; streams have a comment every few seconds.
const SILENCE: Duration = Duration::from_secs(60);

/// Why an agent's answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{}", told(.0, .1))]
    Failure(String, Failure),
    #[error("the agent at {0} says no more: it {1}")]
    Hushed(String, Unmet),
    #[error("a token is not sent in the clear: give an https URL instead of {0}")]
    Plain(String),
    #[error("the token cannot be sent: it holds a line end or another control character")]
    BadToken,
    #[error("{0}")]
    Setup(reqwest::Error),
}

fn told(url: &str, failure: &Failure) -> String {
    match failure {
        Failure::Unmet(unmet @ (Unmet::Unreachable | Unmet::Broken | Unmet::Late)) => {
            format!("no agent answers at {url}: it {unmet}")
        }
        Failure::Denied => {
            format!("{url} {failure}; `--token-from` says where its token is")
        }
        // Its own words, cut.
        Failure::Refused(error) => {
            format!("the agent {} ({})", one_line(&failure.to_string()), error.code)
        }
        failure => format!("{url} {failure}"),
    }
}

impl From<Fault> for Exit {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Failure(_, Failure::Refused(error))
                if !is_of_a2a(error) && error.code == codes::NOT_AUTHENTICATED =>
            {
                error.clone().into()
            }
            Fault::Failure(_, Failure::Refused(error)) => {
                Self { message: fault.to_string(), ..answered(error.clone()) }
            }
            Fault::Failure(_, Failure::Denied) => Self::new(Code::Denied, fault),
            Fault::Plain(_) => Self::usage(fault),
            _ => Self::failed(fault),
        }
    }
}

/// Names the place that a failure is of.
fn at(url: &Target) -> impl Fn(Failure) -> Fault {
    |failure| Fault::Failure(url.to_string(), failure)
}

/// Carries requests wherever the user says, with the token that is given for them.
struct Http {
    client: Client,
    authorization: Option<HeaderValue>,
}

impl Http {
    fn new(authorization: Option<HeaderValue>) -> Result<Self, Fault> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .build()
            .map_err(Fault::Setup)?;
        Ok(Self { client, authorization })
    }
}

fn unmet(error: &reqwest::Error) -> Unmet {
    match () {
        () if error.is_timeout() => Unmet::Late,
        () if error.is_connect() => Unmet::Unreachable,
        () => Unmet::Broken,
    }
}

impl Carrier for Http {
    async fn carry(&self, request: Request<'_>) -> Result<Reply, Unmet> {
        let url = request.to.url().clone();
        let mut sending = match request.body {
            None => self.client.get(url),
            Some(body) => {
                let post = self.client.post(url).body(body);
                let token = self.authorization.iter();
                token.fold(post, |post, value| post.header(AUTHORIZATION, value.clone()))
            }
        };
        for (name, value) in request.headers {
            sending = sending.header(name, value);
        }
        let response = sending.send().await.map_err(|error| unmet(&error))?;
        Ok(Reply::of(response, unmet))
    }
}

/// The card of an agent, and the same as it came.
pub(crate) async fn card(url: &Target) -> Result<(AgentCard, Value), Fault> {
    find_card(&Http::new(None)?, url).await.map_err(at(url))
}

/// An agent and where it is asked.
pub(crate) struct Agent(outbound::Agent<Http>);

impl Agent {
    /// Finds out where an agent is asked.
    ///
    /// # Errors
    /// There is no card, or one that leads elsewhere; the token may not be sent there.
    pub(crate) async fn find(url: &Target, token: Option<&SecretString>) -> Result<Self, Fault> {
        let http = Http::new(token.map(|token| header(url, token)).transpose()?)?;
        outbound::Agent::find(http, url).await.map(Self).map_err(at(url))
    }

    /// Asks for an answer.
    pub(crate) async fn call<T: Read>(&self, ask: &Ask<'_>) -> Result<T, Fault> {
        let answered = self.0.call(ask).await;
        answered.map(|(answer, _)| answer).map_err(at(self.0.posted()))
    }

    /// Asks for a stream, and tells what comes until it ends. One in which nothing comes is a failure.
    pub(crate) async fn stream(
        &self,
        ask: &Ask<'_>,
        mut tell: impl FnMut(StreamResponse) -> Result<(), Exit>,
    ) -> Result<(), Exit> {
        let at = at(self.0.posted());
        let mut events = self.0.stream(ask).await.map_err(&at)?;
        let mut is_silent = true;
        loop {
            match events.next().await {
                Ok(Some(event)) => tell(event)?,
                Ok(None) if is_silent => return Err(at(Failure::Silent).into()),
                Ok(None) => return Ok(()),
                Err(Failure::Unmet(unmet)) if !is_silent => {
                    return Err(Fault::Hushed(self.0.posted().to_string(), unmet).into());
                }
                Err(failure) => return Err(at(failure).into()),
            }
            is_silent = false;
        }
    }
}

/// The header that a token goes in. It goes to the URL that it was given for, and there only by TLS or within
/// this machine.
fn header(url: &Target, token: &SecretString) -> Result<HeaderValue, Fault> {
    let local = url.host() == "localhost" || url.address().is_some_and(|it| it.is_loopback());
    if !url.is_https() && !local {
        return Err(Fault::Plain(url.to_string()));
    }
    let value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
    let mut value = value.map_err(|_| Fault::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_own_words_are_cut_and_in_one_line() {
        let error = carport_core::RpcError::new(-32001, format!("\u{1b}[2J{}", "x".repeat(1000)));
        let told = Fault::Failure("https://a.example/".into(), Failure::Refused(error)).to_string();
        assert!(
            told.starts_with("the agent refused: \\u{1b}[2Jxx") && told.ends_with("x (-32001)")
        );
        assert!(told.len() < 600, "{told}");
    }

    #[test]
    fn a_token_goes_nowhere_in_the_clear_but_within_this_machine() {
        let token = SecretString::from("s3cret");
        let fate = |url: &str| header(&Target::parse(url).unwrap(), &token);
        for good in
            ["https://a.example/", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"]
        {
            assert_eq!(fate(good).unwrap(), "Bearer s3cret", "{good}");
        }
        for bad in ["http://a.example/", "http://10.0.0.1/", "http://localhost.a.example/"] {
            let told = fate(bad).unwrap_err().to_string();
            assert!(told.contains("https") && !told.contains("s3cret"), "{told}");
        }
        let folded = header(&Target::parse("https://a.example/").unwrap(), &"a\nb".into());
        assert!(matches!(folded, Err(Fault::BadToken)));
    }
}
