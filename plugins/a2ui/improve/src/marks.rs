//! Marks that stay until a surface is created anew.

use std::{collections::HashSet, hash::Hash as Hashed};

use crate::ring::{Hash, hash};

/// Marks of one kind that are kept for a surface.
const MOST: usize = 1024;

/// A set of marks, each kept as its hash: eight bytes whatever it is about.
#[derive(Default)]
pub(crate) struct Marks(HashSet<Hash>);

impl Marks {
    /// Puts down a mark.
    pub(crate) fn set(&mut self, mark: &(impl Hashed + ?Sized)) {
        if self.0.len() < MOST {
            self.0.insert(hash(mark));
        }
    }

    /// Whether the mark was put down. A full set says so of everything: whoever fills it up makes the loop
    /// silent and never forgetful.
    pub(crate) fn has(&self, mark: &(impl Hashed + ?Sized)) -> bool {
        self.0.len() >= MOST || (!self.is_empty() && self.0.contains(&hash(mark)))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_set_has_everything_and_does_not_grow() {
        let mut marks = Marks::default();
        for at in 0..MOST {
            assert!(!marks.has(&at));
            marks.set(&at);
            assert!(marks.has(&at));
        }
        marks.set(&"one more");
        assert!(marks.has(&0) && marks.has(&"another") && marks.0.len() == MOST);
    }
}
