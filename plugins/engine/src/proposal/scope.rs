//! On whose behalf a proposal is executed, within a connection.

use carport_core::{Result, bounds};
use carport_engine_model::digest_object;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// On whose behalf.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProposalScope {
    /// Who asks; journaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub caller_id: Option<String>,
    /// Whose state keys it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
    /// Facts about the caller, at most 16 KiB of JSON; journaled as a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Map<String, Value>>,
}

/// A scope as journals and supervisors see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScopeShown {
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// Whose state keys it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// SHA-256 of the canonical JSON of the claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_digest: Option<String>,
}

impl ProposalScope {
    pub(crate) fn check(&self) -> Result<()> {
        bounds::maybe_bytes("scope.callerId", self.caller_id.as_deref(), 1..=128)?;
        bounds::maybe_bytes("scope.tenantId", self.tenant_id.as_deref(), 1..=128)?;
        match &self.claims {
            Some(claims) => bounds::encoded("scope.claims", claims, bounds::OBJECT_BYTES),
            None => Ok(()),
        }
    }

    /// The tenant; empty for none.
    pub(crate) fn tenant(&self) -> &str {
        self.tenant_id.as_deref().unwrap_or_default()
    }

    pub(crate) fn shown(&self) -> ScopeShown {
        ScopeShown {
            caller_id: self.caller_id.clone(),
            tenant_id: self.tenant_id.clone(),
            claims_digest: self.claims.as_ref().map(digest_object),
        }
    }
}

impl From<carport_engine_api::Scope> for ProposalScope {
    fn from(scope: carport_engine_api::Scope) -> Self {
        let carport_engine_api::Scope { caller_id, tenant_id, claims } = scope;
        Self { caller_id, tenant_id, claims }
    }
}
