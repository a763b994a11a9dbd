//! Which of many texts share nine tenths of their terms, without comparing all with all.
//!
//! By prefixes, as in R. Bayardo, Y. Ma, R. Srikant, "Scaling Up All Pairs Similarity Search" (2007):
//! if two sets share nine tenths of their union, and their members stand in one order, the rarest
//! first, then they share one of the first tenth of each. Nothing that is similar is missed.

use std::collections::{HashMap, HashSet};

/// The terms of a text as numbers.
pub(super) struct Text(HashSet<u32>);

impl Text {
    /// `numbers` gives each term one.
    pub(super) fn new(terms: HashSet<String>, numbers: &mut HashMap<String, u32>) -> Self {
        let number = |term: String| {
            let next = numbers.len() as u32;
            *numbers.entry(term).or_insert(next)
        };
        Self(terms.into_iter().map(number).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the terms of both make up nine tenths of the terms of either.
    fn is_like(&self, other: &Self) -> bool {
        let (small, large) =
            if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        // Shared terms are no more than the smaller set, so that many need no counting.
        if small.0.len() * 10 < large.0.len() * 9 {
            return false;
        }
        let shared = small.0.iter().filter(|term| large.0.contains(term)).count();
        shared * 10 >= (small.0.len() + large.0.len() - shared) * 9
    }
}

/// Texts that were kept, found by their rarest terms.
pub(super) struct Similar<'a> {
    /// How many texts hold a term.
    holders: HashMap<u32, u32>,
    kept: Vec<(&'a Text, usize)>,
    /// By term, the places in `kept` of texts that have it among their rarest.
    by_rare: HashMap<u32, Vec<usize>>,
}

impl<'a> Similar<'a> {
    /// For these texts.
    pub(super) fn new(texts: &[Text]) -> Self {
        let mut holders = HashMap::new();
        for term in texts.iter().flat_map(|text| &text.0) {
            *holders.entry(*term).or_default() += 1;
        }
        Self { holders, kept: Vec::new(), by_rare: HashMap::new() }
    }

    /// The number under which the first text that is like this one was kept.
    pub(super) fn first_like(&self, text: &Text) -> Option<usize> {
        let mut places: Vec<usize> = self
            .rarest(text)
            .filter_map(|term| self.by_rare.get(&term))
            .flatten()
            .copied()
            .collect();
        places.sort_unstable();
        places.dedup();
        let kept = places.into_iter().map(|place| self.kept[place]);
        kept.into_iter().find(|(other, _)| text.is_like(other)).map(|(_, number)| number)
    }

    /// Keeps a text under a number.
    pub(super) fn keep(&mut self, text: &'a Text, number: usize) {
        let rarest: Vec<u32> = self.rarest(text).collect();
        for term in rarest {
            self.by_rare.entry(term).or_default().push(self.kept.len());
        }
        self.kept.push((text, number));
    }

    /// The first terms of a text, of which one is shared by every text that is like it.
    fn rarest(&self, text: &Text) -> impl Iterator<Item = u32> + use<> {
        let mut terms: Vec<(u32, u32)> = text
            .0
            .iter()
            .map(|term| (self.holders.get(term).copied().unwrap_or_default(), *term))
            .collect();
        terms.sort_unstable();
        let shared = (text.0.len() * 9).div_ceil(10);
        terms.truncate(text.0.len() - shared + 1);
        terms.into_iter().map(|it| it.1)
    }
}
