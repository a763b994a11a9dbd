//! What a plugin may reach while it starts, and keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    approvals::Approvals,
    clock::Clock,
    durability::Durability,
    events::HostEvents,
    metrics::Metrics,
    plugin::read_section,
    presence::{HostPart, HostParts},
    service::{ServiceKey, Services},
    tasks::Tasks,
};
use crate::wire::error::{Result, RpcError};

/// What [`Plugin::start`](super::plugin::Plugin::start) may reach.
pub struct StartContext<'a> {
    pub(crate) plugin: &'static str,
    pub(crate) section: &'a Value,
    pub(crate) services: &'a mut Services,
    pub(crate) grounds: &'a Grounds,
    pub(crate) tasks: Tasks,
}

/// What every plugin of one host shares.
pub(crate) struct Grounds {
    pub(crate) state_root: Option<PathBuf>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) durability: Durability,
    pub(crate) events: HostEvents,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) parts: Arc<HostParts>,
    pub(crate) agent_id: Option<String>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) methods: BTreeMap<&'static str, &'static str>,
    pub(crate) gated: BTreeSet<&'static str>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl StartContext<'_> {
    /// This plugin's own section of the configuration.
    pub fn config<T: Serialize + DeserializeOwned + Default>(&self) -> Result<T> {
        read_section(self.section).map_err(|why| {
            RpcError::internal(format!("configuration section [{}]: {why}", self.plugin))
        })
    }

    /// Offers a service that [`Plugin::PROVIDES`](super::plugin::Plugin::PROVIDES) names. One that
    /// the embedder provided stays in its place.
    pub fn provide<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        key: &ServiceKey<T>,
        service: Arc<T>,
    ) {
        self.services.provide(key, service);
    }

    /// A service that [`Plugin::REQUIRES`](super::plugin::Plugin::REQUIRES) names.
    pub fn require<T: ?Sized + Send + Sync + 'static>(
        &self,
        key: &ServiceKey<T>,
    ) -> Result<Arc<T>> {
        self.services.require(key)
    }

    /// A service that [`Plugin::OPTIONAL`](super::plugin::Plugin::OPTIONAL) names, if it is there.
    pub fn find<T: ?Sized + Send + Sync + 'static>(&self, key: &ServiceKey<T>) -> Option<Arc<T>> {
        self.services.find(key)
    }

    /// The directory `name` under the state root, with mode `0700`, made if it is missing.
    pub fn state_dir(&self, name: &str) -> Result<PathBuf> {
        let root = self.state_root().ok_or_else(|| {
            RpcError::unavailable("state root", "this host was started without a state root")
        })?;
        let path = root.join(name);
        let private = || {
            use std::os::unix::fs::PermissionsExt;
            make_private_dir(&path)?;
            // One that was there before may be open to others. The root itself is its owner's affair.
            match name {
                "" => Ok(()),
                _ => std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)),
            }
        };
        private().map_err(|error| RpcError::internal(format!("{}: {error}", path.display())))?;
        Ok(path)
    }

    /// The one directory that everything on disk lives under, if this host has one.
    pub fn state_root(&self) -> Option<&Path> {
        self.grounds.state_root.as_deref()
    }

    /// The time of day.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.grounds.clock.clone()
    }

    /// What an acknowledged write must survive.
    pub fn durability(&self) -> Durability {
        self.grounds.durability
    }

    /// The ring of host events.
    pub fn events(&self) -> HostEvents {
        self.grounds.events.clone()
    }

    /// Counters and histograms.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.grounds.metrics.clone()
    }

    /// Background tasks of this plugin.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Turns true when the host begins to stop: connections end after that, and then plugins.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.grounds.stopping.clone()
    }

    /// The agent that this daemon's own environment names, read once at boot.
    pub fn agent_id(&self) -> Option<&str> {
        self.grounds.agent_id.as_deref()
    }

    /// The list of what people are asked to decide.
    pub fn approvals(&self) -> Arc<dyn Approvals> {
        self.grounds.approvals.clone()
    }

    /// Every method of this build by wire name, with its own name, which differs where it has others.
    /// A host runs only when all its plugins have started, so each of them is there.
    pub fn methods(&self) -> &BTreeMap<&'static str, &'static str> {
        &self.grounds.methods
    }

    /// Whether a person has to agree to each call of this method.
    pub fn needs_approval(&self, method: &str) -> bool {
        self.grounds.gated.contains(method)
    }

    /// What all plugins have added to the view of hosts.
    pub fn host_parts(&self) -> Arc<HostParts> {
        self.grounds.parts.clone()
    }

    /// Adds rows or a value to what `host.subscribe` answers.
    pub fn contribute(&self, part: Arc<dyn HostPart>) {
        self.grounds.parts.add(self.plugin, part);
    }
}

/// Makes a directory, and those above it, for this user only.
pub fn make_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
