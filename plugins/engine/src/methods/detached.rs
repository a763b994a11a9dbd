//! `tools.poll`, `tools.cancel`, `tools.stream.subscribe`, `tools.stream.push`.

use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Engine, ToolPollResult, ToolStreamChunk};

/// Takes what came of a detached call since the last poll; `null` if there is no such call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PollTool {
    /// The call.
    pub handle: String,
}

impl Method for PollTool {
    const NAME: &'static str = "tools.poll";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Option<ToolPollResult>;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Option<ToolPollResult>> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(runtime.poll_handle(&self.handle).await)
    }
}

/// Ends a detached call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CancelTool {
    /// The call.
    pub handle: String,
}

/// Whether there is such a call.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// `false` only for an unknown handle.
    pub cancelled: bool,
}

impl Method for CancelTool {
    const NAME: &'static str = "tools.cancel";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Cancelled;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Cancelled> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(Cancelled { cancelled: runtime.cancel_handle(&self.handle).await })
    }
}

/// Hears every chunk of every detached call of this connection, until the connection ends.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SubscribeStreams {}

/// It is heard.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamsSubscribed {
    /// Always `true`.
    pub subscribed: bool,
}

impl Method for SubscribeStreams {
    const NAME: &'static str = "tools.stream.subscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = StreamsSubscribed;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<StreamsSubscribed> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let _snapshot = runtime.handles.lock();
        runtime.streams.subscribe((), caller)?;
        Ok(StreamsSubscribed { subscribed: true })
    }
}

/// Sends a piece of what a detached call has to say. The client that runs the call does.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PushChunk {
    /// The call.
    pub handle: String,
    /// The piece, at most 1 MiB.
    pub chunk: ToolStreamChunk,
}

/// Whether it was taken.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// `false` if the call is unknown or has ended.
    pub accepted: bool,
}

impl Method for PushChunk {
    const NAME: &'static str = "tools.stream.push";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Accepted;

    fn validate(&self) -> Result<()> {
        self.chunk.check("chunk")
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Accepted> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(Accepted { accepted: runtime.push_chunk(&self.handle, self.chunk).await })
    }
}
