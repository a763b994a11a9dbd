//! Servers that are compared, loads that they are put under, and what the system says they spent.

pub mod client;
pub mod process;
pub mod servers;
