//! Bundles: the manifest that an agent is installed from, read, checked, signed and held against a build.
//!
//! [`sign`], [`verify`] and [`SigningKey`] are all that a command line needs; [`Document`] is a
//! manifest with every member that it was written with, [`AgentManifest`] what this build reads of it.

mod document;
mod error;
mod features;
mod key;
mod manifest;
mod release;
mod signature;
mod spec;
mod toml;

pub use document::{Document, MAX_TEXT};
pub use error::BundleError;
pub use features::{Advertised, Feature};
pub use key::SigningKey;
pub use manifest::{
    About, AgentManifest, Capabilities, Features, Lifecycle, Publisher, Runtime, Transport,
    TransportKind, below_transport,
};
pub use release::{Requirement, Unmet};
pub use signature::{Verdict, sign, verify};
