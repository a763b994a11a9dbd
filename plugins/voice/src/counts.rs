//! What is counted, so that a leak shows.

use carport_core::{Counter, Gauge, Metrics};

/// The plugin's metrics. Clones count the same.
#[derive(Clone)]
pub(crate) struct Counts {
    /// Streams that are in memory, listed or not.
    pub(crate) streams: Gauge,
    /// Speech streams that are in memory, listed or not.
    pub(crate) speeches: Gauge,
    /// Threads that run.
    pub(crate) threads: Gauge,
    /// Threads that were given up because their provider hung.
    pub(crate) abandoned: Counter,
    /// Binary frames that were dropped without a word.
    pub(crate) ignored: Counter,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let gauge = |name: &str, help: &str| metrics.register(name, help, Gauge::default());
        let count = |name: &str, help: &str| metrics.register(name, help, Counter::default());
        Self {
            streams: gauge("voice_streams", "Streams of sound that are in memory"),
            speeches: gauge("voice_speeches", "Streams of speech that are in memory"),
            threads: gauge("voice_threads", "Threads of the voice plugin that run"),
            abandoned: count(
                "voice_threads_abandoned",
                "Threads that were given up because their provider hung",
            ),
            ignored: count(
                "voice_frames_ignored",
                "Binary frames that were dropped without a word",
            ),
        }
    }
}

/// One of what a gauge counts, from its making to its end.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn one(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Runs `work` on a thread of this name that is counted. A panic ends the thread; `after` runs in any case.
pub(crate) fn thread(
    counts: &Counts,
    name: &str,
    runtime: &tokio::runtime::Handle,
    work: impl FnOnce() + Send + 'static,
    after: impl FnOnce(bool) + Send + 'static,
) -> std::io::Result<()> {
    let (one, runtime) = (Counted::one(&counts.threads), runtime.clone());
    let body = move || {
        let _inside = runtime.enter();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        drop(one);
        after(ended.is_ok());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}
