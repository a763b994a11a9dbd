//! What the daemon calls over HTTP: only where the screen lets it, by addresses that were screened, without
//! redirects and without proxies.

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use carport_a2a_outbound::{
    Attempt, Consent, Refusal, Reply, Screen, Target, Unmet, parse_retry_after,
};
use carport_core::{Result, RpcError, Time};
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use tokio::{net::lookup_host, time::timeout};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a post may take in all.
const POST: Duration = Duration::from_secs(60);
/// How long the first byte of an answer may take, unless the answer waits for the work.
const FIRST_BYTE: Duration = Duration::from_secs(30);

/// Calls others.
pub(crate) struct Outgoing {
    screen: Arc<Screen>,
    names: Arc<dyn Names>,
    /// Connects to addresses in bounds only.
    client: Client,
    /// Connects to any, for what is allowed by name. Whoever resolves a name is not told of which port it is.
    anywhere: Client,
}

/// What names stand for.
#[async_trait]
trait Names: Send + Sync {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// What they stand for on this machine.
struct System;

#[async_trait]
impl Names for System {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(lookup_host((name, 0)).await?.map(|it| it.ip()).collect())
    }
}

/// Resolves names to addresses that were screened at that moment, so that a name cannot change its mind
/// between being judged and being connected to.
struct Screened {
    /// Without one any address will do.
    screen: Option<Arc<Screen>>,
    names: Arc<dyn Names>,
}

impl Resolve for Screened {
    fn resolve(&self, name: Name) -> Resolving {
        let (screen, names) = (self.screen.clone(), self.names.clone());
        Box::pin(async move {
            let addresses = names.addresses(name.as_str()).await?;
            if let Some(screen) = screen {
                screen.connect_host(name.as_str(), &addresses)?;
            }
            let sockets = addresses.into_iter().map(|it| SocketAddr::new(it, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

/// The refusal behind a failed request, if that is why it failed.
fn refusal(error: &reqwest::Error) -> Option<Refusal> {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refusal) = inner.downcast_ref::<Refusal>() {
            return Some(refusal.clone());
        }
        cause = inner.source();
    }
    None
}

impl Outgoing {
    /// # Errors
    /// Internal: TLS could not be set up here.
    pub(crate) fn new(screen: Screen) -> Result<Self> {
        Self::with_names(screen, Arc::new(System))
    }

    fn with_names(screen: Screen, names: Arc<dyn Names>) -> Result<Self> {
        let screen = Arc::new(screen);
        let client = |screen| {
            Client::builder()
                .redirect(Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT)
                .timeout(POST)
                .dns_resolver(Arc::new(Screened { screen, names: names.clone() }))
                .build()
                .map_err(|_| RpcError::internal("TLS for A2A could not be set up here"))
        };
        let (anywhere, client) = (client(None)?, client(Some(screen.clone()))?);
        Ok(Self { screen, names, client, anywhere })
    }

    fn client_for(&self, target: &Target) -> &Client {
        if self.screen.names(target) { &self.anywhere } else { &self.client }
    }

    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Judges a target by what it resolves to now. A name that does not resolve is nobody's.
    async fn judge(&self, target: &Target) -> std::result::Result<(), Refusal> {
        let addresses: Vec<IpAddr> = match target.address() {
            Some(address) => vec![address],
            None => match timeout(CONNECT, self.names.addresses(&target.host())).await {
                Ok(Ok(addresses)) => addresses,
                _ => Vec::new(),
            },
        };
        self.screen.connect(target, &addresses)
    }

    /// Posts a body. What is answered beyond the status is not read.
    ///
    /// # Errors
    /// It may not be called, now that it is known where it leads.
    pub(crate) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
        now: Time,
    ) -> std::result::Result<Attempt, Refusal> {
        let target = self.screen.register(url, Consent::Given)?;
        self.judge(&target).await?;
        let sending = self.client_for(&target).post(target.url().clone());
        let sending = sending.headers(headers).body(body).send();
        match timeout(FIRST_BYTE, sending).await {
            Ok(Ok(response)) => {
                let wish = response.headers().get(RETRY_AFTER).and_then(|it| it.to_str().ok());
                let wish = wish.and_then(|it| parse_retry_after(it, now));
                Ok(Attempt::Answer(response.status().as_u16(), wish))
            }
            Ok(Err(error)) => match refusal(&error) {
                Some(refusal) => Err(refusal),
                None => Ok(Attempt::NoAnswer),
            },
            Err(_) => Ok(Attempt::NoAnswer),
        }
    }

    /// Asks for something and waits until the answer begins; after `total` it is over, wherever it is. One that
    /// may take longer than a post waits for the work before it begins.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn exchange(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
        total: Duration,
    ) -> std::result::Result<Reply, Unmet> {
        let asked = async {
            self.judge(target).await?;
            let (url, client) = (target.url().clone(), self.client_for(target));
            let request = match body {
                Some(body) => client.post(url).body(body),
                None => client.get(url),
            };
            let first = if total > POST { total } else { total.min(FIRST_BYTE) };
            let request = request.headers(headers).timeout(total);
            let answered = timeout(first, request.send()).await.map_err(|_| Unmet::Late)?;
            answered.map_err(|error| unmet(&error))
        };
        let asked = asked.await.inspect_err(|why| {
            if let Unmet::Refused(it) = why {
                tracing::warn!(host = it.host(), reason = it.reason(), "a request was refused");
            }
        });
        Ok(Reply::of(asked?, unmet))
    }
}

fn unmet(error: &reqwest::Error) -> Unmet {
    match refusal(error) {
        Some(refusal) => Unmet::Refused(refusal),
        None if error.is_connect() => Unmet::Unreachable,
        None if error.is_timeout() => Unmet::Late,
        None => Unmet::Broken,
    }
}

#[cfg(test)]
mod tests;
