//! `carport token`: shows, rotates and mints tokens.

use std::path::PathBuf;

use clap::Subcommand;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::{
    cli::Global,
    daemon::{compat::CarPlaces, root::StateRoot, tokens},
    exit::Exit,
    output::Output,
};

/// What `carport token` is to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print where the daemon token is
    Path(Which),
    /// Print the daemon token
    Show(Which),
    /// Put a new token in the place of the old one; it counts at once
    Rotate(Which),
    /// Print an agent's own token, minting it the first time
    Agent(Agent),
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Which {
    /// The host token instead of the daemon token
    #[arg(long)]
    host: bool,
}

impl Which {
    fn path(self, root: &StateRoot) -> PathBuf {
        if self.host { root.host_token() } else { root.auth_token() }
    }

    fn word(self) -> &'static str {
        if self.host { "host" } else { "daemon" }
    }
}

#[derive(Debug, clap::Args)]
struct Agent {
    /// The agent's id: [A-Za-z0-9._-], not starting with a dot
    id: String,
    /// Mint another, so that the one before it does not count any more
    #[arg(long)]
    rotate: bool,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let root = StateRoot::resolve(global.state_root.as_deref())?;
    let output = Output::new(global.json);
    match args.what {
        What::Path(which) => {
            let path = which.path(&root);
            match output.is_json() {
                true => output.document(&json!({ "kind": which.word(), "path": path })),
                false => output.line(path.display()),
            }
        }
        What::Show(which) => {
            let path = which.path(&root);
            let secret = tokens::show(&path)?;
            print(output, json!({ "kind": which.word(), "path": path }), &secret)
        }
        What::Rotate(which) => rotate(which, &root, output),
        What::Agent(agent) => {
            let (secret, minted) = match agent.rotate {
                true => (tokens::renew_agent(&root, &agent.id)?, true),
                false => tokens::agent(&root, &agent.id)?,
            };
            let path = root.agent_token(&agent.id)?;
            print(output, json!({ "agent_id": agent.id, "path": path, "minted": minted }), &secret)
        }
    }
}

fn rotate(which: Which, root: &StateRoot, output: Output) -> Result<(), Exit> {
    let path = which.path(root);
    // Without a place for them there are no copies to renew.
    let car = CarPlaces::of_this_process().ok();
    tokens::rotate(&path, car.as_ref())?;
    match output.is_json() {
        true => output.document(&json!({ "kind": which.word(), "path": path, "rotated": true })),
        false => output.line(format!("the {} token in {} is new", which.word(), path.display())),
    }
}

/// A secret goes to standard output alone, and only when it was asked for.
fn print(output: Output, mut object: serde_json::Value, secret: &SecretString) -> Result<(), Exit> {
    match output.is_json() {
        true => {
            object["token"] = secret.expose_secret().into();
            output.document(&object)
        }
        false => output.line(secret.expose_secret()),
    }
}
