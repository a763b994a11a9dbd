//! The methods that answer with a stream, which the daemon's own connection does not carry.

use carport_core::{Access, Caller, Method, Result, RpcError, codes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::A2a;

/// The remedy is in the error, for clients that expect streams wherever A2A is spoken.
fn refused(name: &str) -> RpcError {
    let remedy = "streams need HTTP: start the listener with `a2a.start` and call it there";
    RpcError::new(codes::METHOD_NOT_FOUND, format!("no method `{name}` on this connection"))
        .with("remedy", remedy)
}

macro_rules! streaming {
    ($(#[doc = $doc:literal])+ $method:ident = $name:literal) => {
        $(#[doc = $doc])+
        ///
        /// This connection carries no streams: it is answered with `-32601` and the remedy.
        #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
        pub struct $method {}

        impl Method for $method {
            const NAME: &'static str = $name;
            const ACCESS: Access = Access::Authenticated;
            type Plugin = A2a;
            type Reply = ();

            fn available(_: &A2a) -> Result<()> {
                Err(refused($name))
            }

            async fn run(self, _: &A2a, _: &Caller) -> Result<()> {
                Err(refused($name))
            }
        }
    };
}

streaming! {
    /// Says something to the agent and hears of each change.
    SendStreamingMessage = "SendStreamingMessage"
}

streaming! {
    /// Hears of each change of a task.
    SubscribeToTask = "SubscribeToTask"
}

streaming! {
    /// Says something to the agent and hears of each change, in the shapes of v0.3.
    MessageStream = "message/stream"
}

streaming! {
    /// Hears of each change of a task, in the shapes of v0.3.
    TasksResubscribe = "tasks/resubscribe"
}
