//! A host for tests: every plugin linked into the test binary, real frames over memory, no socket.

mod client;
mod echo;
pub mod fuzz;
mod lone;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;

pub use client::TestClient;
pub use echo::echo;
pub use lone::LoneSession;

use crate::{
    contract::{
        access::Identity,
        clock::Clock,
        service::ServiceKey,
        session::{Origin, Session},
    },
    dispatch::{
        config::{Config, Settings},
        connection,
        host::Host,
        registry::Registry,
        tokens::{AGENT_AUTHORITY, AgentAuthority, Vouch},
    },
    transport::upgrade::{Door, upgrade},
};

/// The daemon token of a test host; also the token of every agent.
pub const TOKEN: &str = "client-token";
/// The host token of a test host.
pub const HOST_TOKEN: &str = "host-token";

/// A running host with a state root of its own that goes when the last clone does.
#[derive(Clone)]
pub struct TestHost {
    host: Arc<Host>,
    root: Arc<TempDir>,
}

/// How a test host differs from the default.
pub struct TestHostBuilder {
    config: Config,
    root: Arc<TempDir>,
    every_agent: bool,
}

impl TestHostBuilder {
    /// A host that vouches for no agent of its own accord.
    #[must_use]
    pub fn without_agents(mut self) -> Self {
        self.every_agent = false;
        self
    }

    /// The configuration section of one plugin.
    #[must_use]
    pub fn plugin(mut self, id: &str, section: Value) -> Self {
        self.config.plugins.insert(id.into(), section);
        self
    }

    /// Changes the host's own settings.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.config.settings);
        self
    }

    /// The time of day.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.config.clock = clock;
        self
    }

    /// Changes anything else.
    #[must_use]
    pub fn config(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Starts the host on the state root of an earlier one, as after a restart.
    #[must_use]
    pub fn on_root_of(mut self, earlier: &TestHost) -> Self {
        self.config.state_root = Some(earlier.root.path().to_owned());
        self.root = earlier.root.clone();
        self
    }

    /// Starts it.
    pub async fn start(self) -> TestHost {
        let Self { mut config, root, every_agent } = self;
        if every_agent {
            config.provide(&AGENT_AUTHORITY, Arc::new(EveryAgent));
        }
        let registry = Registry::linked(&[], &config.provided()).expect("the plugins fit together");
        TestHost { host: Host::start(registry, config).await.expect("every plugin starts"), root }
    }
}

impl TestHost {
    /// A host with default settings.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A host that differs from the default.
    pub fn builder() -> TestHostBuilder {
        let root = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let mut config = Config { state_root: Some(root.path().to_owned()), ..Config::default() };
        config.tokens.client = Some(TOKEN.into());
        config.tokens.host = Some(HOST_TOKEN.into());
        TestHostBuilder { config, root, every_agent: true }
    }

    /// The host itself.
    pub fn host_arc(&self) -> &Arc<Host> {
        &self.host
    }

    /// Where it keeps its files.
    pub fn root(&self) -> &std::path::Path {
        self.root.path()
    }

    /// A service as another plugin would see it.
    pub fn service<T: ?Sized + Send + Sync + 'static>(&self, key: &ServiceKey<T>) -> Arc<T> {
        self.host.service(key).expect("provided by a linked plugin")
    }

    /// The session of the agent's connection, as a plugin would hold it.
    pub fn session_of(&self, agent: &str) -> Arc<Session> {
        self.host.session_of(&Identity::agent(agent)).expect("the agent is connected")
    }

    /// A connection that has proved nothing.
    pub async fn stranger(&self) -> TestClient {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let host = self.host.clone();
        tokio::spawn(async move {
            let door = Door { settings: &host.shared().settings.transport, check_host: false };
            if let Ok(socket) = upgrade(far, &door).await {
                let session = host.open(Origin::InProcess).await;
                connection::serve(host.clone(), session, socket, None).await;
            }
        });
        TestClient::connect(near).await
    }

    /// A connection with the daemon token.
    pub async fn client(&self) -> TestClient {
        self.proven(json!({ "token": TOKEN })).await
    }

    /// A connection with the host token.
    pub async fn host(&self) -> TestClient {
        self.proven(json!({ "host_token": HOST_TOKEN })).await
    }

    /// A connection bound to an agent.
    pub async fn agent(&self, id: &str) -> TestClient {
        self.proven(json!({ "agent_id": id, "token": TOKEN })).await
    }

    /// A connection that authenticated with these parameters.
    pub async fn proven(&self, proof: Value) -> TestClient {
        let mut client = self.stranger().await;
        client.raw("session.auth", proof).await.expect("the proof holds");
        client
    }

    /// Waits until every connection has ended and its plugins were told.
    pub async fn emptied(&self) {
        let mut emptied = self.host.shared().emptied.subscribe();
        while self.host.open_sessions() > 0 {
            emptied.changed().await.expect("the host is there");
        }
    }

    /// Waits until this connection is the only one.
    pub async fn emptied_but(&self, _last: &TestClient) {
        let mut emptied = self.host.shared().emptied.subscribe();
        while self.host.open_sessions() > 1 {
            emptied.changed().await.expect("the host is there");
        }
    }

    /// Stops the host as a clean end of the daemon does.
    pub async fn stop(&self) {
        self.host.shutdown().await;
    }

    /// Registered methods: name, access word, whether approval is needed, ordered.
    pub async fn openrpc(&self) -> BTreeMap<String, Value> {
        let document = self.host().await.raw("rpc.discover", json!({})).await.expect("discovers");
        let methods = document["methods"].as_array().cloned().unwrap_or_default();
        let named = |it: Value| Some((it["name"].as_str()?.to_owned(), it));
        methods.into_iter().filter_map(named).collect()
    }
}

/// Vouches for every agent that shows [`TOKEN`].
struct EveryAgent;

#[async_trait]
impl AgentAuthority for EveryAgent {
    async fn vouch(&self, _: &str, token: &str) -> crate::wire::error::Result<Vouch> {
        Ok(if token == TOKEN { Vouch::Yes } else { Vouch::No })
    }

    fn knows(&self, _: &str) -> bool {
        false
    }
}
