//! Two orders of creation read as one, from either end.

use std::sync::Arc;

use carport_core::Time;

/// A place in the order of creation, and the number of the fact there.
pub(super) type Entry<'a> = (&'a (Time, Arc<str>), &'a u32);

/// Two sorted sequences as one. Of equal ones the first sequence's comes first.
pub(super) struct Merge<'a, I> {
    one: Side<'a, I>,
    other: Side<'a, I>,
}

/// A sequence of which the outermost entries at both ends may have been taken out to be compared.
struct Side<'a, I> {
    rest: I,
    front: Option<Entry<'a>>,
    back: Option<Entry<'a>>,
}

impl<'a, I: DoubleEndedIterator<Item = Entry<'a>>> Side<'a, I> {
    fn first(&mut self) -> Option<Entry<'a>> {
        self.front = self.front.or_else(|| self.rest.next());
        self.front.or(self.back)
    }

    fn last(&mut self) -> Option<Entry<'a>> {
        self.back = self.back.or_else(|| self.rest.next_back());
        self.back.or(self.front)
    }

    fn take_first(&mut self) -> Option<u32> {
        let first = self.first()?;
        if self.front.take().is_none() {
            self.back = None;
        }
        Some(*first.1)
    }

    fn take_last(&mut self) -> Option<u32> {
        let last = self.last()?;
        if self.back.take().is_none() {
            self.front = None;
        }
        Some(*last.1)
    }
}

impl<'a, I: DoubleEndedIterator<Item = Entry<'a>>> Merge<'a, I> {
    pub(super) fn new(one: I, other: I) -> Self {
        let side = |rest| Side { rest, front: None, back: None };
        Self { one: side(one), other: side(other) }
    }
}

impl<'a, I: DoubleEndedIterator<Item = Entry<'a>>> Iterator for Merge<'a, I> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match (self.one.first(), self.other.first()) {
            (Some(one), Some(other)) if other.0 < one.0 => self.other.take_first(),
            (None, _) => self.other.take_first(),
            _ => self.one.take_first(),
        }
    }
}

impl<'a, I: DoubleEndedIterator<Item = Entry<'a>>> DoubleEndedIterator for Merge<'a, I> {
    fn next_back(&mut self) -> Option<u32> {
        match (self.one.last(), self.other.last()) {
            (Some(one), Some(other)) if one.0 > other.0 => self.one.take_last(),
            (_, None) => self.one.take_last(),
            _ => self.other.take_last(),
        }
    }
}

#[cfg(test)]
mod tests {
    use carport_core::Time;
    use imbl::OrdMap;
    use proptest::prelude::*;

    use super::*;

    fn map(ids: &[u8], side: u32) -> OrdMap<(Time, Arc<str>), u32> {
        let entry =
            |id: &u8| ((Time::default(), format!("{id:03}").into()), u32::from(*id) * 2 + side);
        ids.iter().map(entry).collect()
    }

    proptest! {
        #[test]
        fn two_orders_read_as_one_from_either_end(
            one in proptest::collection::vec(any::<u8>(), 0..8),
            other in proptest::collection::vec(any::<u8>(), 0..8),
            ends in proptest::collection::vec(any::<bool>(), 20),
        ) {
            let (one, other) = (map(&one, 0), map(&other, 1));
            let mut expected: Vec<u32> = one.values().chain(other.values()).copied().collect();
            expected.sort_unstable();
            let mut merged = Merge::new(one.iter(), other.iter());
            let (mut front, mut back) = (Vec::new(), Vec::new());
            for from_front in ends {
                match from_front {
                    true => front.extend(merged.next()),
                    false => back.extend(merged.next_back()),
                }
            }
            front.extend(back.into_iter().rev());
            prop_assert_eq!(front, expected);
        }
    }
}
