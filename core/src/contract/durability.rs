//! What an acknowledged write survives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a write may be acknowledged. A reply to a write leaves after the write reached the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Once the kernel has it: survives a kill of the daemon, not a loss of power.
    #[default]
    Process,
    /// As `process`, with an `fdatasync` at least every 100 ms.
    Interval,
    /// After an `fdatasync` of its own.
    Record,
}
