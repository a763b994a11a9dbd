//! How many blocking workers may work at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, PoisonError},
};

use carport_core::Guarded;

/// One place fewer than the machine has cores, and one at the least. Who asked first is first to get one,
/// so that a long file keeps no stream waiting for more than a decode.
pub(crate) struct Slots {
    queue: Guarded<Queue>,
    changed: Condvar,
}

/// Who waits, by number.
struct Queue {
    free: usize,
    next: u64,
    waiting: VecDeque<u64>,
}

/// A place. It is free again when this is dropped, by its worker or by whoever gives the worker up.
pub(crate) struct Permit(Option<Arc<Slots>>);

impl Slots {
    pub(crate) fn of_machine() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.saturating_sub(1).max(1))
    }

    fn new(free: usize) -> Arc<Self> {
        let queue = Queue { free, next: 0, waiting: VecDeque::new() };
        Arc::new(Self { queue: Guarded::new(queue), changed: Condvar::new() })
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
        let mut queue = self.queue.lock();
        let mine = queue.next;
        queue.next += 1;
        queue.waiting.push_back(mine);
        loop {
            let is_first = queue.waiting.front() == Some(&mine);
            let has_place = queue.free > 0 && is_first;
            if has_place || unwanted() {
                queue.waiting.retain(|it| *it != mine);
                queue.free -= usize::from(has_place);
                drop(queue);
                // Whoever is first now may find a place.
                self.changed.notify_all();
                return has_place.then(|| Permit(Some(self.clone())));
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether somebody waits for a place. Work that takes long looks now and then, and steps back.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.queue.lock().waiting.is_empty()
    }

    /// Has everybody who waits look again whether it still wants a place.
    pub(crate) fn look_again(&self) {
        drop(self.queue.lock());
        self.changed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(slots) = &self.0 {
            slots.queue.lock().free += 1;
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
        assert_eq!((most.load(Ordering::SeqCst), slots.queue.lock().free), (2, 2));
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

    #[test]
    fn who_steps_back_goes_behind_those_who_wait() {
        let (slots, order) = (Slots::new(1), Guarded::new(Vec::new()));
        let first = slots.take(false, || false);
        thread::scope(|scope| {
            for name in 1..=3 {
                let (slots, order) = (&slots, &order);
                scope.spawn(move || {
                    let place = slots.take(false, || false);
                    order.lock().push(name);
                    drop(place);
                });
                while slots.queue.lock().waiting.len() < name {
                    thread::yield_now();
                }
            }
            assert!(slots.is_wanted());
            drop(first);
            drop(slots.take(false, || false));
            order.lock().push(4);
        });
        assert_eq!(*order.lock(), [1, 2, 3, 4]);
        assert!(!slots.is_wanted());
    }
}
