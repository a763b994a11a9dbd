//! `memory.add_fact`: keeps a fact.

use carport_core::{Access, Caller, Method, Result};
use carport_memory_api::NewFact;
use carport_memory_graph::{Confidence, check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Memory;

/// Keeps a fact; the reply is how many facts the caller sees then. With the `fact_id` of a fact that
/// is there, it takes that one's place. Without one, the same subject, body and kind again add nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AddFact {
    /// What it is about.
    #[schemars(length(min = 1, max = 512))]
    pub subject: String,
    /// What is known.
    #[schemars(length(min = 1, max = 32_768))]
    pub body: String,
    /// `[a-z][a-z0-9_-]{0,31}` after lower-casing; `pattern` if absent. `identity`, `constraint`,
    /// `environment`, `unknown` and `question` have layers of their own in a context.
    #[schemars(length(min = 1, max = 32))]
    pub kind: Option<String>,
    /// How sure it is: 0 to 1, or `high`, `medium`, `low`; 1 if absent.
    pub confidence: Option<Confidence>,
    /// `[A-Za-z0-9._:-]`; minted if absent.
    #[schemars(length(min = 1, max = 128))]
    pub fact_id: Option<String>,
    /// At most 32 of 1 to 64 bytes.
    #[schemars(length(max = 32))]
    pub tags: Option<Vec<String>>,
    /// Where it comes from; `ws` if absent.
    #[schemars(length(max = 256))]
    pub source: Option<String>,
    /// Whose it is; everybody's if absent.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
    /// Whether it is a rule to keep to; those of kind `constraint` are.
    pub is_constraint: Option<bool>,
}

impl AddFact {
    fn fact(&self) -> NewFact {
        let mut new = NewFact::new(&self.subject, &self.body);
        new.fact_id.clone_from(&self.fact_id);
        new.kind = self.kind.clone().unwrap_or(new.kind);
        new.confidence = self.confidence.map_or(new.confidence, |it| it.0);
        new.tags = self.tags.clone().unwrap_or_default();
        new.source = self.source.clone().unwrap_or(new.source);
        new.tenant_id.clone_from(&self.tenant_id);
        new.is_constraint = self.is_constraint.unwrap_or_default();
        new
    }
}

impl Method for AddFact {
    const NAME: &'static str = "memory.add_fact";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = usize;

    fn validate(&self) -> Result<()> {
        check("", &self.fact())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<usize> {
        let (service, graph) = memory.serving(caller).await?;
        service.add(&graph, self.fact()).await
    }
}
