//! `carport serve`: runs the daemon until a signal ends it.

use std::{ffi::OsStr, path::Path};

use carport_core::BillRow;
use serde::Serialize;

use crate::{
    cli::Global,
    daemon::{
        boot::Daemon, endpoint::Endpoint, log::Log, root::StateRoot, settings::overrides::Overrides,
    },
    exit::Exit,
    output::{Output, Tone},
};

/// Flags of `carport serve`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    overrides: Overrides,
}

/// What is printed with `--json` once the daemon listens.
#[derive(Debug, Serialize)]
struct Started<'a> {
    #[serde(flatten)]
    endpoint: &'a Endpoint,
    version: &'a str,
    state_root: &'a Path,
    token_file: &'a Path,
    host_token_file: &'a Path,
    next: &'a str,
}

pub(crate) async fn run(
    args: Args,
    global: &Global,
    bill: &'static [BillRow],
    log: &Log,
) -> Result<(), Exit> {
    let root = StateRoot::resolve(global.state_root.as_deref())?;
    let daemon = Daemon::boot(&root, &args.overrides, bill, log).await?;
    // Whoever started the daemon may have closed its output; that is no reason not to serve.
    let _ = announce(&root, daemon.endpoint(), global);
    daemon.run().await;
    Ok(())
}

fn announce(root: &StateRoot, endpoint: &Endpoint, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    let (version, token, host) = (env!("CARGO_PKG_VERSION"), root.auth_token(), root.host_token());
    let next = next_command(global);
    if output.is_json() {
        return output.object(&Started {
            endpoint,
            version,
            state_root: root.path(),
            token_file: &token,
            host_token_file: &host,
            next: &next,
        });
    }
    let label = |word: &str| Tone::Faint.paint(format!("{word:<9}"));
    output.line(format!("{} {}", label("listening"), Tone::Good.paint(&endpoint.url)))?;
    if let Some(socket) = &endpoint.socket {
        output.line(format!("{} {}", label(""), socket.display()))?;
    }
    output.line(format!("{} {}", label("token"), token.display()))?;
    output.line(format!("{} {}", label("next"), Tone::Name.paint(next)))
}

/// A command that works from another terminal, where the state root is known only if it is said.
fn next_command(global: &Global) -> String {
    let program = std::env::current_exe().ok();
    let program = program.as_deref().and_then(Path::file_name).unwrap_or(OsStr::new("carport"));
    let program = program.display();
    match &global.state_root {
        Some(root) => format!("{program} --state-root {} methods", root.display()),
        None => format!("{program} methods"),
    }
}
