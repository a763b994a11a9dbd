//! `server.ping`: is the daemon there, and does it know me?

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HostMethods;
use crate::{
    contract::{access::Access, caller::Caller, method::Method},
    wire::error::Result,
};

/// Answers at once.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ping {}

/// The answer to a ping.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pong {
    /// Always true.
    pub ok: bool,
}

impl Method for Ping {
    const NAME: &'static str = "server.ping";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = Pong;

    async fn run(self, _: &HostMethods, _: &Caller) -> Result<Pong> {
        Ok(Pong { ok: true })
    }
}
