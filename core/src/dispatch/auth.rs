//! The two gates that ask who is calling.

use super::route::{Ready, Route};
use crate::contract::{
    access::{Access, Identity, Owner},
    caller::Caller,
};
use crate::wire::error::{Result, RpcError, codes};

/// Does the identity reach the access? Asked before the parameters are read.
pub(crate) fn admit(access: Access, identity: &Identity) -> Result<()> {
    match (access, identity) {
        (Access::Public, _) | (_, Identity::Host) => Ok(()),
        (_, Identity::Nobody) => {
            Err(RpcError::new(codes::NOT_AUTHENTICATED, "not authenticated: call session.auth"))
        }
        (Access::Host, _) => Err(RpcError::forbidden("only a connection with the host role may")),
        (Access::Authenticated | Access::AgentOwner, _) => Ok(()),
    }
}

/// Does what narrows an agent's connection leave it this method?
pub(crate) fn narrowed(method: &str, caller: &Caller) -> Result<()> {
    match caller.agent() {
        Some(agent) if !caller.session().allows(method) => {
            let why =
                format!("agent `{agent}` may not call `{method}`: its allow list is narrower");
            Err(RpcError::forbidden(why))
        }
        _ => Ok(()),
    }
}

/// Is it the caller's? Asked once the parameters say what is touched. No answer is a refusal.
pub(crate) fn authorize(route: &Route, call: &Ready, caller: &Caller) -> Result<()> {
    if route.access != Access::AgentOwner || caller.is_host() {
        return Ok(());
    }
    match call.owner() {
        Owner::Unknown => Ok(()),
        Owner::Agent(owner) if caller.agent() == Some(&*owner) => Ok(()),
        Owner::Agent(_) | Owner::Nobody => {
            Err(RpcError::forbidden("this belongs to another agent"))
        }
    }
}
