//! One thread for each run of a model, borrowed and given back.

use std::sync::Arc;

use carport_core::Guarded;
use rten::{RunOptions, ThreadPool};
use thiserror::Error;

/// Why a model gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError {
    /// The sound or text is longer than the model takes.
    #[error("{got} {unit}: the limit is {limit} {unit}")]
    TooLong {
        /// What was given.
        got: usize,
        /// What may be given.
        limit: usize,
        /// `samples` or `phonemes`.
        unit: &'static str,
    },
    /// Somebody asked for an end.
    #[error("cancelled")]
    Cancelled,
    /// The graph failed.
    #[error("the model failed: {0}")]
    Failed(String),
}

/// Threads that models run on. Two threads for one run are slower than one each under load, so every run
/// has one, and as many are made as runs were ever at once.
#[derive(Debug, Default)]
pub struct Threads {
    idle: Guarded<Vec<Arc<ThreadPool>>>,
}

impl Threads {
    /// Runs `work` on a thread of its own; graphs that it runs with these options stay on it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce(&RunOptions) -> T + Send) -> T {
        let idle = self.idle.lock().pop();
        let thread = idle.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&thread)));
        let done = thread.run(|| work(&options));
        self.idle.lock().push(thread);
        done
    }

    /// How many threads wait for work.
    pub fn idle(&self) -> usize {
        self.idle.lock().len()
    }
}

/// What the runtime says, as ours.
pub(crate) fn failed(why: impl std::fmt::Display) -> RunError {
    RunError::Failed(why.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn threads_are_given_back_and_used_again() {
        let threads = Threads::default();
        for turn in 0..3 {
            assert_eq!(threads.run(|_| turn), turn);
        }
        assert_eq!(threads.idle(), 1);
        // Three at once meet at the barrier, so each has a thread.
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| threads.run(|_| barrier.wait().is_leader()));
            }
        });
        assert_eq!(threads.idle(), 3);
    }
}
