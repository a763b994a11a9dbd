//! `registry.*`: services that announce themselves.

use carport_agents_process::agent_id;
use carport_core::{Access, Caller, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Agents,
    directory::{Directory, Entry},
    keeping::blocking,
};

/// Checks the name of a directory of entries.
fn check_path(path: Option<&String>) -> Result<()> {
    bounds::maybe_bytes("registry_path", path.map(String::as_str), 1..=1024)
}

impl Agents {
    /// Does `work` on a directory of entries, with the time of day in Unix seconds.
    async fn in_directory<T: Send + 'static>(
        &self,
        path: Option<String>,
        work: impl FnOnce(Directory, i64) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (places, now) = (self.registry.clone(), self.clock.now().timestamp());
        blocking(move || work(places.directory(path.as_deref())?, now)).await?
    }
}

/// Announces a service.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RegisterService {
    /// The service.
    pub entry: Entry,
    /// A registry of its own: a directory below the usual one, or one that the operator lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub registry_path: Option<String>,
}

impl Method for RegisterService {
    const NAME: &'static str = "registry.register";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ();

    fn validate(&self) -> Result<()> {
        self.entry.validate()?;
        check_path(self.registry_path.as_ref())
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<()> {
        let Self { entry, registry_path } = self;
        agents.in_directory(registry_path, move |it, now| it.register(entry, now)).await
    }
}

/// Says that a service is still there.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// The service.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// A registry of its own: a directory below the usual one, or one that the operator lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub registry_path: Option<String>,
}

/// Whether a heartbeat found its service.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refreshed {
    /// `false`: the service has to register again.
    pub refreshed: bool,
}

impl Method for Heartbeat {
    const NAME: &'static str = "registry.heartbeat";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Refreshed;

    fn validate(&self) -> Result<()> {
        agent_id("name", &self.name)?;
        check_path(self.registry_path.as_ref())
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<Refreshed> {
        let Self { name, registry_path } = self;
        let beat = move |it: Directory, now| it.heartbeat(&name, now);
        Ok(Refreshed { refreshed: agents.in_directory(registry_path, beat).await? })
    }
}

/// Takes a service out, if it is there.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnregisterService {
    /// The service.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// A registry of its own: a directory below the usual one, or one that the operator lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub registry_path: Option<String>,
}

impl Method for UnregisterService {
    const NAME: &'static str = "registry.unregister";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ();

    fn validate(&self) -> Result<()> {
        agent_id("name", &self.name)?;
        check_path(self.registry_path.as_ref())
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<()> {
        let Self { name, registry_path } = self;
        agents.in_directory(registry_path, move |it, _| it.unregister(&name)).await
    }
}

/// Lists services by name; files that are no entries are passed over.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListServices {
    /// A registry of its own: a directory below the usual one, or one that the operator lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub registry_path: Option<String>,
}

impl Method for ListServices {
    const NAME: &'static str = "registry.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Vec<Entry>;

    fn validate(&self) -> Result<()> {
        check_path(self.registry_path.as_ref())
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<Vec<Entry>> {
        agents.in_directory(self.registry_path, |it, _| it.list()).await
    }
}

/// Takes out services that have been silent for longer; answers their names.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReapServices {
    /// How many seconds a service may be silent.
    #[serde(default = "minute")]
    pub max_age_secs: u32,
    /// A registry of its own: a directory below the usual one, or one that the operator lets in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub registry_path: Option<String>,
}

fn minute() -> u32 {
    60
}

impl Method for ReapServices {
    const NAME: &'static str = "registry.reap";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Vec<String>;

    fn validate(&self) -> Result<()> {
        check_path(self.registry_path.as_ref())
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<Vec<String>> {
        let age = self.max_age_secs.into();
        agents.in_directory(self.registry_path, move |it, now| it.reap(age, now)).await
    }
}
