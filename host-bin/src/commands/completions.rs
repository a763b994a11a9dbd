//! `carport completions`: a completion script for a shell.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli::Cli, exit::Exit};

/// Flags of `carport completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell that is to complete
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<(), Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "carport", &mut script);
    std::io::stdout()
        .write_all(&script)
        .map_err(|error| Exit::failed(format!("cannot write the output: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
