//! `runs.delete`: removes a run that has ended.

use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_run_id;
use crate::Runs;

/// Removes a run that has ended, from the disk too. Its key may be used again afterwards.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Delete {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
}

/// The run is gone.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The run.
    pub run_id: String,
    /// Always true.
    pub deleted: bool,
}

impl Method for Delete {
    const NAME: &'static str = "runs.delete";
    const ACCESS: Access = Access::Host;
    type Plugin = Runs;
    type Reply = Deleted;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)
    }

    async fn run(self, runs: &Runs, _: &Caller) -> Result<Deleted> {
        runs.book.delete(&self.run_id).await?;
        Ok(Deleted { run_id: self.run_id, deleted: true })
    }
}
