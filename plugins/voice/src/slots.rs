//! How many blocking workers may work at once.

use std::sync::{Arc, Condvar, PoisonError};

use carport_core::Guarded;

/// One place fewer than the machine has cores, and one at the least.
pub(crate) struct Slots {
    free: Guarded<usize>,
    changed: Condvar,
}

/// A place. It is free again when this is dropped, by its worker or by whoever gives the worker up.
pub(crate) struct Permit(Option<Arc<Slots>>);

impl Slots {
    pub(crate) fn of_machine() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.saturating_sub(1).max(1))
    }

    fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { free: Guarded::new(places), changed: Condvar::new() })
    }

    /// Waits for a place on the calling thread, until `unwanted` says that it needs none any more. Work
    /// that only `waits`, for a server or a program, takes none from those who compute.
    pub(crate) fn take(
        self: &Arc<Self>,
        waits: bool,
        unwanted: impl Fn() -> bool,
    ) -> Option<Permit> {
        if waits {
            return Some(Permit(None));
        }
        let mut free = self.free.lock();
        while *free == 0 {
            if unwanted() {
                return None;
            }
            free = self.changed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Some(Permit(Some(self.clone())))
    }

    /// Has everybody who waits look again whether it still wants a place.
    pub(crate) fn look_again(&self) {
        drop(self.free.lock());
        self.changed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slots) = &self.0 {
            *slots.free.lock() += 1;
            slots.changed.notify_all();
        }
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
                        let permit = slots.take(false, || false);
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
        let held = slots.take(false, || false);
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| slots.take(false, || off.load(Ordering::SeqCst)).is_none());
            off.store(true, Ordering::SeqCst);
            slots.look_again();
            assert!(waiting.join().unwrap());
        });
        assert!(slots.take(true, || true).is_some(), "who waits needs no place");
        drop(held);
        assert!(slots.take(false, || true).is_some());
    }
}
