//! `agents.tail_log`: the end of what an agent printed.

use carport_agents_process::{
    agent_id,
    logs::{Streams, TailLog, Window},
};
use carport_core::{Access, Caller, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_self;
use crate::Agents;

/// The last lines that an agent printed, of each stream or of one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TailAgentLog {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// How many lines of each stream; 0 is all that is read.
    #[serde(default = "hundred", alias = "lines")]
    #[schemars(range(max = 10000))]
    pub n: u32,
    /// `combined`, `stdout` or `stderr`.
    #[serde(default)]
    pub stream: Streams,
    /// How many lines at the end of each stream are passed over.
    #[serde(default)]
    pub offset: u32,
}

fn hundred() -> u32 {
    100
}

impl Method for TailAgentLog {
    const NAME: &'static str = "agents.tail_log";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = TailLog;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)?;
        bounds::within("n", self.n, 0..=10_000)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<TailLog> {
        check_self(&self.id, caller)?;
        let (lines, offset) = (self.n as usize, self.offset as usize);
        let window = Window { lines, offset, streams: self.stream };
        agents.keeping.tail(self.id, window, caller).await
    }
}
