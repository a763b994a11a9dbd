//! Which releases a manifest asks for.

use std::fmt;

use carport_core::{Result, RpcError};
use semver::{Version, VersionReq};

use crate::manifest::AgentManifest;

/// A condition on a release: a bare version is "at least", anything else a Cargo requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// This release or a later one.
    AtLeast(Version),
    /// As Cargo reads it.
    Matching(VersionReq),
}

/// A release that a manifest asks for and the daemon is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The member that asks: `runtime.car_min_version`.
    pub field: &'static str,
    /// What it asks for.
    pub wanted: Requirement,
}

impl Requirement {
    /// Reads one; an error names `field`.
    pub fn parse(field: &str, text: &str) -> Result<Self> {
        if let Some(version) = release(text) {
            return Ok(Self::AtLeast(version));
        }
        let why = |error| format!("must be a version or a requirement as Cargo has it: {error}");
        let read = VersionReq::parse(text.trim());
        read.map(Self::Matching).map_err(|error| RpcError::invalid_params(field, why(error)))
    }

    /// Whether a release meets it; a text that is no version meets nothing.
    pub fn is_met_by(&self, text: &str) -> bool {
        release(text).is_some_and(|version| match self {
            Self::AtLeast(least) => version >= *least,
            Self::Matching(wanted) => wanted.matches(&version),
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(version) => write!(f, ">={version}"),
            Self::Matching(wanted) => wanted.fmt(f),
        }
    }
}

/// A version of one to three numbers, what is missing being zero.
fn release(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    let full = match text.matches('.').count() {
        0 => format!("{text}.0.0"),
        1 => format!("{text}.0"),
        _ => text.to_owned(),
    };
    let full = if text.contains(['-', '+']) { text } else { &*full };
    Version::parse(full).ok()
}

impl AgentManifest {
    /// The conditions on the daemon's releases, by the member that states them.
    pub(crate) fn requirements(&self) -> Result<Vec<(&'static str, Requirement)>> {
        let Some(runtime) = &self.runtime else { return Ok(Vec::new()) };
        let stated = [(CAR, &runtime.car_min_version), (CARPORT, &runtime.carport_min_version)];
        let stated = stated.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?)));
        stated.map(|(field, text)| Ok((field, Requirement::parse(field, text)?))).collect()
    }

    /// The first condition that these releases do not meet. Without a CAR release that the daemon
    /// claims to speak, none of that name is met.
    pub fn unmet(&self, car: Option<&str>, carport: &str) -> Result<Option<Unmet>> {
        let is_met = |field: &str, wanted: &Requirement| match field {
            CAR => car.is_some_and(|car| wanted.is_met_by(car)),
            _ => wanted.is_met_by(carport),
        };
        let mut wanted = self.requirements()?.into_iter();
        let found = wanted.find(|(field, wanted)| !is_met(field, wanted));
        Ok(found.map(|(field, wanted)| Unmet { field, wanted }))
    }
}

const CAR: &str = "runtime.car_min_version";
const CARPORT: &str = "runtime.carport_min_version";
