//! How many blocking workers may work at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, PoisonError},
    time::{Duration, Instant},
};

use carport_core::Guarded;
use carport_voice_api::Cancel;

/// How long a text that may as well come later waits for a place. Sound that came meanwhile is heard then.
const PATIENCE: Duration = Duration::from_millis(60);

/// One place fewer than the machine has cores, and one at the least. What somebody waits for comes first,
/// then who asked first, so that a long file keeps no stream waiting for more than a decode.
pub(crate) struct Slots {
    queue: Guarded<Queue>,
    changed: Condvar,
}

/// What a place is wanted for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Need<'a> {
    /// Text for good or speech: somebody waits for it.
    Now,
    /// A whole file.
    Later,
    /// Text that will be replaced: soon or not at all, and called off when somebody else needs the place now.
    Spare(&'a Cancel),
}

/// Who waits: those who need a place now before the others, by number.
struct Queue {
    free: usize,
    next: u64,
    waiting: BTreeSet<(bool, u64)>,
    /// What may be called off of the work that goes on.
    spare: Vec<Cancel>,
}

/// A place. It is free again when this is dropped, by its worker or by whoever gives the worker up.
pub(crate) struct Permit(Option<(Arc<Slots>, Option<Cancel>)>);

impl Slots {
    pub(crate) fn of_machine() -> Arc<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(cores.saturating_sub(1).max(1))
    }

    fn new(free: usize) -> Arc<Self> {
        let queue = Queue { free, next: 0, waiting: BTreeSet::new(), spare: Vec::new() };
        Arc::new(Self { queue: Guarded::new(queue), changed: Condvar::new() })
    }

    /// Waits for a place on the calling thread, until `unwanted` says that it needs none any more. Work
    /// that only `waits`, for a server or a program, takes none from those who compute.
    pub(crate) fn take(
        self: &Arc<Self>,
        need: Need<'_>,
        waits: bool,
        unwanted: impl Fn() -> bool,
    ) -> Option<Permit> {
        if waits {
            return Some(Permit(None));
        }
        let until = Instant::now() + PATIENCE;
        let (can_wait, spare) = match need {
            Need::Now => (false, None),
            Need::Later => (true, None),
            Need::Spare(cancel) => (true, Some(cancel)),
        };
        let mut queue = self.queue.lock();
        let mine = (can_wait, queue.next);
        queue.next += 1;
        queue.waiting.insert(mine);
        if !can_wait
            && queue.free < queue.waiting.range(..(true, 0)).count()
            && let Some(spare) = queue.spare.pop()
        {
            spare.cancel();
        }
        loop {
            let has_place = queue.free > 0 && queue.waiting.first() == Some(&mine);
            let left = until.saturating_duration_since(Instant::now());
            let gives_up = unwanted() || (spare.is_some() && left.is_zero());
            if has_place || gives_up {
                queue.waiting.remove(&mine);
                queue.free -= usize::from(has_place);
                queue.spare.extend(spare.filter(|_| has_place).cloned());
                drop(queue);
                // Whoever is first now may find a place.
                self.changed.notify_all();
                return has_place.then(|| Permit(Some((self.clone(), spare.cloned()))));
            }
            queue = match spare {
                Some(_) => {
                    let waited = self.changed.wait_timeout(queue, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
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
        if let Some((slots, spare)) = &self.0 {
            let mut queue = slots.queue.lock();
            queue.free += 1;
            queue.spare.retain(|it| Some(it) != spare.as_ref());
            drop(queue);
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
                        let permit = slots.take(Need::Now, false, || false);
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
        let held = slots.take(Need::Now, false, || false);
        thread::scope(|scope| {
            let waiting = scope
                .spawn(|| slots.take(Need::Now, false, || off.load(Ordering::SeqCst)).is_none());
            off.store(true, Ordering::SeqCst);
            slots.look_again();
            assert!(waiting.join().unwrap());
        });
        assert!(slots.take(Need::Now, true, || true).is_some(), "who waits needs no place");
        drop(held);
        assert!(slots.take(Need::Now, false, || true).is_some());
    }

    #[test]
    fn who_steps_back_goes_behind_those_who_wait() {
        let (slots, order) = (Slots::new(1), Guarded::new(Vec::new()));
        let first = slots.take(Need::Now, false, || false);
        thread::scope(|scope| {
            for name in 1..=3 {
                let (slots, order) = (&slots, &order);
                scope.spawn(move || {
                    let place = slots.take(Need::Now, false, || false);
                    order.lock().push(name);
                    drop(place);
                });
                while slots.queue.lock().waiting.len() < name {
                    thread::yield_now();
                }
            }
            assert!(slots.is_wanted());
            drop(first);
            drop(slots.take(Need::Now, false, || false));
            order.lock().push(4);
        });
        assert_eq!(*order.lock(), [1, 2, 3, 4]);
        assert!(!slots.is_wanted());
    }

    #[test]
    fn what_needed_a_place_now_and_steps_back_for_later_lets_a_file_go_first() {
        let (slots, order) = (Slots::new(1), Guarded::new(Vec::new()));
        let speech = slots.take(Need::Now, false, || false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let place = slots.take(Need::Later, false, || false);
                order.lock().push("file");
                drop(place);
            });
            while !slots.is_wanted() {
                thread::yield_now();
            }
            drop(speech);
            let place = slots.take(Need::Later, false, || false);
            order.lock().push("speech");
            drop(place);
        });
        assert_eq!(*order.lock(), ["file", "speech"]);
    }

    #[test]
    fn a_place_that_somebody_else_waits_for_is_none() {
        let (slots, stop) = (Slots::new(2), Cancel::default());
        let _partial = slots.take(Need::Spare(&stop), false, || false);
        drop(slots.take(Need::Now, false, || false));
        assert!(!stop.is_cancelled(), "there was a place for it");
        // It waits, and did not see yet that a place is free.
        slots.queue.lock().waiting.insert((false, u64::MAX));
        assert!(slots.take(Need::Now, false, || false).is_some());
        assert!(stop.is_cancelled(), "two need a place, and one is free");
    }

    #[test]
    fn who_needs_a_place_now_goes_first_and_calls_off_what_can_be_made_later() {
        let (slots, order, stop) = (Slots::new(1), Guarded::new(Vec::new()), Cancel::default());
        let partial = slots.take(Need::Spare(&stop), false, || false);
        assert!(partial.is_some() && !stop.is_cancelled());
        thread::scope(|scope| {
            for (nth, need) in [Need::Later, Need::Now].into_iter().enumerate() {
                let (slots, order) = (&slots, &order);
                scope.spawn(move || {
                    let place = slots.take(need, false, || false);
                    order.lock().push(nth);
                    drop(place);
                });
                while slots.queue.lock().waiting.len() <= nth {
                    thread::yield_now();
                }
                assert_eq!(stop.is_cancelled(), nth == 1, "a file waits, a final does not");
            }
            let other = Cancel::default();
            assert!(slots.take(Need::Spare(&other), false, || false).is_none(), "not for long");
            drop(partial);
        });
        assert_eq!(*order.lock(), [1, 0]);
        let queue = slots.queue.lock();
        assert_eq!((queue.free, queue.waiting.len(), queue.spare.len()), (1, 0, 0));
    }
}
