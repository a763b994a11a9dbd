//! Daemons that keep every run, at each durability.

use std::path::Path;

use carport_bench_dispatch::{Error, daemon::Daemon};
use clap::ValueEnum;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// A kill of the daemon.
    Process,
    /// A power cut, but for the last 100 ms.
    Interval,
    /// A power cut.
    Record,
}

impl Durability {
    pub(crate) const ALL: [Self; 3] = [Self::Process, Self::Interval, Self::Record];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Interval => "interval",
            Self::Record => "record",
        }
    }
}

/// Keeps every run, however many, so that nothing is removed while something is measured.
pub(crate) async fn start(root: &Path, durability: Durability) -> Result<Daemon, Error> {
    let settings = format!(
        "durability = \"{}\"\n[runs]\nmax_per_agent = 0\nmax_age_days = 0\n\
         [transport]\nmax_connections = 4096\n",
        durability.word()
    );
    Daemon::start(root, &settings).await
}
