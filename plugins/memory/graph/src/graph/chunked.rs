//! A growing sequence that clones share until one of them changes.

use std::sync::Arc;

/// Items of a chunk.
const CHUNK: usize = 256;

/// Items by number. A clone costs nothing and stays as it is; a change after one copies a chunk and
/// the list of chunks. Reading is two steps of memory, which is what a query does most.
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    chunks: Arc<Vec<Arc<Vec<T>>>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Arc::default() }
    }
}

impl<T> Clone for Chunked<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone() }
    }
}

impl<T: Clone> Chunked<T> {
    pub(crate) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        let chunk = Arc::make_mut(&mut self.chunks).get_mut(at / CHUNK)?;
        Arc::make_mut(chunk).get_mut(at % CHUNK)
    }

    pub(crate) fn push(&mut self, item: T) {
        let chunks = Arc::make_mut(&mut self.chunks);
        match chunks.last_mut().filter(|last| last.len() < CHUNK) {
            Some(last) => Arc::make_mut(last).push(item),
            None => chunks.push(Arc::new(vec![item])),
        }
    }

    /// Takes the last one out.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let chunks = Arc::make_mut(&mut self.chunks);
        let item = Arc::make_mut(chunks.last_mut()?).pop();
        if chunks.last().is_some_and(|last| last.is_empty()) {
            chunks.pop();
        }
        item
    }

    /// The items, a piece at a time.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[T]> {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_vector_whose_clones_stay(steps in vec((0..5u8, 0..2000usize), 0..900)) {
            let (mut chunked, mut plain) = (Chunked::default(), Vec::new());
            let mut clones = Vec::new();
            for (step, number) in steps {
                match step {
                    0 => prop_assert_eq!(chunked.pop(), plain.pop()),
                    1 => {
                        if let Some(item) = chunked.get_mut(number) {
                            *item = number;
                            plain[number] = number;
                        }
                    }
                    _ => {
                        chunked.push(number);
                        plain.push(number);
                    }
                }
                if number % 100 == 0 {
                    clones.push((chunked.clone(), plain.clone()));
                }
            }
            clones.push((chunked, plain));
            for (chunked, plain) in clones {
                prop_assert_eq!(chunked.len(), plain.len());
                prop_assert_eq!(chunked.pieces().flatten().copied().collect::<Vec<_>>(), plain.clone());
                prop_assert!((0..plain.len()).all(|at| chunked.get(at) == plain.get(at)));
            }
        }
    }
}
