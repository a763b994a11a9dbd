//! A method joined to its plugin, to the operator's word about it, and to its counters.

use std::{sync::Arc, time::Duration};

use super::{
    added::call::{AddedCall, AddedMethod},
    config::Settings,
};
use crate::contract::{
    BoxFuture,
    access::{Access, Owner},
    caller::Caller,
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
    target: Target,
    pub(crate) counters: MethodCounters,
}

/// Where the work is done.
enum Target {
    /// In a plugin of this build.
    Linked(&'static MethodEntry, Arc<dyn Running>),
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
            target: Target::Linked(entry, plugin),
            counters: metrics.method(name),
        }
    }

    pub(crate) fn added_by(
        method: Arc<AddedMethod>,
        settings: &Settings,
        counters: MethodCounters,
    ) -> Self {
        let compiled = method.compiled();
        let spec = &compiled.spec;
        let gated = needs_approval(settings, &spec.name, spec.needs_approval);
        Self {
            name: spec.name.as_str().into(),
            access: method.access(),
            ordered: spec.ordered && !gated,
            gated,
            deadline: settings.deadlines.of(&spec.name, compiled.deadline()),
            plugin_id: "host",
            target: Target::Added(method),
            counters,
        }
    }

    /// The added method that it leads to, if it does.
    pub(crate) fn added(&self) -> Option<&AddedMethod> {
        match &self.target {
            Target::Linked(..) => None,
            Target::Added(method) => Some(method),
        }
    }

    /// Reads the parameters and checks them.
    pub(crate) fn prepare(&self, params: &str) -> Result<Ready> {
        match &self.target {
            Target::Linked(entry, plugin) => {
                let call = (entry.prepare)(plugin.state(), params)?;
                Ok(Ready::Linked(call, plugin.clone()))
            }
            Target::Added(method) => method.prepare(params).map(Ready::Added),
        }
    }
}

/// A call whose parameters were read and which has not run yet.
pub(crate) enum Ready {
    Linked(Box<dyn Prepared>, Arc<dyn Running>),
    Added(AddedCall),
}

impl Ready {
    /// Whose the thing is that the call touches.
    pub(crate) fn owner(&self) -> Owner {
        match self {
            Self::Linked(call, plugin) => call.owner(plugin.state()),
            Self::Added(_) => Owner::Nobody,
        }
    }

    /// How long the call may run.
    pub(crate) fn deadline(&self, route: &Route, caller: &Caller) -> Duration {
        match self {
            Self::Linked(call, plugin) => call.deadline(plugin.state(), caller, route.deadline),
            Self::Added(_) => route.deadline,
        }
    }

    /// Runs and appends the serialized reply to `buffer`.
    pub(crate) fn run(
        self,
        route: &Arc<Route>,
        caller: Arc<Caller>,
        buffer: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>>> {
        match self {
            Self::Linked(call, plugin) => call.run(plugin, caller, buffer),
            Self::Added(call) => call.run(route.clone(), caller, buffer),
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
