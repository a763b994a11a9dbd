//! Which of many texts share nine tenths of their terms, without comparing all with all.
//!
//! By prefixes, as in R. Bayardo, Y. Ma, R. Srikant, "Scaling Up All Pairs Similarity Search" (2007):
//! if two sets share nine tenths of their union, and their members stand in one order, the rarest
//! first, then they share one of the first tenth of each. Nothing that is similar is missed. What shares
//! such a member is first compared by 128 bits, in which most pairs differ too much already.

use std::collections::{BTreeSet, HashMap, HashSet};

/// The terms of a text as numbers, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Text {
    terms: Box<[u32]>,
    /// One bit for each term, some for several.
    bits: u128,
}

impl Text {
    /// `numbers` gives each term one.
    pub(super) fn new(terms: HashSet<String>, numbers: &mut HashMap<String, u32>) -> Self {
        let number = |term: String| {
            let next = numbers.len() as u32;
            *numbers.entry(term).or_insert(next)
        };
        // In the order of their letters, so that the same texts are given the same numbers.
        let terms: BTreeSet<String> = terms.into_iter().collect();
        let mut terms: Box<[u32]> = terms.into_iter().map(number).collect();
        terms.sort_unstable();
        let bits = terms.iter().fold(0, |bits, term| bits | (1 << (term % u128::BITS)));
        Self { terms, bits }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the terms of both make up nine tenths of the terms of either. Counts the steps that it
    /// takes.
    fn is_like(&self, other: &Self, steps: &mut usize) -> bool {
        let lengths = (self.terms.len(), other.terms.len());
        let (small, large) = (lengths.0.min(lengths.1), lengths.0.max(lengths.1));
        *steps += 1;
        // A bit that one of them alone has stands for a term that the other lacks, and these are at
        // most a tenth of all terms, which are at most ten ninths of the smaller set.
        let lacking = (self.bits ^ other.bits).count_ones() as usize;
        // Shared terms are no more than the smaller set, so that many need no counting.
        if small * 10 < large * 9 || lacking * 9 > small {
            return false;
        }
        *steps += large;
        let shared = shared(&self.terms, &other.terms);
        shared * 10 >= (small + large - shared) * 9
    }
}

/// How many numbers two ascending sequences share.
fn shared(mut one: &[u32], mut other: &[u32]) -> usize {
    let mut shared = 0;
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        shared += usize::from(first == second);
        let (go, goes) = (first <= second, second <= first);
        one = if go { rest } else { one };
        other = if goes { others } else { other };
    }
    shared
}

/// Texts that were kept, found by their rarest terms.
pub(super) struct Similar<'a> {
    /// How many texts hold a term.
    holders: HashMap<u32, u32>,
    kept: Vec<&'a Text>,
    /// By term, the places in `kept` of texts that have it among their rarest, ascending.
    by_rare: HashMap<u32, Vec<usize>>,
    /// Steps that may still be taken.
    steps: usize,
}

impl<'a> Similar<'a> {
    /// For these texts; comparing them may take so many steps: pairs that are ruled out at a glance,
    /// and terms that are compared.
    pub(super) fn new(texts: &[Text], steps: usize) -> Self {
        let mut holders = HashMap::new();
        for term in texts.iter().flat_map(|text| &text.terms) {
            *holders.entry(*term).or_default() += 1;
        }
        Self { holders, kept: Vec::new(), by_rare: HashMap::new(), steps }
    }

    /// The place among those that were kept of the first that is like this one; else it is kept. `None`
    /// once all steps are taken.
    pub(super) fn first_like_or_keep(&mut self, text: &'a Text) -> Option<Option<usize>> {
        let rarest = self.rarest(text);
        let mut like = usize::MAX;
        for places in rarest.iter().filter_map(|term| self.by_rare.get(term)) {
            let mut steps = 0;
            let mut earlier = places.iter().take_while(|place| **place < like);
            let found = earlier.find(|place| text.is_like(self.kept[**place], &mut steps));
            self.steps = self.steps.checked_sub(steps)?;
            like = found.map_or(like, |place| *place);
        }
        if like < usize::MAX {
            return Some(Some(like));
        }
        for term in rarest {
            self.by_rare.entry(term).or_default().push(self.kept.len());
        }
        self.kept.push(text);
        Some(None)
    }

    /// The first terms of a text, of which one is shared by every text that is like it.
    fn rarest(&self, text: &Text) -> Vec<u32> {
        let holders = |term: &u32| self.holders.get(term).copied().unwrap_or_default();
        let mut terms: Vec<(u32, u32)> = text.terms.iter().map(|it| (holders(it), *it)).collect();
        terms.sort_unstable();
        let shared = (terms.len() * 9).div_ceil(10);
        terms.truncate(terms.len() - shared + 1);
        terms.into_iter().map(|it| it.1).collect()
    }
}
