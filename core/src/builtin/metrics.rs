//! `host.metrics`: the counters of the host and of every plugin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HostMethods;
use crate::{
    contract::{access::Access, caller::Caller, method::Method},
    wire::error::Result,
};

/// Reads every counter and histogram, in OpenMetrics text format 1.0.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReadMetrics {}

/// The counters as text.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MetricsText {
    /// OpenMetrics text, ending in `# EOF`.
    pub text: String,
}

impl Method for ReadMetrics {
    const NAME: &'static str = "host.metrics";
    const ACCESS: Access = Access::Host;
    type Plugin = HostMethods;
    type Reply = MetricsText;

    async fn run(self, host: &HostMethods, _: &Caller) -> Result<MetricsText> {
        Ok(MetricsText { text: host.shared.grounds.metrics.render() })
    }
}
