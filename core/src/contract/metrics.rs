//! Counters and histograms of the host and of every plugin, in OpenMetrics' model.

use prometheus_client::{
    encoding::text::encode,
    registry::{Metric, Registry},
};

use crate::wire::guarded::Guarded;

pub use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};

/// The metrics of one host. A plugin registers its own in `start` and keeps the handle.
#[derive(Debug)]
pub struct Metrics(Guarded<Registry>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Guarded::new(Registry::with_prefix("carport")))
    }
}

impl Metrics {
    /// Registers `metric` as `carport_{name}` and gives it back. Names follow OpenMetrics: base
    /// units, no `_total` (it is appended).
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.0.lock().register(name, help, metric.clone());
        metric
    }

    /// All of them in OpenMetrics text format 1.0.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0.lock());
        text
    }
}
