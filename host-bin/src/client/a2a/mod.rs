//! What the A2A plugin says on the wire, and what agents of others say over HTTP.

mod http;

use carport_a2a_outbound::Ask;
use carport_a2a_types::{SendResult, Version, read::Read};
use carport_core::RpcError;
use serde::Deserialize;
use serde_json::Value;

use super::link::{CallError, Link};
use crate::exit::{Code, Exit};

pub(crate) use http::{Agent, card};

/// What a peer answered to the daemon.
#[derive(Debug, Deserialize)]
pub(crate) struct Sent {
    pub(crate) result: SendResult,
    /// The version that was spoken.
    pub(crate) version: String,
    /// Surfaces that the answer changed.
    #[serde(default)]
    pub(crate) a2ui: Value,
}

/// Asks this daemon over its own connection.
pub(crate) async fn ask<T: Read>(link: &Link, ask: &Ask<'_>) -> Result<T, Exit> {
    let (method, params) = ask.spoken(Version::V1);
    let reply = link.raw(method, &params).await.map_err(refused)?;
    carport_a2a_types::read::read(reply, Version::V1).map_err(|error| {
        Exit::failed(format!("the reply to `{method}` does not read: {}", error.message()))
    })
}

/// An error of A2A has codes that mean something else in the daemon's own contract; the two are told apart by
/// the list that one of A2A carries as its data.
pub(crate) fn refused(error: CallError) -> Exit {
    match error {
        CallError::Rpc(error) if is_of_a2a(&error) => answered(error),
        error => error.into(),
    }
}

fn is_of_a2a(error: &RpcError) -> bool {
    error.data.as_ref().is_some_and(Value::is_array)
}

fn answered(error: RpcError) -> Exit {
    Exit { rpc: Some(error.clone()), ..Exit::new(Code::Answered, error) }
}

#[cfg(test)]
mod tests {
    use carport_a2a_types::A2aError;

    use super::*;

    #[test]
    fn a_task_that_is_not_there_is_no_refused_token() {
        let own = RpcError::new(carport_core::codes::NOT_AUTHENTICATED, "who are you?");
        assert_eq!(refused(own.into()).code, Code::Denied);
        let missing = refused(RpcError::from(A2aError::no_task("t")).into());
        assert_eq!((missing.code, &*missing.message), (Code::Answered, "Task not found (-32001)"));
        assert!(missing.rpc.is_some());
    }
}
