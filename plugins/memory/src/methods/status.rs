//! `memory.update_status`: what a connection is at.

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use carport_memory_graph::check_tenant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Memory,
    slot::{Slot, status_id},
};

/// Sets what this connection is at, for `memory.maintain` to tell. It is in no query, context or file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UpdateStatus {
    /// In words.
    #[schemars(length(max = 8192))]
    pub body: String,
    /// Whose it is.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// A status.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// `proactive-status:` and the tenant, or `global`.
    pub id: String,
    /// In words.
    pub body: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
}

impl Method for UpdateStatus {
    const NAME: &'static str = "memory.update_status";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Status;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::bytes("body", &self.body, 0..=8192)?;
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, _: &Memory, caller: &Caller) -> Result<Status> {
        let Self { body, tenant_id } = self;
        if !caller.session().slot::<Slot>().set_status(tenant_id.clone(), body.clone()) {
            return Err(RpcError::limit("tenants with a status on one connection", 64));
        }
        Ok(Status { id: status_id(tenant_id.as_deref()), body, tenant_id })
    }
}
