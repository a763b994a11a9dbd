//! What an operator may set.

use std::{path::PathBuf, time::Duration};

use carport_engine_journal::Keep;
use carport_engine_model::{OperatorRule, Tier};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// The section `[engine]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds that a tool call without a time limit of its own may take (1..=86400).
    #[serde(deserialize_with = "within::<_, 1, 86_400>")]
    #[schemars(range(min = 1, max = 86_400))]
    pub tool_timeout_secs: u64,
    /// The tier that a connection starts with: `read_only`, `sandbox_edit` or `full_access`.
    pub default_tier: Tier,
    /// The directory that the tools of `agents.register_basics` work in; `workspace/` of the state
    /// root if absent.
    #[serde(deserialize_with = "absolute", skip_serializing_if = "Option::is_none")]
    pub workspace: Option<PathBuf>,
    /// Milliseconds until an undecided intent is a denial (1000..=600000).
    #[serde(deserialize_with = "within::<_, 1000, 600_000>")]
    #[schemars(range(min = 1000, max = 600_000))]
    pub supervision_timeout_ms: u64,
    /// Whether a proposal that nobody supervises is refused.
    pub require_supervisor: bool,
    /// Days that the journal of an ended connection is kept; 0 keeps all.
    pub journal_max_age_days: u32,
    /// MiB that all journals together may have; 0 sets no bound.
    pub journal_max_mib: u64,
    /// What no connection may do.
    pub rules: Vec<OperatorRule>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tool_timeout_secs: 300,
            default_tier: Tier::SandboxEdit,
            workspace: None,
            supervision_timeout_ms: 30_000,
            require_supervisor: false,
            journal_max_age_days: 30,
            journal_max_mib: 1024,
            rules: Vec::new(),
        }
    }
}

/// Out of bounds is refused as it is read, so that the error names where it was written.
fn within<'de, D: Deserializer<'de>, const LEAST: u64, const MOST: u64>(
    from: D,
) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        number if (LEAST..=MOST).contains(&number) => Ok(number),
        number => Err(D::Error::custom(format!("must be {LEAST}..={MOST}, got {number}"))),
    }
}

fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    match Option::<PathBuf>::deserialize(from)? {
        Some(path) if !path.is_absolute() => {
            Err(D::Error::custom(format!("must be absolute, got {}", path.display())))
        }
        path => Ok(path),
    }
}

impl Config {
    pub(crate) fn tool_timeout(&self) -> Duration {
        Duration::from_secs(self.tool_timeout_secs)
    }

    /// Which journals of ended connections are kept.
    pub(crate) fn keep(&self) -> Keep {
        let days = self.journal_max_age_days;
        Keep {
            max_age: (days > 0).then(|| TimeDelta::days(days.into())),
            max_bytes: (self.journal_max_mib > 0)
                .then(|| self.journal_max_mib.saturating_mul(1 << 20)),
        }
    }
}
