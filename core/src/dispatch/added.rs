//! Methods that connections add at run time.

use std::sync::Arc;

use super::route::Route;
use crate::contract::{method::Prepared, session::Session};
use crate::wire::error::{Result, RpcError};

/// A method that a connection offers.
pub(crate) struct AddedMethod {}

impl AddedMethod {
    pub(crate) fn prepare(&self, _params: &str) -> Result<Box<dyn Prepared>> {
        Err(RpcError::internal("not yet"))
    }
}

/// Every added method of a host.
#[derive(Default)]
pub(crate) struct AddedMethods {}

impl AddedMethods {
    pub(crate) fn find(&self, _name: &str) -> Option<Arc<Route>> {
        None
    }

    /// Their rows for `rpc.discover`.
    pub(crate) fn describe(&self) -> Vec<serde_json::Value> {
        Vec::new()
    }

    /// The provider's socket has ended: its methods are gone before anybody is told.
    pub(crate) fn provider_gone(&self, _session: &Session) {}
}
