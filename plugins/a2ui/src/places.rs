//! Places for what is on its way to peers: so many in all, and so many of each.

use std::{collections::HashMap, sync::Arc};

use carport_core::Guarded;

/// Places, which are taken without waiting.
pub(crate) struct Places {
    taken: Guarded<Taken>,
    all: usize,
    each: usize,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// By origin or agent; who has none is not there.
    by: HashMap<String, usize>,
}

/// A place, free again when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    whose: Vec<String>,
}

impl Places {
    /// `all` in all, and `each` of each.
    pub(crate) fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { taken: Guarded::default(), all, each })
    }

    /// A place that counts for each of those whose it is.
    ///
    /// # Errors
    /// How many there are, if all of these are taken.
    pub(crate) fn take(self: &Arc<Self>, whose: Vec<String>) -> Result<Place, usize> {
        let mut taken = self.taken.lock();
        if taken.all >= self.all {
            return Err(self.all);
        }
        if whose.iter().any(|it| taken.by.get(it).is_some_and(|own| *own >= self.each)) {
            return Err(self.each);
        }
        taken.all += 1;
        for it in &whose {
            *taken.by.entry(it.clone()).or_default() += 1;
        }
        Ok(Place { places: self.clone(), whose })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        for it in &self.whose {
            if let Some(own) = taken.by.get_mut(it) {
                *own -= 1;
                if *own == 0 {
                    taken.by.remove(it);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places() {
        let places = Places::new(3, 2);
        let whose = |of: &[&str]| of.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let first = places.take(whose(&["a", "agent"])).ok();
        let _second = places.take(whose(&["a"])).ok();
        assert_eq!(places.take(whose(&["a"])).err(), Some(2));
        let _third = places.take(whose(&["b", "agent"])).ok();
        assert_eq!(places.take(whose(&["c"])).err(), Some(3));
        drop(first);
        assert!(places.take(whose(&["a", "agent"])).is_ok());
        assert_eq!(places.taken.lock().by.len(), 3);
    }
}
