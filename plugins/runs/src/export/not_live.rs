//! Stands for the live export in a build without it.

use std::sync::Arc;

use carport_core::{Result, RpcError, StartContext, Time};

use crate::{
    Config,
    record::{Line, RunStarted},
};

/// There is none.
pub(crate) enum Feed {}

impl Feed {
    /// Refuses a configuration that asks for what this build cannot do.
    pub(crate) fn start(_: &StartContext<'_>, config: &Config) -> Result<Option<Self>> {
        match config.otlp_endpoint {
            None => Ok(None),
            Some(_) => Err(RpcError::unavailable(
                "live export of runs",
                "`runs.otlp_endpoint` is set: build with `--features otlp`, or remove the setting",
            )),
        }
    }

    pub(crate) fn send(&self, _: Arc<RunStarted>, _: Line, _: Time) {
        match *self {}
    }
}
