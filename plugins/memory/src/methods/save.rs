//! `memory.save_knowledge` and `memory.save_procedural`: memories that may be brought up unasked.

use carport_core::{Access, Caller, Method, Result};
use carport_memory_api::{Entry, NewFact};
use carport_memory_graph::{Confidence, check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Memory;

/// Saves something that is so. The same again changes nothing but when it was said last.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SaveKnowledge {
    /// `[A-Za-z0-9._:-]`; follows from what is saved if absent.
    #[schemars(length(min = 1, max = 128))]
    pub id: Option<String>,
    /// What it is about.
    #[schemars(length(min = 1, max = 512))]
    pub subject: String,
    /// What is known.
    #[schemars(length(min = 1, max = 32_768))]
    pub body: String,
    /// At most 32 of 1 to 64 bytes.
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
    /// How sure it is: 0 to 1, or `high`, `medium`, `low`; 1 if absent.
    pub confidence: Option<Confidence>,
    /// Whose it is; everybody's if absent.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
    /// Whether it is a rule to keep to.
    pub is_constraint: Option<bool>,
}

/// Saves how something is done, or went wrong. The same again changes nothing but when it was said last.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct SaveProcedural(pub SaveKnowledge);

/// What was saved.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// What it was saved as.
    pub kind: String,
    /// Facts that the caller sees now.
    pub fact_count: usize,
}

impl SaveKnowledge {
    /// What is to be saved, and its id.
    fn fact(&self, entry: Entry) -> (String, NewFact) {
        let mut new = NewFact::new(&self.subject, &self.body);
        let (kind, letter) = match entry {
            Entry::Knowledge => ("knowledge", 'k'),
            Entry::Procedural => ("procedural", 'p'),
        };
        let tenant = self.tenant_id.as_deref().unwrap_or_default();
        let minted = || format!("{letter}-{}", digest(&[tenant, kind, &self.subject, &self.body]));
        let id = self.id.clone().unwrap_or_else(minted);
        new.fact_id = Some(id.clone());
        new.kind = kind.into();
        new.confidence = self.confidence.map_or(new.confidence, |it| it.0);
        new.tags = self.tags.clone().unwrap_or_default();
        new.tenant_id.clone_from(&self.tenant_id);
        new.is_constraint = self.is_constraint.unwrap_or_default();
        new.entry = Some(entry);
        (id, new)
    }

    async fn save(self, entry: Entry, memory: &Memory, caller: &Caller) -> Result<Saved> {
        let (service, graph) = memory.serving(caller).await?;
        let (id, new) = self.fact(entry);
        let kind = new.kind.clone();
        Ok(Saved { id, kind, fact_count: service.add(&graph, new).await? })
    }
}

/// 16 hex digits of SHA-256 over these, each behind its length.
fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl Method for SaveKnowledge {
    const NAME: &'static str = "memory.save_knowledge";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Saved;

    fn validate(&self) -> Result<()> {
        check("", &self.fact(Entry::Knowledge).1).map_err(id_field)
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Saved> {
        self.save(Entry::Knowledge, memory, caller).await
    }
}

impl Method for SaveProcedural {
    const NAME: &'static str = "memory.save_procedural";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Saved;

    fn validate(&self) -> Result<()> {
        check("", &self.0.fact(Entry::Procedural).1).map_err(id_field)
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Saved> {
        self.0.save(Entry::Procedural, memory, caller).await
    }
}

/// Here the id of a fact is called `id`.
fn id_field(mut error: carport_core::RpcError) -> carport_core::RpcError {
    if error.field() == Some("fact_id") {
        error.message = error.message.replace("`fact_id`", "`id`");
        error = error.with("field", "id");
    }
    error
}
