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

/// Refuses members that nest deeper than data may: who hears them has a few levels more around them, and
/// most readers of JSON stop at 128.
fn hold_depth(params: &Map<String, Value>, limit: usize) -> Result<()> {
    for (name, value) in params {
        let got = depth(value);
        if got > limit {
            let why = format!("nests more than {limit} containers within each other");
            let error = RpcError::invalid_params(name, why).with("reason", "depth");
            return Err(error.with("limit", limit).with("got", got));
        }
    }
    Ok(())
}

/// How many containers there are within each other. Frames are read to 128 levels.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

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
