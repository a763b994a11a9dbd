//! Whether to remind, and of what.

use std::sync::Arc;

use carport_memory_api::Entry;
use schemars::JsonSchema;
use serde::Serialize;

use super::Trigger;
use crate::{
    fact::Fact,
    graph::{Bank, Snapshot},
    rank::{Ask, Hit, Utility},
};

/// Millionths that a trigger adds to the facts that it speaks for.
const STRONG: u32 = 200_000;
const WEAK: u32 = 100_000;

/// A moment in which a reminder may help.
#[derive(Debug, Clone)]
pub struct Moment<'a> {
    /// What is asked for.
    pub query: &'a str,
    /// What was said before.
    pub recent: &'a [String],
    /// What speaks for a reminder.
    pub trigger: Trigger,
    /// Whose facts are seen, beside everybody's.
    pub tenant: Option<&'a str>,
    /// The most candidates.
    pub max_candidates: usize,
    /// What the best one has to reach.
    pub threshold: f64,
    /// Whether the best one is brought up even if it does not.
    pub force: bool,
}

/// A fact that could be brought up.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Candidate {
    /// Its id.
    #[schemars(with = "String")]
    pub id: Arc<str>,
    /// How well it fits, 0 to 1.4: how well it answers, and what the trigger adds.
    pub score: f64,
}

/// The fact that is brought up.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Selected {
    /// Its id.
    #[schemars(with = "String")]
    pub id: Arc<str>,
    /// What it is about.
    pub subject: String,
    /// What is known.
    pub body: String,
    /// Its kind.
    pub kind: String,
    /// How well it fits.
    pub score: f64,
    /// Whose it is: another one may have the same id.
    #[serde(skip)]
    pub tenant: Option<String>,
}

/// A reminder, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Intervention {
    /// Bring it up.
    Inject {
        /// What to say: the selected fact and no other.
        reminder: String,
        /// The fact.
        selected: Selected,
        /// What could have been brought up, the best first.
        candidates: Vec<Candidate>,
        /// What there is to bring up.
        bank: Bank,
    },
    /// Say nothing.
    Silent {
        /// Why.
        reason: String,
        /// What could have been brought up, the best first.
        candidates: Vec<Candidate>,
        /// What there is to bring up.
        bank: Bank,
    },
}

impl Trigger {
    /// Millionths that it adds to a fact.
    fn adds(&self, fact: &Fact) -> u32 {
        let fails = self.tool_error || self.repeated_failures >= 2;
        let wonders = self.explicit_uncertainty || self.context_shift;
        let when = |holds: bool, adds: u32| if holds { adds } else { 0 };
        when(fails && fact.entry == Some(Entry::Procedural), STRONG)
            + when(self.high_risk_action && fact.is_constraint, STRONG)
            + when(wonders && fact.entry == Some(Entry::Knowledge), WEAK)
    }
}

impl Snapshot {
    /// At most one reminder. Saved memories and constraints that match what is asked and what was
    /// said are the candidates; changes nothing.
    pub fn intervene(&self, moment: &Moment<'_>) -> Intervention {
        let hits = self.candidates(moment);
        let bank = self.bank(moment.tenant);
        let candidates: Vec<Candidate> = hits
            .iter()
            .map(|hit| Candidate { id: hit.fact.fact_id.clone(), score: hit.score })
            .collect();
        match hits.first() {
            None => Intervention::Silent {
                reason: "nothing that is kept matches".into(),
                candidates,
                bank,
            },
            Some(best) if best.score < moment.threshold && !moment.force => {
                let reason =
                    format!("the best match has {}, below {}", best.score, moment.threshold);
                Intervention::Silent { reason, candidates, bank }
            }
            Some(best) => {
                let fact = &best.fact;
                let selected = Selected {
                    id: fact.fact_id.clone(),
                    subject: fact.subject.clone(),
                    body: fact.body.clone(),
                    kind: fact.kind.clone(),
                    score: best.score,
                    tenant: fact.tenant_id.clone(),
                };
                let reminder = format!("{}: {}", fact.subject, fact.body);
                Intervention::Inject { reminder, selected, candidates, bank }
            }
        }
    }

    /// The best first. `score` is `rel` and what the trigger adds.
    pub(super) fn candidates(&self, moment: &Moment<'_>) -> Vec<Hit> {
        let texts = [moment.query].into_iter().chain(moment.recent.iter().map(String::as_str));
        let text = texts.collect::<Vec<_>>().join(" ");
        // By words alone: the threshold is one of words.
        let (utility, meaning) = (Utility::default(), None);
        let ask = Ask { text: &text, tenant: moment.tenant, turns: false, utility, meaning };
        let wanted = |fact: &Fact| fact.entry.is_some() || fact.is_constraint;
        self.ranking(&ask).take_by(moment.max_candidates, wanted, |fact, place| {
            place.rel() + moment.trigger.adds(fact)
        })
    }
}
