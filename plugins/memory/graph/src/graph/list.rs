//! The facts that hold a hub.

use smallvec::SmallVec;

use super::{chunked::Chunked, hub::Posting};

/// So many stand in the list itself, as most lists are short.
const SHORT: usize = 64;

/// Postings in no order. Short lists are one piece of memory; of longer ones, clones share what they
/// have in common.
#[derive(Debug, Clone)]
pub(crate) enum List {
    Short(SmallVec<[Posting; 4]>),
    Long(Chunked<Posting>),
}

impl Default for List {
    fn default() -> Self {
        Self::Short(SmallVec::new())
    }
}

impl List {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Short(list) => list.len(),
            Self::Long(list) => list.len(),
        }
    }

    /// The postings, a piece at a time.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[Posting]> {
        let (short, long) = match self {
            Self::Short(list) => (Some(list.as_slice()), None),
            Self::Long(list) => (None, Some(list.pieces())),
        };
        short.into_iter().chain(long.into_iter().flatten())
    }

    pub(super) fn push(&mut self, posting: Posting) {
        match self {
            Self::Short(list) if list.len() < SHORT => list.push(posting),
            Self::Short(list) => {
                let mut long = Chunked::default();
                list.drain(..).chain([posting]).for_each(|it| long.push(it));
                *self = Self::Long(long);
            }
            Self::Long(list) => list.push(posting),
        }
    }

    /// Takes a fact out; `false` if it is not there.
    pub(super) fn remove(&mut self, doc: u32) -> bool {
        let mut postings = self.pieces().flatten();
        let Some(at) = postings.position(|it| it.doc == doc) else { return false };
        drop(postings);
        match self {
            Self::Short(list) => {
                list.swap_remove(at);
                list.shrink_to_fit();
            }
            Self::Long(list) => {
                // The order means nothing, so that the last one may take the free place.
                let last = list.pop();
                if let (Some(place), Some(last)) = (list.get_mut(at), last) {
                    *place = last;
                }
                if list.len() <= SHORT {
                    *self = Self::Short(list.pieces().flatten().copied().collect());
                }
            }
        }
        true
    }

    /// Bytes that it takes beside itself; they follow from its length alone.
    pub(super) fn bytes(&self) -> usize {
        let each = size_of::<Posting>();
        match self {
            Self::Short(list) if list.len() <= list.inline_size() => 0,
            Self::Short(list) => list.len().next_power_of_two() * each + 16,
            // Of each chunk its own 40 bytes and its allocations; of the last one what it may grow to.
            Self::Long(list) => (list.len() + 256) * each + (list.len() / 256 + 1) * 96 + 96,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_not_taken_out(steps in vec((any::<bool>(), 0..400u32), 0..1500)) {
            let (mut list, mut plain) = (List::default(), std::collections::BTreeSet::new());
            for (puts, doc) in steps {
                if puts && plain.insert(doc) {
                    list.push(Posting { doc, count: 1, length: 2 });
                } else if !puts {
                    prop_assert_eq!(list.remove(doc), plain.remove(&doc));
                }
                prop_assert_eq!(list.len(), plain.len());
            }
            let mut docs: Vec<u32> = list.pieces().flatten().map(|it| it.doc).collect();
            docs.sort_unstable();
            prop_assert_eq!(docs, plain.into_iter().collect::<Vec<_>>());
        }
    }
}
