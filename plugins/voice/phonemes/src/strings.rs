//! A list of strings in one piece of memory, found by binary search when it is sorted.

/// Many short strings without an allocation each: 4 bytes a string over its letters.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    /// The strings in the order given.
    pub(crate) fn collect<'s>(items: impl Iterator<Item = &'s str>) -> Self {
        let mut all = Self::default();
        items.for_each(|item| all.push(item));
        all.shrink();
        all
    }

    /// Adds one at the end. The files hold a few megabytes, far below what 32 bits count.
    pub(crate) fn push(&mut self, item: &str) {
        self.text.push_str(item);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    /// Gives back what was reserved for more.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[index] as usize]
    }

    /// Where `wanted` stands; the strings must be sorted by their bytes.
    pub(crate) fn find(&self, wanted: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Strings;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn finds_what_is_there_and_nothing_else(
            all in prop::collection::btree_set("[a-zé]{0,6}", 0..60), other in "[a-zé]{0,6}",
        ) {
            let all: BTreeSet<String> = all;
            let table = Strings::collect(all.iter().map(String::as_str));
            for (index, item) in all.iter().enumerate() {
                prop_assert_eq!(table.find(item), Some(index));
                prop_assert_eq!(table.get(index), item);
            }
            prop_assert_eq!(table.find(&other).is_some(), all.contains(&other));
        }
    }
}
