//! The tables of a manifest and their bounds.

use std::collections::BTreeMap;

use carport_agents_process::{Restart, agent_id};
use carport_core::{Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::features::Feature;

/// What an agent is, needs and runs. Members that are not listed are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentManifest {
    /// What the agent is.
    pub agent: About,
    /// Who signed the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Publisher>,
    /// What the daemon has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// How the agent lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// What the agent does and does not use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// What is run.
    pub transport: Transport,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Table `agent`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"))]
    pub id: String,
    /// For people.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Whose agent it is: one id belongs to one namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub namespace: Option<String>,
    /// The release of the agent, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub version: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub description: Option<String>,
    /// Under what terms it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub license: Option<String>,
    /// Where people read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub homepage: Option<String>,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Table `publisher`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Publisher {
    /// The public key: base64 of 32 bytes, `ed25519:` before it if one likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub key_id: Option<String>,
    /// Base64 of the 64 bytes of an ed25519 signature over the SHA-256 of the canonical manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub signature: Option<String>,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Table `runtime`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Runtime {
    /// The CAR release to be compatible with: bare is "at least", or a Cargo requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub car_min_version: Option<String>,
    /// The same for Carport's own release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub carport_min_version: Option<String>,
    /// The form of the bundle, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle_format_version: Option<Value>,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Table `lifecycle`: said to people and other programs; nothing here acts on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lifecycle {
    /// Whether it remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<bool>,
    /// What it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistence: Option<Value>,
    /// How hard its questions to models are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_inference_complexity: Option<Value>,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Features by their namespace.
pub type Features = BTreeMap<String, Vec<String>>;

/// Table `capabilities`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Without these it is not installed.
    #[serde(default)]
    pub required: Features,
    /// It is told which of these are missing.
    #[serde(default)]
    pub optional: Features,
    /// It may not use these.
    #[serde(default)]
    pub denied: Features,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What sort of thing is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransportKind {
    /// A program that the daemon supervises, or one that runs by itself.
    ExternalProcess,
    /// Nothing that runs.
    PureData,
}

/// Table `transport`. An external process has exactly one of `command`, `interpreter`, `health_url`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transport {
    /// What sort of thing it is.
    pub kind: TransportKind,
    /// The program: an absolute path that meets the rules for commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub command: Option<String>,
    /// A bare program name that is looked up once, along the daemon's `PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub interpreter: Option<String>,
    /// Where an agent that runs by itself says how it is: http or https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub health_url: Option<String>,
    /// Where the program comes from. Whoever installs fetches it; the daemon does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub binary_url: Option<String>,
    /// The SHA-256 of the file at `command`: 64 hex digits. The file is held against it when it is
    /// installed, not at each start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 64, max = 64), regex(pattern = "^[0-9A-Fa-f]*$"))]
    pub sha256: Option<String>,
    /// As in a spec.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub args: Vec<String>,
    /// As in a spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cwd: Option<String>,
    /// As in a spec.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// As in a spec.
    #[serde(default)]
    pub restart: Restart,
    /// As in a spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// As in a spec: 0.1 to 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 30))]
    pub backoff_secs: Option<f64>,
    /// Whether it is started when it is installed, and with the daemon.
    #[serde(default)]
    pub auto_start: bool,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl AgentManifest {
    /// Checks the bounds of every member and the rules between them; touches no disk.
    pub(crate) fn validate(&self) -> Result<()> {
        let about = &self.agent;
        agent_id("agent.id", &about.id)?;
        bounds::bytes("agent.name", &about.name, 1..=256)?;
        for (field, text, most) in [
            ("agent.namespace", &about.namespace, 256),
            ("agent.version", &about.version, 128),
            ("agent.license", &about.license, 256),
            ("agent.homepage", &about.homepage, 2048),
        ] {
            bounds::maybe_bytes(field, text.as_deref(), 1..=most)?;
        }
        bounds::maybe_bytes("agent.description", about.description.as_deref(), 0..=16 * 1024)?;
        if let Some(publisher) = &self.publisher {
            bounds::maybe_bytes("publisher.key_id", publisher.key_id.as_deref(), 1..=128)?;
            bounds::maybe_bytes("publisher.signature", publisher.signature.as_deref(), 1..=128)?;
        }
        for (which, features) in self.capabilities.iter().flat_map(Capabilities::lists) {
            check_features(&format!("capabilities.{which}"), features)?;
        }
        self.requirements()?;
        self.transport.validate()?;
        self.spec(None)?.map_or(Ok(()), |spec| spec.validate().map_err(below_transport))
    }

    /// What may not be used.
    pub fn denied(&self) -> Vec<Feature> {
        self.capabilities.as_ref().map_or_else(Vec::new, |it| Feature::each(&it.denied))
    }
}

impl Capabilities {
    fn lists(&self) -> [(&'static str, &Features); 3] {
        [("required", &self.required), ("optional", &self.optional), ("denied", &self.denied)]
    }
}

fn check_features(field: &str, features: &Features) -> Result<()> {
    if features.len() > 64 {
        let why = format!("must have 0..=64 namespaces, got {}", features.len());
        return Err(RpcError::invalid_params(field, why)
            .with("limit", 64)
            .with("got", features.len()));
    }
    for (namespace, features) in features {
        bounds::bytes(field, namespace, 1..=128)?;
        bounds::texts(&format!("{field}.{namespace}"), features, 0..=256, 1..=128)?;
    }
    Ok(())
}

/// What is wrong with a spec or its command names a field of the spec; here it stands in `transport`.
pub fn below_transport(error: RpcError) -> RpcError {
    match error.field().map(str::to_owned) {
        Some(field) if field != "id" && field != "name" => {
            error.with("field", format!("transport.{field}"))
        }
        _ => error,
    }
}

impl Transport {
    fn validate(&self) -> Result<()> {
        let no = |field: &str, why: &str| {
            Err(RpcError::invalid_params(&format!("transport.{field}"), why))
        };
        let runs = [
            ("command", self.command.is_some()),
            ("interpreter", self.interpreter.is_some()),
            ("health_url", self.health_url.is_some()),
        ];
        let named: Vec<_> = runs.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        match (self.kind, &*named) {
            (TransportKind::PureData, []) => {}
            (TransportKind::PureData, [name, ..]) => {
                return no(name, "does not go with `pure_data`");
            }
            (TransportKind::ExternalProcess, [_]) => {}
            (TransportKind::ExternalProcess, [_, second, ..]) => {
                return no(second, "`command`, `interpreter` and `health_url` exclude each other");
            }
            (TransportKind::ExternalProcess, []) if self.binary_url.is_some() => {
                let why = "is not fetched by the daemon: put the program in its place and name it \
                           in `transport.command`";
                return no("binary_url", why);
            }
            (TransportKind::ExternalProcess, []) => {
                return no(
                    "command",
                    "one of `command`, `interpreter` and `health_url` is required",
                );
            }
        }
        for (field, url) in [("health_url", &self.health_url), ("binary_url", &self.binary_url)] {
            bounds::maybe_bytes(&format!("transport.{field}"), url.as_deref(), 1..=2048)?;
        }
        if let Some(url) = &self.health_url
            && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
        {
            return no("health_url", "must be http or https");
        }
        match &self.sha256 {
            Some(_) if self.command.is_none() => no("sha256", "is that of the file at `command`"),
            Some(digest) => {
                bounds::bytes("transport.sha256", digest, 64..=64)?;
                let hex = |letter: char| letter.is_ascii_hexdigit();
                bounds::letters("transport.sha256", digest, "hex digits", hex)
            }
            None => Ok(()),
        }
    }
}
