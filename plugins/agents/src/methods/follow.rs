//! `agents.follow_log` and `agents.unfollow_log`: what an agent prints, as it prints it. These two and
//! the notification `agents.log` are Carport's own; CAR has no such methods.

use carport_agents_process::{
    agent_id,
    logs::{Counted, Streams, TailLog, Window},
};
use carport_core::{Access, Caller, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_self;
use crate::{Agents, following};

/// The last lines that an agent printed; then `agents.log` for each line that it prints, none twice.
/// An agent may follow only itself. The same agent again replaces what was followed; at most 16.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FollowLog {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// `combined`, `stdout` or `stderr`.
    #[serde(default)]
    pub stream: Streams,
    /// How many lines of each stream the answer shows; 0 is all that is read.
    #[serde(default = "hundred", alias = "lines")]
    #[schemars(range(max = 10000))]
    pub n: u32,
}

fn hundred() -> u32 {
    100
}

/// What was there when the following began. An unfinished last line comes whole later.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogFollowed {
    /// The last lines.
    #[serde(flatten)]
    pub tail: TailLog,
    /// The number of the last line of each stream; the next one that is told has the next number.
    pub cursor: Counted,
}

impl Method for FollowLog {
    const NAME: &'static str = "agents.follow_log";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = LogFollowed;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)?;
        bounds::within("n", self.n, 0..=10_000)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<LogFollowed> {
        check_self(&self.id, caller)?;
        let window = Window { lines: self.n as usize, offset: 0, streams: self.stream };
        following::end(caller.session(), &self.id);
        let followed = agents.keeping.follow(&self.id, window, caller).await?;
        following::begin(&agents.tasks, caller, &self.id, self.stream, followed.lines)?;
        Ok(LogFollowed { tail: followed.tail, cursor: followed.counted })
    }
}

/// Ends the following of an agent's log.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnfollowLog {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
}

/// The log is not followed any more.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogUnfollowed {
    /// Whether it was.
    pub unfollowed: bool,
}

impl Method for UnfollowLog {
    const NAME: &'static str = "agents.unfollow_log";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = LogUnfollowed;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)
    }

    async fn run(self, _: &Agents, caller: &Caller) -> Result<LogUnfollowed> {
        Ok(LogUnfollowed { unfollowed: following::end(caller.session(), &self.id) })
    }
}
