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
            let refused =
                RpcError::new(codes::NOT_AUTHENTICATED, "not authenticated: call session.auth");
            Err(refused.with("remedy", "call session.auth first"))
        }
        (Access::Host, _) => {
            let refused = RpcError::forbidden("only a connection with the host role may");
            Err(refused.with("role", "host"))
        }
        (Access::Authenticated | Access::AgentOwner, _) => Ok(()),
    }
}

/// Does what narrows an agent's connection leave it this method?
pub(crate) fn narrowed(method: &str, caller: &Caller) -> Result<()> {
    match caller.agent() {
        Some(agent) if !caller.session().allows(method) => {
            let why =
                format!("agent `{agent}` may not call `{method}`: its allow list is narrower");
            Err(RpcError::forbidden(why).with("method", method))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_data_by_which_it_is_told_from_a_plugins_own_of_the_same_code() {
        for (access, identity, code, member) in [
            (Access::Authenticated, Identity::Nobody, codes::NOT_AUTHENTICATED, "remedy"),
            (Access::Host, Identity::Client, codes::FORBIDDEN, "role"),
        ] {
            let refused = admit(access, &identity).expect_err("it is not enough");
            assert_eq!(refused.code, code);
            assert!(refused.data.is_some_and(|data| data[member].is_string()));
        }
    }
}
