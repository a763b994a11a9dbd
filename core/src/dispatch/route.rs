//! A method joined to its plugin, to the operator's word about it, and to its counters.

use std::{sync::Arc, time::Duration};

use super::{added::AddedMethod, config::Settings};
use crate::contract::{
    access::Access,
    method::{MethodEntry, Prepared},
    metrics::{Counter, EncodeLabelSet, Family, Gauge, Histogram, Metrics},
    plugin::Running,
};
use crate::wire::error::Result;

/// What a request's method name leads to.
pub(crate) struct Route {
    pub(crate) name: Arc<str>,
    pub(crate) access: Access,
    pub(crate) ordered: bool,
    /// Whether a person must say yes first.
    pub(crate) gated: bool,
    pub(crate) deadline: Duration,
    pub(crate) plugin_id: &'static str,
    pub(crate) plugin: Arc<dyn Running>,
    pub(crate) target: Target,
    pub(crate) counters: MethodCounters,
}

/// Where the work is done.
pub(crate) enum Target {
    /// In a plugin of this build.
    Linked(&'static MethodEntry),
    /// At a connection that offered the method.
    Added(Arc<AddedMethod>),
}

impl Route {
    pub(crate) fn linked(
        name: &'static str,
        entry: &'static MethodEntry,
        plugin_id: &'static str,
        plugin: Arc<dyn Running>,
        settings: &Settings,
        metrics: &HostMetrics,
    ) -> Self {
        let gated = needs_approval(settings, name, entry.needs_approval);
        Self {
            name: name.into(),
            access: entry.access,
            // A call that waits for a person must not hold up its connection.
            ordered: entry.ordered && !gated,
            gated,
            deadline: settings.deadlines.of(name, entry.deadline),
            plugin_id,
            plugin,
            target: Target::Linked(entry),
            counters: metrics.method(name),
        }
    }

    /// Reads the parameters and checks them.
    pub(crate) fn prepare(&self, params: &str) -> Result<Box<dyn Prepared>> {
        match &self.target {
            Target::Linked(entry) => (entry.prepare)(self.plugin.state(), params),
            Target::Added(added) => added.prepare(params),
        }
    }
}

/// Whether the operator's settings and the method's own word make it wait for a person.
pub(crate) fn needs_approval(settings: &Settings, name: &str, own: bool) -> bool {
    let policy = &settings.approvals;
    policy.enabled && (own || policy.also.contains(name)) && !policy.except.contains(name)
}

/// The host's own counters.
#[derive(Clone)]
pub(crate) struct HostMetrics {
    calls: Family<MethodLabel, Counter>,
    errors: Family<MethodLabel, Counter>,
    latency: Family<MethodLabel, Histogram, fn() -> Histogram>,
    pub(crate) sessions: Gauge,
    pub(crate) outbox_drops: Counter,
    pub(crate) ignored_frames: Counter,
    pub(crate) pending_approvals: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: String,
}

/// The counters of one method.
#[derive(Clone)]
pub(crate) struct MethodCounters {
    calls: Counter,
    errors: Counter,
    latency: Histogram,
}

impl MethodCounters {
    pub(crate) fn count(&self, failed: bool, took: Duration) {
        self.calls.inc();
        if failed {
            self.errors.inc();
        }
        self.latency.observe(took.as_secs_f64());
    }
}

/// From 1 µs to 4 s in steps of four.
fn latency_histogram() -> Histogram {
    Histogram::new((0..12).map(|step| 1e-6 * 4f64.powi(step)))
}

impl HostMetrics {
    pub(crate) fn new(metrics: &Metrics, task_failures: Counter) -> Self {
        metrics.register("task_failures", "Background tasks that panicked", task_failures);
        Self {
            calls: metrics.register("calls", "Calls by method", Family::default()),
            errors: metrics.register("call_errors", "Failed calls by method", Family::default()),
            latency: metrics.register(
                "call_duration_seconds",
                "Time from reading a call to its reply, by method",
                Family::new_with_constructor(latency_histogram as fn() -> Histogram),
            ),
            sessions: metrics.register("sessions", "Open connections", Gauge::default()),
            outbox_drops: metrics.register(
                "outbox_drops",
                "Notifications that a slow client lost",
                Counter::default(),
            ),
            ignored_frames: metrics.register(
                "ignored_frames",
                "Frames that were dropped unanswered: late answers, failed notifications, binary",
                Counter::default(),
            ),
            pending_approvals: metrics.register(
                "pending_approvals",
                "Approvals that nobody has decided",
                Gauge::default(),
            ),
        }
    }

    /// The counters of `method`; its handles are kept, so that a call looks nothing up.
    pub(crate) fn method(&self, method: &str) -> MethodCounters {
        let label = MethodLabel { method: method.to_owned() };
        MethodCounters {
            calls: self.calls.get_or_create(&label).clone(),
            errors: self.errors.get_or_create(&label).clone(),
            latency: self.latency.get_or_create(&label).clone(),
        }
    }
}
