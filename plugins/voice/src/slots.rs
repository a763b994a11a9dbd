//! How many blocking workers may work at once.

use std::sync::{Arc, Condvar, PoisonError};

use carport_core::Guarded;

/// One place fewer than the machine has cores, and one at the least.
pub(crate) struct Slots {
    free: Guarded<usize>,
    changed: Condvar,
}

/// A place. It is free again when this is dropped, by its worker or by whoever gives the worker up.
pub(crate) struct Permit(Arc<Slots>);

impl Slots {
    pub(crate) fn of_machine() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.saturating_sub(1).max(1))
    }

    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { free: Guarded::new(places), changed: Condvar::new() })
    }

    /// Waits for a place on the calling thread, until `unwanted` says that it needs none any more.
    pub(crate) fn take(self: &Arc<Self>, unwanted: impl Fn() -> bool) -> Option<Permit> {
        let mut free = self.free.lock();
        while *free == 0 {
            if unwanted() {
                return None;
            }
            free = self.changed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Some(Permit(self.clone()))
    }

    /// Has everybody who waits look again whether it still wants a place.
    pub(crate) fn look_again(&self) {
        drop(self.free.lock());
        self.changed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    #[test]
    fn no_more_work_at_once_than_there_are_places() {
        let slots = Slots::new(2);
        let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let permit = slots.take(|| false);
                        most.fetch_max(
                            at_once.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        thread::yield_now();
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!((most.load(Ordering::SeqCst), *slots.free.lock()), (2, 2));
    }

    #[test]
    fn whoever_waits_can_be_called_off() {
        let (slots, off) = (Slots::new(1), AtomicBool::new(false));
        let held = slots.take(|| false);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take(|| off.load(Ordering::SeqCst)).is_none());
            off.store(true, Ordering::SeqCst);
            slots.look_again();
            assert!(waiting.join().unwrap());
        });
        drop(held);
        assert!(slots.take(|| true).is_some());
    }
}
