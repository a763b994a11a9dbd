//! A fact in its graph, and the terms that it holds.

use std::{collections::BTreeMap, sync::Arc};

use carport_core::Time;

use super::{
    hub::{HubKind, Hubs, Posting},
    part::{PartId, TURNS},
};
use crate::{fact::Fact, terms};

/// A fact, or a turn, with its links.
#[derive(Debug, Clone)]
pub(crate) struct Doc {
    pub(crate) fact: Arc<Fact>,
    pub(crate) part: PartId,
    /// The hubs that it holds, none twice: its subject, its tags, its terms. A turn has terms only.
    pub(crate) links: Box<[u32]>,
    /// How many of these are no terms.
    pub(crate) untermed: u16,
    /// Its terms, those of the subject twice.
    pub(crate) length: u16,
}

impl Doc {
    /// Its place in the order of creation.
    pub(crate) fn created(&self) -> (Time, Arc<str>) {
        (self.fact.created_at, self.fact.fact_id.clone())
    }

    /// Links a fact with what it holds. `at` is the number that it has.
    pub(crate) fn link(fact: Arc<Fact>, part: PartId, at: u32, hubs: &mut Hubs) -> Self {
        let held = Held::of(&fact);
        let length = short(held.length);
        let mut links = Vec::with_capacity(held.terms.len() + fact.tags.len() + 1);
        // Turns hold nothing but terms.
        if part != TURNS {
            links.push(hubs.ensure(HubKind::Subject, &terms::subject_key(&fact.subject)));
            for tag in &fact.tags {
                let hub = hubs.ensure(HubKind::Tag, &terms::subject_key(tag));
                if !links.contains(&hub) {
                    links.push(hub);
                }
            }
        }
        let untermed = short(links.len());
        for hub in &links {
            hubs.link(*hub, part, Posting { doc: at, count: 1, length });
        }
        for (term, count) in held.terms {
            let hub = hubs.ensure(HubKind::Term, &term);
            hubs.link(hub, part, Posting { doc: at, count: short(count), length });
            links.push(hub);
        }
        Self { fact, part, links: links.into(), untermed, length }
    }

    /// Takes all its links away.
    pub(crate) fn unlink(&self, at: u32, hubs: &mut Hubs) {
        for hub in &self.links {
            hubs.unlink(*hub, self.part, at);
        }
    }

    /// Whether another fact in its place would have the same links.
    pub(crate) fn links_as(&self, other: &Fact) -> bool {
        let own = &self.fact;
        own.subject == other.subject && own.body == other.body && own.tags == other.tags
    }
}

/// The terms that a fact holds in subject, body and tags.
struct Held {
    /// How often each; those of the subject count twice.
    terms: BTreeMap<String, usize>,
    length: usize,
}

impl Held {
    fn of(fact: &Fact) -> Self {
        let mut held = Self { terms: BTreeMap::new(), length: 0 };
        held.count(&fact.subject, 2);
        held.count(&fact.body, 1);
        fact.tags.iter().for_each(|tag| held.count(tag, 1));
        held
    }

    fn count(&mut self, text: &str, times: usize) {
        terms::terms(text, |term| {
            self.length += times;
            match self.terms.get_mut(term) {
                Some(count) => *count += times,
                None => drop(self.terms.insert(term.to_owned(), times)),
            }
        });
    }
}

/// No text within the bounds has more terms than fit, save for ligatures of whole phrases.
fn short(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
