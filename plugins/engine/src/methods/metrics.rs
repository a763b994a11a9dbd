//! `metrics.*`: sums over the journal, and what in them is too much.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_engine_journal::metrics::{Alert, Summary, Thresholds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Engine;

/// Sums the events of this connection up.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct MetricsSummary {}

impl Method for MetricsSummary {
    const NAME: &'static str = "metrics.summary";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Summary;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Summary> {
        engine.hub.runtime(caller.session()).await?.journal.summary().await
    }
}

/// Says which thresholds are passed. An absent one does not bind.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct MetricsAlerts {
    /// US dollars of inference that ever were.
    pub max_cost_usd: Option<f64>,
    /// Share of actions that may fail.
    #[schemars(range(max = 1))]
    pub max_error_rate: Option<f64>,
    /// Mean milliseconds of an action.
    pub max_avg_latency_ms: Option<f64>,
    /// Goals that may be judged without ground.
    pub max_goals_ungrounded: Option<u64>,
    /// Fewer actions than these have no error rate; 5 if absent.
    pub min_actions: Option<u64>,
}

/// What is too much, and the sums that it was held against.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AlertPage {
    /// The sums.
    pub summary: Summary,
    /// The thresholds that are passed.
    pub alerts: Vec<Alert>,
}

impl Method for MetricsAlerts {
    const NAME: &'static str = "metrics.alerts";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = AlertPage;

    fn validate(&self) -> Result<()> {
        bounds::within("max_error_rate", self.max_error_rate.unwrap_or(0.0), 0.0..=1.0)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<AlertPage> {
        let than = Thresholds {
            max_cost_usd: self.max_cost_usd,
            max_error_rate: self.max_error_rate,
            max_avg_latency_ms: self.max_avg_latency_ms,
            max_goals_ungrounded: self.max_goals_ungrounded,
            min_actions: self.min_actions.unwrap_or(5),
        };
        let runtime = engine.hub.runtime(caller.session()).await?;
        let (summary, alerts) = runtime.journal.alerts(&than).await?;
        Ok(AlertPage { summary, alerts })
    }
}
