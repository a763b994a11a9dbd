//! The daemon's own side: its files, its configuration, its life.

pub(crate) mod endpoint;
pub(crate) mod private_file;
pub(crate) mod root;
