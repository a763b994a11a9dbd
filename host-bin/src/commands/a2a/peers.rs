//! `carport a2a peers`: agents of others that the daemon may call without further consent.

use carport_a2a::{AddPeer, ListPeers, Peer, RemovePeer};
use clap::Subcommand;
use serde_json::json;

use super::place::unknown;
use crate::{
    client::link::Link,
    exit::Exit,
    output::{Cell, Output, Table, Tone, one_line},
};

/// The peers.
#[derive(Debug, clap::Args)]
pub(super) struct Peers {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the peers
    List,
    /// Add a peer; its name is made of its host
    Add {
        /// Where it is; http only for hosts that `a2a.allow` of the configuration names
        #[arg(value_name = "URL")]
        place: String,
        /// A name for people, at most 128 bytes
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Say that a host that `a2a.allow` does not name is meant
        #[arg(long)]
        allow_untrusted: bool,
    },
    /// Forget peers; one that is not there is as good
    Remove {
        /// Their names: `carport a2a peers list` shows them
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Show a peer; `carport a2a card NAME` shows what it can do
    Show {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(args: &Peers, link: &Link, output: Output) -> Result<(), Exit> {
    match &args.what {
        What::List => {
            let peers = link.call(ListPeers {}).await?.peers;
            match output.is_json() {
                true => output.document(&peers),
                false => {
                    output.table(&table(&peers), "no peers; `carport a2a peers add URL` adds one")
                }
            }
        }
        What::Add { place, label, allow_untrusted } => {
            let (url, label) = (place.clone(), label.clone());
            let added = link.call(AddPeer { url, label, allow_untrusted: *allow_untrusted }).await;
            let peer = added.map_err(|error| consented(error.into(), *allow_untrusted))?;
            shown(&peer, output)
        }
        What::Remove { names } => remove(names, link, output).await,
        What::Show { name } => {
            let peers = link.call(ListPeers {}).await?.peers;
            let peer = peers.iter().find(|it| it.slug == *name).ok_or_else(|| unknown(name))?;
            shown(peer, output)
        }
    }
}

/// Names the flag, where consent is what lacks.
pub(super) fn consented(exit: Exit, given: bool) -> Exit {
    let reason = exit.rpc.as_ref().and_then(|it| it.data.as_ref()).map(|it| &it["reason"]);
    match reason.is_some_and(|it| it == "untrusted_endpoint") && !given {
        true => Exit { message: format!("{exit}: `--allow-untrusted`"), ..exit },
        false => exit,
    }
}

fn shown(peer: &Peer, output: Output) -> Result<(), Exit> {
    if output.is_json() {
        return output.document(peer);
    }
    let label = peer.label.as_deref().map(|it| format!("  {}", one_line(it))).unwrap_or_default();
    output.line(format_args!("{}  {}{label}", Tone::Name.paint(&peer.slug), one_line(&peer.url)))
}

async fn remove(names: &[String], link: &Link, output: Output) -> Result<(), Exit> {
    for name in names {
        let gone = link.call(RemovePeer { slug: name.clone() }).await?;
        let shown = one_line(name);
        match (output.is_json(), gone.removed) {
            (true, removed) => output.object(&json!({ "slug": name, "removed": removed }))?,
            (false, true) => output.line(format_args!("{shown}: removed"))?,
            (false, false) => output.line(format_args!("{shown}: there was none"))?,
        }
    }
    Ok(())
}

fn table(peers: &[Peer]) -> Table {
    let mut table = Table::new(["peer", "url", "label"]);
    for peer in peers {
        table.row([
            Cell::new(&peer.slug).tone(Tone::Name),
            Cell::new(&peer.url),
            Cell::new(peer.label.as_deref().unwrap_or_default()),
        ]);
    }
    table
}
