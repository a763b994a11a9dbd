//! A fact as an export or another daemon wrote it: what is missing has its default.

use std::sync::Arc;

use carport_core::{Result, Time};
use carport_memory_api::{Entry, NewFact};
use serde::Deserialize;

use super::{Confidence, Fact, check};

/// One fact of a file to load. `null` is as good as absent.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    #[serde(alias = "id")]
    fact_id: Option<String>,
    subject: String,
    #[serde(alias = "text")]
    body: String,
    kind: Option<String>,
    confidence: Option<Confidence>,
    tags: Option<Vec<String>>,
    source: Option<String>,
    tenant_id: Option<String>,
    entry: Option<Entry>,
    is_constraint: Option<bool>,
    created_at: Option<Time>,
    updated_at: Option<Time>,
    uses: Option<u64>,
    wins: Option<u64>,
    losses: Option<u64>,
}

impl Record {
    /// The fact that it says. A missing id is `minted`, missing times are `now`. `field` is its path
    /// in errors, such as `facts[3]`.
    ///
    /// # Errors
    /// The first field that is out of its bounds.
    pub fn into_fact(
        self,
        field: &str,
        now: Time,
        minted: impl FnOnce() -> String,
    ) -> Result<Arc<Fact>> {
        let mut new = NewFact::new(self.subject, self.body);
        new.fact_id = self.fact_id;
        new.kind = self.kind.unwrap_or(new.kind);
        new.confidence = self.confidence.map_or(new.confidence, |it| it.0);
        new.tags = self.tags.unwrap_or_default();
        new.source = self.source.unwrap_or(new.source);
        new.tenant_id = self.tenant_id;
        new.entry = self.entry;
        new.is_constraint = self.is_constraint.unwrap_or_default();
        check(&format!("{field}."), &new)?;
        let mut fact = Fact::from_new(new, now, minted);
        fact.created_at = self.created_at.or(self.updated_at).unwrap_or(now);
        fact.updated_at = self.updated_at.unwrap_or(fact.created_at);
        fact.uses = self.uses.unwrap_or_default();
        fact.wins = self.wins.unwrap_or_default();
        fact.losses = self.losses.unwrap_or_default();
        Ok(fact.into())
    }
}
