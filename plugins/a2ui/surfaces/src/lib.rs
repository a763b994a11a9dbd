//! A2UI surfaces: envelopes, components, data models, limits, ingestion and actions, without clock or wire.
//!
//! One envelope is applied whole or not at all: everything that can refuse it is asked before anything
//! changes. What is kept is a list of components by order of arrival and a data model; a renderer that
//! applies what [`Surface::envelopes`] says has the same.

mod action;
mod components;
mod data_model;
mod endpoint;
mod envelope;
mod fault;
mod ingest;
mod inspect;
mod limits;
mod pointer;
mod replay;
mod store;
mod surface;

pub use action::{Action, continuation, declares};
pub use components::{Components, Entry};
pub use data_model::Model;
pub use endpoint::{Endpoint, EndpointFault, screen};
pub use fault::{Fault, Invalid, Reason};
pub use ingest::{Found, find};
pub use inspect::{bytes as json_bytes, shallow};
pub use limits::Limits;
pub use pointer::Pointer;
pub use store::{Change, Outcome, Store};
pub use surface::Surface;

/// The version that every envelope is written with.
pub const VERSION: &str = "v0.9";
/// The media type of A2UI data.
pub const MEDIA_TYPE: &str = "application/a2ui+json";
/// All spellings of it that are read.
pub const MEDIA_TYPES: [&str; 2] = [MEDIA_TYPE, "application/json+a2ui"];

#[cfg(test)]
mod samples;
