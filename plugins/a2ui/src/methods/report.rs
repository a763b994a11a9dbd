//! `a2ui.render_report`: what a renderer saw.

use carport_a2ui_improve::{Decision, Report};
use carport_core::{Access, Caller, Method, Result, RpcError};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::hold_depth;
use crate::A2ui;

/// Reports what is wrong with a surface as it was drawn. Subscribers hear it; what can be mended is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RenderReport {
    /// As it was sent: subscribers hear the same.
    pub params: Map<String, Value>,
}

impl JsonSchema for RenderReport {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RenderReport".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Report::json_schema(generator);
        let what = "Reports what is wrong with a surface as it was drawn. Subscribers hear it; what can be mended is.";
        schema.insert("description".into(), what.into());
        schema
    }
}

/// What came of a report.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reported {
    /// Whether it was looked at and passed on.
    pub accepted: bool,
    /// What was decided.
    pub decision: Decision,
}

impl Method for RenderReport {
    const NAME: &'static str = "a2ui.render_report";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Reported;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Reported> {
        let limits = &a2ui.service.config.limits;
        hold_depth(&self.params, limits.max_depth)?;
        let sent = Value::Object(self.params);
        let over = |key: &str, limit: usize, got: usize| {
            let error = RpcError::limit(format!("`{key}`"), limit as u64);
            Err(error.with("field", key).with("got", got))
        };
        let bytes = sent.to_string().len();
        if bytes > limits.max_report_bytes {
            return over("maxReportBytes", limits.max_report_bytes, bytes);
        }
        let findings = sent["findings"].as_array().map_or(0, Vec::len);
        if findings > limits.max_findings {
            return over("maxFindings", limits.max_findings, findings);
        }
        let report = read(&sent)?;
        let (accepted, decision) = a2ui.service.report(caller, &report, &sent)?;
        Ok(Reported { accepted, decision })
    }
}

fn read(sent: &Value) -> Result<Report> {
    let report: Report = serde_path_to_error::deserialize(sent).map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner().to_string();
        let missing = why.strip_prefix("missing field `").and_then(|it| it.split('`').next());
        let field = match (path.as_str(), missing) {
            (".", Some(missing)) => missing.to_owned(),
            (".", None) => "params".to_owned(),
            (path, Some(missing)) => format!("{path}.{missing}"),
            (path, None) => path.to_owned(),
        };
        RpcError::invalid_params(&field, why)
    })?;
    let client = report.client_id.as_deref();
    carport_core::bounds::maybe_bytes("clientId", client, 1..=64)?;
    if let Some(level) = report.host_heading {
        carport_core::bounds::within("hostHeading", level, 0..=6)?;
    }
    Ok(report)
}
