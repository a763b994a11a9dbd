//! Runs for other tools: as OpenTelemetry traces, on demand and live.

pub(crate) mod json;
#[cfg_attr(feature = "otlp", path = "live.rs")]
#[cfg_attr(not(feature = "otlp"), path = "not_live.rs")]
pub(crate) mod live;
mod span;
