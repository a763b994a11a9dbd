//! What the memory plugin says on the wire, as far as commands show it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::link::{CallError, Link};

/// A fact. What a command does not show is kept for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) fact_id: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) kind: String,
    pub(crate) confidence: f64,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    /// How well it answers, 0 to 1; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) score: Option<f64>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// A graph in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// `agent`, `namespace`, `shared` or `session`.
    pub(crate) graph: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) fact_count: u64,
    pub(crate) facts_in_all: u64,
    pub(crate) constraints: u64,
    pub(crate) knowledge: u64,
    pub(crate) procedural: u64,
    pub(crate) turns: u64,
    pub(crate) bytes: u64,
    /// Lines of the daemon's file that did not read.
    #[serde(default)]
    pub(crate) damaged_lines: u64,
    pub(crate) max_facts: u64,
    pub(crate) max_bytes: u64,
    /// `None` of a daemon that does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) terms: Option<u64>,
    /// Bytes of its file; `None` if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_bytes: Option<u64>,
}

impl Stats {
    /// Whose memory it is, in words.
    pub(crate) fn whose(&self) -> String {
        match &self.name {
            Some(name) => format!("the memory of {} {name}", self.graph),
            None => format!("the {} memory", self.graph),
        }
    }
}

/// What became of a fact that was to go.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Deleted {
    pub(crate) id: String,
    pub(crate) deleted: bool,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// The facts of a connection's graph that a tenant sees.
pub(crate) struct Facts<'a> {
    pub(crate) link: &'a Link,
    pub(crate) tenant: Option<&'a str>,
}

impl Facts<'_> {
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        mut params: Value,
    ) -> Result<T, CallError> {
        if let Some(tenant) = self.tenant {
            params["tenant_id"] = tenant.into();
        }
        self.link.ask(method, &params).await
    }

    /// Keeps a fact; how many there are then.
    pub(crate) async fn add(&self, fact: Value) -> Result<usize, CallError> {
        self.ask("memory.add_fact", fact).await
    }

    /// The facts that answer best; no `kinds` are all of them.
    pub(crate) async fn query(
        &self,
        query: &str,
        k: u32,
        kinds: &[String],
    ) -> Result<Vec<Fact>, CallError> {
        let kinds = (!kinds.is_empty()).then_some(kinds);
        self.ask("memory.query", json!({ "query": query, "k": k, "kinds": kinds })).await
    }

    /// One fact, whole.
    pub(crate) async fn get(&self, id: &str) -> Result<Fact, CallError> {
        self.ask("memory.get", json!({ "id": id })).await
    }

    /// What a model would be told of something, or of nothing in particular.
    pub(crate) async fn context(
        &self,
        query: &str,
        window: Option<u64>,
    ) -> Result<String, CallError> {
        let method = match query.is_empty() {
            true => "memory.build_context_fast",
            false => "memory.build_context",
        };
        self.ask(method, json!({ "query": query, "model_context_window": window })).await
    }

    /// Removes a fact.
    pub(crate) async fn delete(&self, id: &str) -> Result<Deleted, CallError> {
        self.ask("memory.delete", json!({ "id": id })).await
    }

    /// Writes a file of the daemon's; how many facts are in it.
    pub(crate) async fn persist(&self, path: &str) -> Result<usize, CallError> {
        self.ask("memory.persist", json!({ "path": path })).await
    }

    /// Puts the facts of such a file in the place of those that are there; how many they are.
    pub(crate) async fn load(&self, path: &str) -> Result<usize, CallError> {
        self.ask("memory.load", json!({ "path": path })).await
    }

    /// The graph in numbers.
    pub(crate) async fn stats(&self) -> Result<Stats, CallError> {
        self.ask("memory.stats", json!({})).await
    }
}
