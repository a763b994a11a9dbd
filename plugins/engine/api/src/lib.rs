//! What other plugins may ask of the engine: execute a proposal, list tools, add tools written in Rust.
