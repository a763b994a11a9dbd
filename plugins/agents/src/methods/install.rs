//! `agents.install`: an agent from its manifest.

use carport_agents_bundle::{Document, Feature};
use carport_agents_process::ManagedAgent;
use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_manager;
use crate::{Agents, keeping::whole};

/// Installs an agent from its manifest, and starts it if that says `auto_start`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct InstallAgent(pub Document);

/// What was installed.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    /// What is to be known of it.
    pub report: InstallReport,
    /// The agent that is supervised now; `null` if the manifest has none that the daemon starts.
    pub agent: Option<ManagedAgent>,
}

/// What is to be known of an installation.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InstallReport {
    /// Features that it would use and that this daemon does not offer.
    #[serde(rename = "missingOptional")]
    pub missing_optional: Vec<Feature>,
    /// What the signature is worth.
    pub signature: SignatureState,
    /// The public key that signed it, as the manifest names it; left out unless the signature holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// What else a person should know.
    pub warnings: Vec<String>,
    /// Denied features, as `namespace.feature`, that no method stands for: nothing keeps the agent
    /// from them.
    pub unenforced: Vec<String>,
}

/// What a manifest's signature is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureState {
    /// The manifest is as the holder of the key that it names signed it.
    Verified,
    /// It has none.
    Unsigned,
    /// It does not hold.
    Failed,
}

impl Method for InstallAgent {
    const NAME: &'static str = "agents.install";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Installed;

    fn validate(&self) -> Result<()> {
        self.0.manifest()?;
        self.0.to_toml().map(drop).map_err(Into::into)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<Installed> {
        check_manager(agents, caller)?;
        let (keeping, identity) = (agents.keeping.clone(), caller.identity().clone());
        let installed = whole(async move { keeping.install(self.0, &identity).await });
        let (report, agent) = installed.await?;
        Ok(Installed { report, agent })
    }
}
