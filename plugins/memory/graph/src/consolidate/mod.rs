//! A graph tidied up: what says nearly the same becomes one fact, what nobody believes or uses goes.

mod similar;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use carport_core::Time;
use chrono::TimeDelta;

use crate::{fact::Fact, graph::Snapshot, terms::term_set};
use similar::{Similar, Text};

/// Facts that are believed less may go.
const LEAST_CONFIDENCE: f64 = 0.05;
/// They go once they were neither used nor said for so many days.
const UNUSED_DAYS: i64 = 90;
/// Tags of one fact.
const MOST_TAGS: usize = 32;
/// Steps that comparing may take for each text of a subject: pairs that are ruled out at a glance, terms
/// that are compared. Texts without rare words take more the more of them there are.
const STEPS: usize = 4000;

/// What is left of facts, and what became of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Consolidated {
    /// All facts that are left, in the order of creation.
    pub facts: Vec<Arc<Fact>>,
    /// How many were taken into another one.
    pub merged: usize,
    /// How many went.
    pub pruned: usize,
}

impl Snapshot {
    /// What tidying up would leave at `now`, of every tenant's facts, or of one tenant's own. Done
    /// again it changes nothing.
    ///
    /// Within one tenant, subject and kind, a fact joins the newest one with which its body shares nine
    /// tenths of their terms. That one keeps its id, body and confidence; it takes the tags, the sums of
    /// usefulness and the earlier creation over, and is a constraint if one of them is. Of more than 32
    /// tags those of the newest facts stay.
    pub fn consolidate(&self, tenant: Option<&str>, now: Time) -> Consolidated {
        let facts = match tenant {
            None => self.facts(),
            tenant => self.own_facts(tenant),
        };
        let before = facts.len();
        let mut groups: BTreeMap<_, Vec<Arc<Fact>>> = BTreeMap::new();
        for fact in facts {
            let group = (fact.tenant_id.clone(), fact.subject.clone(), fact.kind.clone());
            groups.entry(group).or_default().push(fact);
        }
        let mut left: Vec<Arc<Fact>> = groups.into_values().flat_map(merge).collect();
        let merged = before - left.len();
        left.retain(|fact| !goes(fact, now));
        let pruned = before - merged - left.len();
        left.sort_by(|a, b| created(a).cmp(&created(b)));
        Consolidated { facts: left, merged, pruned }
    }
}

fn created(fact: &Fact) -> impl Ord + '_ {
    (fact.created_at, &fact.fact_id, &fact.tenant_id)
}

/// Whether nobody believes or uses it.
fn goes(fact: &Fact, now: Time) -> bool {
    let is_old = now.signed_duration_since(*fact.updated_at) >= TimeDelta::days(UNUSED_DAYS);
    let is_unused = fact.uses == 0 && fact.wins == 0 && fact.losses == 0;
    fact.confidence < LEAST_CONFIDENCE && is_old && is_unused && !fact.is_constraint
}

/// The facts of one tenant, subject and kind, each joined with the newest that is like it.
fn merge(mut group: Vec<Arc<Fact>>) -> Vec<Arc<Fact>> {
    if group.len() == 1 {
        return group;
    }
    group.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| created(a).cmp(&created(b))));
    let (left, texts) = merge_same(group);
    merge_similar(left, &texts, STEPS)
}

/// Joins facts of exactly the same terms. Those without any are alike only if they are the same.
fn merge_same(group: Vec<Arc<Fact>>) -> (Vec<Arc<Fact>>, Vec<Text>) {
    let mut numbers = HashMap::new();
    let (mut left, mut texts): (Vec<Arc<Fact>>, Vec<Text>) = Default::default();
    let mut places: HashMap<(Text, Option<String>), usize> = HashMap::new();
    for fact in group {
        let text = Text::new(term_set(&fact.body), &mut numbers);
        let wordless = text.is_empty().then(|| fact.body.clone());
        match places.entry((text.clone(), wordless)) {
            Entry::Occupied(place) => join(Arc::make_mut(&mut left[*place.get()]), &fact),
            Entry::Vacant(place) => {
                place.insert(left.len());
                left.push(fact);
                texts.push(text);
            }
        }
    }
    (left, texts)
}

/// Joins facts whose terms are nearly the same. If that would take more than so many steps a text, all
/// are left as they are: if a part of them were joined, it would be another part the next time.
fn merge_similar(group: Vec<Arc<Fact>>, texts: &[Text], steps: usize) -> Vec<Arc<Fact>> {
    let mut similar = Similar::new(texts, steps * texts.len());
    let like: Option<Vec<Option<usize>>> =
        texts.iter().map(|text| similar.first_like_or_keep(text)).collect();
    let Some(like) = like else { return group };
    let mut left: Vec<Arc<Fact>> = Vec::new();
    for (fact, like) in group.into_iter().zip(like) {
        match like {
            Some(like) => join(Arc::make_mut(&mut left[like]), &fact),
            None => left.push(fact),
        }
    }
    left
}

/// Takes the older fact into the newer one.
fn join(newer: &mut Fact, older: &Fact) {
    for tag in &older.tags {
        if newer.tags.len() < MOST_TAGS && !newer.tags.contains(tag) {
            newer.tags.push(tag.clone());
        }
    }
    newer.created_at = newer.created_at.min(older.created_at);
    newer.uses = newer.uses.saturating_add(older.uses);
    newer.wins = newer.wins.saturating_add(older.wins);
    newer.losses = newer.losses.saturating_add(older.losses);
    newer.is_constraint |= older.is_constraint;
    newer.entry = newer.entry.or(older.entry);
}
