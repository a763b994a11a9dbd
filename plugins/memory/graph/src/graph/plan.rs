//! What a change would be, before it is written and done.

use std::sync::Arc;

use carport_core::Time;
use carport_memory_api::NewFact;

use super::{Graph, content, size};
use crate::{
    fact::Fact,
    fault::Full,
    log::{Line, Uses, Which},
};

/// A change that is not done yet: [`Graph::apply`] does it once the line is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What is to be written and done.
    pub line: Line,
    /// The fact's id.
    pub fact_id: Arc<str>,
    /// Whether there will be one fact more.
    pub is_new: bool,
}

impl Graph {
    /// Plans to keep a fact that is within its bounds (see [`check`](crate::check)).
    ///
    /// With the id of a fact of its tenant it takes that one's place: when that was first kept and how
    /// useful it was stay. Without an id, if its tenant has a fact of the same subject, body and kind,
    /// only that one's `updated_at` changes.
    ///
    /// # Errors
    /// A limit of the graph. Memory is measured before: it is exceeded by one fact at most.
    pub fn plan_add(
        &self,
        new: NewFact,
        now: Time,
        mint: impl FnOnce() -> String,
    ) -> Result<Planned, Full> {
        let tenant = new.tenant_id.clone();
        let is_given = new.fact_id.is_some();
        let mut fact = Fact::from_new(new, now, mint);
        let old = match is_given {
            true => self.get(&fact.fact_id, tenant.as_deref()),
            false => self.same(&fact),
        };
        match old {
            Some(old) if is_given => {
                fact.created_at = old.created_at;
                (fact.uses, fact.wins, fact.losses) = (old.uses, old.wins, old.losses);
            }
            Some(old) => fact = Fact { updated_at: now, ..Fact::clone(old) },
            None => {}
        }
        self.has_room(&fact, old)?;
        let (fact_id, is_new) = (fact.fact_id.clone(), old.is_none());
        Ok(Planned { line: Line::Add(fact.into()), fact_id, is_new })
    }

    /// Plans to keep facts of different ids, all or none; see [`Self::plan_add`].
    ///
    /// # Errors
    /// A limit of the graph.
    pub fn plan_add_all(
        &self,
        new: impl Iterator<Item = NewFact>,
        now: Time,
        mint: impl Fn() -> String,
    ) -> Result<Vec<Planned>, Full> {
        let plan = |fact| self.plan_add(fact, now, &mint);
        let planned = new.map(plan).collect::<Result<Vec<_>, _>>()?;
        // Each was planned as if it came alone.
        let more = planned.iter().filter(|it| it.is_new).count();
        match self.now.facts_in_all() + more > self.limits.facts {
            true => Err(Full::Facts(self.limits.facts)),
            false => Ok(planned),
        }
    }

    /// Plans to remove a fact of this tenant, or one of everybody's; `None` if there is none.
    pub fn plan_delete(&self, id: &str, tenant: Option<&str>) -> Option<Line> {
        let fact = self.get(id, tenant)?;
        Some(Line::Del(Which::new(fact.fact_id.clone(), tenant)))
    }

    /// Plans to note that a fact was brought up; `None` if there is none.
    pub fn plan_use(&self, id: &str, tenant: Option<&str>) -> Option<Line> {
        self.plan_uses(id, tenant, |uses| uses.uses = uses.uses.saturating_add(1))
    }

    /// Plans to note what a fact led to; `None` if there is none.
    pub fn plan_credit(&self, id: &str, tenant: Option<&str>, success: bool) -> Option<Line> {
        self.plan_uses(id, tenant, |uses| {
            let count = if success { &mut uses.wins } else { &mut uses.losses };
            *count = count.saturating_add(1);
        })
    }

    fn plan_uses(
        &self,
        id: &str,
        tenant: Option<&str>,
        change: impl FnOnce(&mut Uses),
    ) -> Option<Line> {
        let fact = self.get(id, tenant)?;
        let mut uses = Uses {
            id: fact.fact_id.clone(),
            tenant_id: fact.tenant_id.clone(),
            uses: fact.uses,
            wins: fact.wins,
            losses: fact.losses,
        };
        change(&mut uses);
        Some(Line::Use(uses))
    }

    /// The fact of the same tenant that says the same; of several the one with the first id.
    fn same(&self, fact: &Fact) -> Option<&Arc<Fact>> {
        let part = self.now.own(fact.tenant_id.as_deref())?;
        let content = content(fact);
        let from = (content, Arc::from(""));
        let same = self.indexes.get(&part)?.contents.range(from..);
        let mut same = same.take_while(|it| it.0 == content);
        same.find_map(|(_, id)| Some(&self.find_in(part, id)?.1.fact).filter(|it| it.says_as(fact)))
    }

    fn has_room(&self, fact: &Fact, old: Option<&Arc<Fact>>) -> Result<(), Full> {
        let facts = self.now.facts_in_all() + usize::from(old.is_none());
        if facts > self.limits.facts {
            return Err(Full::Facts(self.limits.facts));
        }
        let grows = size::fact(fact).saturating_sub(old.map_or(0, |old| size::fact(old)));
        match grows == 0 || self.bytes() + grows <= self.limits.bytes {
            true => Ok(()),
            false => Err(Full::Memory(self.limits.bytes)),
        }
    }
}
