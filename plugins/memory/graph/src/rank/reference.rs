//! The ranking computed a second time, plainly, from the texts of facts alone.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::terms::{subject_key, terms, weighed};

/// All terms of a fact, those of the subject twice.
pub(super) fn bag(fact: &Fact) -> BTreeMap<String, f64> {
    let mut bag = BTreeMap::new();
    let mut count = |text: &str, times: f64| {
        terms(text, |term| *bag.entry(term.to_owned()).or_default() += times);
    };
    count(&fact.subject, 2.0);
    count(&fact.body, 1.0);
    fact.tags.iter().for_each(|tag| count(tag, 1.0));
    bag
}

/// What the ranking adds up for each fact that a tenant sees, computed from their texts alone.
pub(super) struct Reference {
    pub(super) facts: Vec<Fact>,
    bags: Vec<BTreeMap<String, f64>>,
}

impl Reference {
    pub(super) fn new(facts: &[Fact], tenant: Option<&str>) -> Self {
        let visible =
            |fact: &&Fact| fact.tenant_id.is_none() || fact.tenant_id.as_deref() == tenant;
        let facts: Vec<Fact> = facts.iter().filter(visible).cloned().collect();
        Self { bags: facts.iter().map(bag).collect(), facts }
    }

    fn idf(&self, holds: impl Fn(usize) -> bool) -> f64 {
        let holders = (0..self.facts.len()).filter(|at| holds(*at)).count() as f64;
        (1.0 + (self.facts.len() as f64 - holders + 0.5) / (holders + 0.5)).ln()
    }

    fn term_idf(&self, term: &str) -> f64 {
        self.idf(|at| self.bags[at].contains_key(term))
    }

    pub(super) fn lexical(&self, query: &str) -> Vec<(f64, f64)> {
        let asked: Vec<String> = Asked::of(query).terms.into_keys().collect();
        let length = |bag: &BTreeMap<String, f64>| bag.values().sum::<f64>();
        let average = self.bags.iter().map(length).sum::<f64>() / self.facts.len() as f64;
        let all: f64 = asked.iter().map(|term| self.term_idf(term)).sum();
        let scores = self.bags.iter().map(|bag| {
            let held = asked.iter().filter_map(|term| Some((self.term_idf(term), bag.get(term)?)));
            held.fold((0.0, 0.0), |sums, (idf, tf)| {
                let norm = 1.2 * (1.0 - 0.75 + 0.75 * length(bag) / average);
                (sums.0 + idf / all, sums.1 + idf * tf * 2.2 / (tf + norm))
            })
        });
        scores.collect()
    }

    /// The subjects that a text names, in its order.
    fn named(&self, text: &str) -> Vec<String> {
        let words = weighed(text);
        let keys: BTreeSet<String> = self.facts.iter().map(|it| subject_key(&it.subject)).collect();
        let (mut found, mut start) = (Vec::new(), 0);
        while start < words.len() {
            let name = |end: &usize| {
                let name: Vec<&str> = words[start..*end].iter().map(|it| it.0.as_str()).collect();
                let counts = words[start..*end].iter().any(|it| it.1);
                Some(name.join(" ")).filter(|name| counts && keys.contains(name))
            };
            let longest = (start + 1..=words.len()).rev().find(|end| name(end).is_some());
            let name = longest.and_then(|end| name(&end));
            found.extend(name.filter(|it| !found.contains(it)));
            start = longest.unwrap_or(start + 1);
        }
        found
    }

    /// Names of what a fact shares with others, each with how well it leads on.
    fn ways(&self, at: usize, asked: &BTreeSet<String>) -> Vec<(f64, Vec<usize>)> {
        let fact = &self.facts[at];
        let holders = |holds: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..self.facts.len()).filter(|at| holds(*at)).collect()
        };
        let of = |key: &str| holders(&|at| subject_key(&self.facts[at].subject) == *key);
        let own = subject_key(&fact.subject);
        let mut ways = Vec::new();
        if !asked.contains(&format!("subject {own}")) {
            ways.push((1.0, of(&own)));
        }
        for tag in &fact.tags {
            let key = subject_key(tag);
            let tagged = |at: usize| self.facts[at].tags.iter().any(|it| subject_key(it) == key);
            ways.push((1.0, holders(&tagged)));
        }
        let names = self.named(&fact.body).into_iter().filter(|it| *it != own);
        for (at, name) in names.enumerate() {
            if !asked.contains(&format!("subject {name}")) {
                ways.push((1.0 / (at as f64 + 1.0).sqrt(), of(&name)));
            }
        }
        for term in self.bags[at].keys().filter(|term| !asked.contains(&format!("term {term}"))) {
            ways.push((0.5, holders(&|at| self.bags[at].contains_key(term))));
        }
        ways.retain(|(weight, holders)| *weight != 0.5 || holders.len() <= 16);
        ways
    }

    /// What the walk brings to each fact, where all that hold a word of the query may lead on.
    pub(super) fn reached(&self, query: &str) -> Vec<f64> {
        let lexical = self.lexical(query);
        let most = lexical.iter().map(|it| it.1).fold(0.0, f64::max);
        let fit = |at: usize| 0.5 * lexical[at].0 + 0.3 * lexical[at].1 / most;
        let terms: Vec<String> = Asked::of(query).terms.into_keys().collect();
        let all: f64 = terms.iter().map(|term| self.term_idf(term)).sum();
        let share = |held: &dyn Fn(&String) -> bool| -> f64 {
            terms.iter().filter(|term| held(term)).map(|term| self.term_idf(term) / all).sum()
        };
        let holds = |at: usize, term: &String| self.bags[at].contains_key(term);
        let facts = 0..self.facts.len();
        let known = share(&|term| facts.clone().any(|at| holds(at, term)));
        let best = lexical.iter().map(|it| it.0).fold(0.0, f64::max);
        let subjects = self.named(query);
        let is_named = |at: &usize| subjects.contains(&subject_key(&self.facts[*at].subject));
        let mut seeds: Vec<usize> = facts.filter(|at| lexical[*at].0 > 0.0).collect();
        if seeds.iter().any(is_named) {
            seeds.retain(is_named);
        }
        let top = seeds.iter().map(|at| fit(*at)).fold(0.0, f64::max);
        let mut asked: BTreeSet<String> = terms.iter().map(|it| format!("term {it}")).collect();
        asked.extend(subjects.iter().map(|it| format!("subject {it}")));
        let mut reached = vec![0.0f64; self.facts.len()];
        for seed in seeds {
            for (weight, holders) in self.ways(seed, &asked) {
                for at in holders.into_iter().filter(|at| *at != seed) {
                    let more = share(&|term| holds(seed, term) || holds(at, term)) - best;
                    let adds = if more > 1e-9 { (more / (known - best)).powf(0.25) } else { 0.0 };
                    let strength = fit(seed) / top * weight;
                    reached[at] = reached[at].max(strength * (0.15 + 0.85 * adds));
                    reached[seed] = reached[seed].max(strength * 0.85 * adds);
                }
            }
        }
        reached
    }
}

/// The number of a fact.
pub(super) fn doc(graph: &Snapshot, wanted: &Fact) -> usize {
    let is = |at: &usize| {
        graph.docs.get(*at as u32).is_some_and(|it| {
            it.fact.fact_id == wanted.fact_id && it.fact.tenant_id == wanted.tenant_id
        })
    };
    (0..graph.docs.numbers()).find(is).expect("it is in the graph")
}
