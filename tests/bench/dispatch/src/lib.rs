//! Servers that are compared, loads that they are put under, and what the system says they spent.

pub mod client;
pub mod daemon;
pub mod process;
pub mod servers;
pub mod stats;

/// Whatever went wrong.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
