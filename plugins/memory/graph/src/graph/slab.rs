//! Numbered places that clones share until one of them changes.

use std::sync::Arc;

use super::chunked::Chunked;

/// Values at numbers that stay theirs.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Chunked<Option<Arc<T>>>,
    free: Chunked<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Chunked::default(), free: Chunked::default() }
    }
}

impl<T> Clone for Slab<T> {
    fn clone(&self) -> Self {
        Self { places: self.places.clone(), free: self.free.clone() }
    }
}

impl<T: Clone> Slab<T> {
    /// Takes a value in and says its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let at = self.reserve();
        self.set(at, value);
        at
    }

    /// A number for a value that is not made yet.
    pub(crate) fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        })
    }

    /// Puts a value under a number that was given.
    pub(crate) fn set(&mut self, at: u32, value: T) {
        if let Some(place) = self.places.get_mut(at as usize) {
            *place = Some(value.into());
        }
    }

    /// Frees a number.
    pub(crate) fn remove(&mut self, at: u32) {
        if let Some(place) = self.places.get_mut(at as usize)
            && place.take().is_some()
        {
            self.free.push(at);
        }
    }

    pub(crate) fn get(&self, at: u32) -> Option<&Arc<T>> {
        self.places.get(at as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.places.get_mut(at as usize)?.as_mut().map(Arc::make_mut)
    }

    /// One more than the highest number that was ever given.
    pub(crate) fn numbers(&self) -> usize {
        self.places.len()
    }
}
