//! What an operator may set.

use std::path::PathBuf;

use carport_memory_graph::Utility;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[memory]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What a connection uses that is bound to neither a namespace nor an agent.
    pub unbound: Unbound,
    /// Whether any authenticated connection may load a file into the shared graph; else only the host.
    pub shared_load: bool,
    /// Which namespaces agents may use.
    pub agent_namespaces: AgentNamespaces,
    /// What a reminder has to reach, 0 to 1.2.
    #[schemars(range(min = 0.0, max = 1.2))]
    pub intervene_threshold: f64,
    /// The share of usefulness in a score, 0 to 1, until a client sets another for its graph.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub utility_weight: f64,
    /// What is added for usefulness that is not known yet, 0 to 4, until a client sets another.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub utility_exploration: f64,
    /// A directory with a BERT sentence encoder (`config.json`, `tokenizer.json`, `model.safetensors`). With
    /// it, and in a build with the feature `embeddings`, facts are also found by what they mean.
    pub embeddings: Option<PathBuf>,
}

/// What a connection uses that is bound to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unbound {
    /// A graph of its own that ends with it.
    #[default]
    Session,
    /// The one graph that all such connections share.
    Shared,
}

/// Which namespaces agents may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentNamespaces {
    /// Any.
    #[default]
    Any,
    /// Those whose name begins with the agent's id and a slash.
    Own,
}

impl Default for Config {
    fn default() -> Self {
        let Utility { utility_weight, utility_exploration } = Utility::default();
        Self {
            unbound: Unbound::default(),
            shared_load: false,
            agent_namespaces: AgentNamespaces::default(),
            intervene_threshold: 0.35,
            utility_weight,
            utility_exploration,
            embeddings: None,
        }
    }
}

impl Config {
    pub(crate) fn utility(&self) -> Utility {
        Utility::default().with(Some(self.utility_weight), Some(self.utility_exploration))
    }
}
