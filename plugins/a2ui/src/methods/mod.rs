//! The methods of surfaces.

mod action;
mod apply;
mod ingest;
mod look;
mod report;
mod subscribe;

pub use action::{Act, Acted};
pub use apply::Apply;
pub use ingest::Ingest;
pub use look::{
    GetCapabilities, GetSurface, ListSurfaces, Reap, Reaped, Replay, ReplayForm, Replayed,
    SurfaceCapabilities,
};
pub use report::{RenderReport, Reported};
pub use subscribe::{Subscribe, Subscribed, Unfollowed, Unsubscribe};

pub use crate::routing::Route;

use carport_core::{Result, RpcError};
use serde_json::{Map, Value};

/// Takes a member out of parameters that are read by hand. Null means absent.
fn take<T: serde::de::DeserializeOwned>(
    params: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>> {
    match params.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value)
            .map(Some)
            .map_err(|error| RpcError::invalid_params(name, error)),
    }
}
