//! The Carport daemon as a library, so that a custom build is a seven-line `main`.

mod cli;
mod client;
mod commands;
mod daemon;
mod exit;
mod output;
mod plugins;

pub use cli::main;
pub use plugins::BILL;
