//! The daemon's own side: its files, its configuration, its life.

pub(crate) mod boot;
pub(crate) mod checkup;
pub(crate) mod compat;
pub(crate) mod endpoint;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod notify;
pub(crate) mod private_file;
pub(crate) mod root;
pub(crate) mod settings;
pub(crate) mod tokens;
