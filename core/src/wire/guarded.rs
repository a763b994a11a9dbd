//! A mutex for plain state that stays usable after a panic under it.

use std::sync::PoisonError;

#[cfg(feature = "loom")]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(feature = "loom"))]
use std::sync::{Mutex, MutexGuard};

/// State behind one `std` lock. Hold it over plain code only: no await and no I/O.
///
/// A panicking call must cost its caller an error and nobody anything else, so the lock ignores
/// poisoning. Code under it keeps the state whole at every step that can panic.
#[derive(Debug, Default)]
pub struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    /// Guards `state`.
    #[cfg(not(feature = "loom"))]
    pub const fn new(state: T) -> Self {
        Self(Mutex::new(state))
    }

    /// Guards `state` in a model that loom runs in every order of its threads.
    #[cfg(feature = "loom")]
    pub fn new(state: T) -> Self {
        Self(Mutex::new(state))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
