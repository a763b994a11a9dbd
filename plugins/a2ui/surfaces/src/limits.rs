//! The limits of the store, by the names that the wire has for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// How much there may be. Bytes are of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Surfaces in all.
    pub max_surfaces: usize,
    /// Surfaces of one creator.
    pub max_surfaces_per_creator: usize,
    /// Components of a surface.
    pub max_components: usize,
    /// Components that a surface draws: one that is named twice counts twice with all below it, and one that
    /// has not arrived counts as well. Fifty columns that name the next one twice would be 2^49.
    pub max_drawn_components: usize,
    /// Bytes of an envelope.
    pub max_envelope_bytes: usize,
    /// Bytes of a surface.
    pub max_surface_bytes: usize,
    /// Bytes of a data model.
    pub max_data_model_bytes: usize,
    /// Bytes of the surfaces of one creator, so that none fills the store alone.
    pub max_creator_bytes: usize,
    /// Bytes of all surfaces: the list of them is one frame.
    pub max_store_bytes: usize,
    /// Components on a path from the first to the last, and containers within each other in data.
    pub max_depth: usize,
    /// Calls within each other.
    pub max_call_depth: usize,
    /// Bytes of an id.
    pub max_id_bytes: usize,
    /// Bytes of a path.
    pub max_path_bytes: usize,
    /// Items of a list in a data model.
    pub max_list_items: usize,
    /// Envelopes in one payload.
    pub max_envelopes_per_payload: usize,
    /// Bytes of a payload.
    pub max_payload_bytes: usize,
    /// Bytes of an action.
    pub max_action_bytes: usize,
    /// Bytes of a render report.
    pub max_report_bytes: usize,
    /// Findings of a render report.
    pub max_findings: usize,
    /// Rows of a template that a renderer should draw.
    pub max_rendered_rows: usize,
    /// Nodes that a renderer should have axe look at.
    pub max_axe_nodes: usize,
    /// Seconds after which a surface that nobody touched is gone.
    pub max_surface_age_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_surfaces: 256,
            max_surfaces_per_creator: 64,
            max_components: 2000,
            max_drawn_components: 10_000,
            max_envelope_bytes: 1 << 20,
            max_surface_bytes: 2 << 20,
            max_data_model_bytes: 1 << 20,
            max_creator_bytes: 4 << 20,
            max_store_bytes: 8 << 20,
            max_depth: 50,
            max_call_depth: 5,
            max_id_bytes: 256,
            max_path_bytes: 1024,
            max_list_items: 10_000,
            max_envelopes_per_payload: 256,
            max_payload_bytes: 4 << 20,
            max_action_bytes: 1 << 20,
            max_report_bytes: 256 << 10,
            max_findings: 200,
            max_rendered_rows: 200,
            max_axe_nodes: 1500,
            max_surface_age_secs: 86_400,
        }
    }
}

/// What frames can hold: most readers of JSON stop at 128 levels, and a message to a peer takes nine of them.
const DEEPEST: usize = 100;
/// Containers within each other that are enough for anything but data.
const NESTED: usize = 64;
/// What schemas are held against without much work.
const DEEPEST_CALL: usize = 10;

impl Limits {
    /// Whether the store can work with them.
    ///
    /// # Errors
    /// A line that names the key.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=DEEPEST).contains(&self.max_depth) {
            return Err(format!("`a2ui.limits.maxDepth` must be 1 to {DEEPEST}"));
        }
        if !(1..=DEEPEST_CALL).contains(&self.max_call_depth) {
            return Err(format!("`a2ui.limits.maxCallDepth` must be 1 to {DEEPEST_CALL}"));
        }
        Ok(())
    }

    /// How many containers may be within each other in whatever is no data model: components, themes,
    /// contexts of actions, reports.
    pub(crate) fn nesting(&self) -> usize {
        self.max_depth.max(NESTED)
    }
}

/// What helps against passing a limit.
pub(crate) fn remedy(key: &str) -> &'static str {
    match key {
        "maxSurfaces" | "maxSurfacesPerCreator" | "maxStoreBytes" | "maxCreatorBytes" => {
            "delete surfaces that are not needed"
        }
        "maxComponents" => "draw less, or draw lists by templates",
        "maxDrawnComponents" => "name a component in fewer places, or draw lists by templates",
        "maxEnvelopeBytes" | "maxPayloadBytes" | "maxEnvelopesPerPayload" => "send it in parts",
        "maxSurfaceBytes" | "maxDataModelBytes" | "maxListItems" => "send less, in pages",
        _ => "use a shorter one",
    }
}

/// Whether `got` is within the limit of this name.
pub(crate) fn within(key: &'static str, limit: usize, got: usize) -> Result<(), Fault> {
    match got <= limit {
        true => Ok(()),
        false => Err(Fault::Limit { key, limit, got }),
    }
}
