//! What an operator may set.

use carport_a2ui_improve::Mode;
use carport_a2ui_surfaces::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[a2ui]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is done about what renderers report.
    pub improve: Improve,
    /// Whether advice is also sent to the A2A peer that owns a surface.
    pub advise_peers: bool,
    /// In which spellings an A2A peer is told of an action.
    pub continuation: Continuation,
    /// Seconds that a peer has to answer an action, 1 to 600.
    #[schemars(range(min = 1, max = 600))]
    pub route_timeout_s: u64,
    /// Further ids that mean the basic catalog.
    pub catalog_aliases: Vec<String>,
    /// How much there may be.
    pub limits: Limits,
}

/// What is done about what renderers report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Improve {
    /// Surfaces are patched, and what no patch can mend is told as advice.
    #[default]
    Patch,
    /// Only advice.
    Advise,
    /// Nothing; reports are still passed on.
    Off,
}

impl From<Improve> for Mode {
    fn from(improve: Improve) -> Self {
        match improve {
            Improve::Patch => Self::Patch,
            Improve::Advise => Self::Advise,
            Improve::Off => Self::Off,
        }
    }
}

/// In which spellings an A2A peer is told of an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Continuation {
    /// As A2UI says.
    #[default]
    #[serde(rename = "spec")]
    Spec,
    /// And a second part as the CAR daemon sends it.
    #[serde(rename = "spec+car")]
    SpecAndCar,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            improve: Improve::default(),
            advise_peers: false,
            continuation: Continuation::default(),
            route_timeout_s: 30,
            catalog_aliases: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=600).contains(&self.route_timeout_s) {
            return Err("`a2ui.route_timeout_s` must be 1 to 600".into());
        }
        self.limits.check()
    }
}
