//! What an operator may set.

use std::time::Duration;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::retention::Policy;

/// The section `[runs]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Days that a run is kept after it ended; 0 keeps every run.
    pub max_age_days: u32,
    /// Runs that an agent may have, the newest by start; 0 sets no bound.
    pub max_per_agent: u32,
    /// Bytes that the runs of an agent may have; 0 sets no bound. The newest run stays however large.
    pub max_bytes_per_agent: u64,
    /// Seconds between two looks for runs beyond these bounds, 1 at the least.
    #[schemars(range(min = 1))]
    pub gc_interval_secs: u64,
    /// Where each record is also sent as an OpenTelemetry span, such as
    /// `http://127.0.0.1:4318/v1/traces`; nowhere if absent. Headers and time limits come from the
    /// environment, `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_TIMEOUT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_age_days: 30,
            max_per_agent: 500,
            max_bytes_per_agent: 0,
            gc_interval_secs: 3600,
            otlp_endpoint: None,
        }
    }
}

impl Config {
    pub(crate) fn policy(&self) -> Policy {
        let bound = |value: u64| (value > 0).then_some(value);
        Policy {
            max_age: bound(self.max_age_days.into())
                .and(TimeDelta::try_days(self.max_age_days.into())),
            max_runs: bound(self.max_per_agent.into()).map(|most| most as usize),
            max_bytes: bound(self.max_bytes_per_agent),
        }
    }

    pub(crate) fn gc_interval(&self) -> Duration {
        Duration::from_secs(self.gc_interval_secs.max(1))
    }
}
