//! `carport surfaces`: what agents draw, listed, shown as text, applied and followed.

use clap::Subcommand;

use crate::{
    cli::Global,
    client::{
        connect::connect,
        link::{Inbox, Link},
        proof::{Role, agent_id},
        surfaces::{self, Surface},
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

mod apply;
mod tree;
mod watch;

/// Flags of `carport surfaces`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Ask as this agent, with its own token: only its surfaces are there
    #[arg(long, global = true, value_name = "ID", value_parser = agent_id)]
    agent: Option<String>,
    /// Ask with the host role
    #[arg(long, global = true, conflicts_with = "agent")]
    host: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the surfaces that there are
    List,
    /// Draw a surface as a tree of text
    Show {
        /// The surface: `carport surfaces list` shows it
        id: String,
    },
    /// Apply the envelopes of a file, one by one, up to the first that is refused
    Apply(apply::Args),
    /// Follow what happens to surfaces and on them, until Ctrl-C
    Watch {
        /// Only this surface
        id: Option<String>,
    },
}

impl Args {
    fn role(&self) -> Role {
        match &self.agent {
            Some(id) => Role::Agent(id.clone()),
            None if self.host => Role::Host,
            None => Role::Client,
        }
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    // Before there is a connection that would have to wait.
    let envelopes = match &args.what {
        What::Apply(wanted) => wanted.read()?,
        _ => Vec::new(),
    };
    let role = args.role();
    let (link, inbox): (Link, Inbox) = connect(global, &role).await?;
    match args.what {
        What::List => list(&link, output).await,
        What::Show { id } => show(&id, &link, output).await,
        What::Apply(_) => apply::run(&envelopes, &link, output).await,
        What::Watch { id } => {
            let is_agent = matches!(role, Role::Agent(_));
            let wanted = watch::Wanted { only: id.as_deref(), is_agent };
            watch::run(wanted, &link, inbox, output).await
        }
    }
}

async fn list(link: &Link, output: Output) -> Result<(), Exit> {
    let found = surfaces::list(link).await?;
    match output.is_json() {
        true => output.document(&found),
        false => {
            output.table(&table(&found), "no surfaces; `carport surfaces apply FILE` draws one")
        }
    }
}

fn table(found: &[Surface]) -> Table {
    let mut table =
        Table::new(["surface", "created by", "components", "revision", "updated", "catalog"]);
    for surface in found {
        table.row([
            Cell::new(&surface.surface_id).tone(Tone::Name),
            Cell::new(creator(surface)),
            Cell::number(surface.components.len()),
            Cell::number(surface.revision),
            Cell::new(&surface.updated_at),
            Cell::new(&surface.catalog_id).tone(Tone::Faint),
        ]);
    }
    table
}

fn creator(surface: &Surface) -> String {
    let by = &surface.created_by;
    match &by.agent_id {
        Some(agent) => format!("{} {agent}", by.kind),
        None => by.kind.clone(),
    }
}

async fn show(id: &str, link: &Link, output: Output) -> Result<(), Exit> {
    let Some(surface) = surfaces::get(link, id).await? else {
        let why =
            format!("no such surface `{id}`; `carport surfaces list` shows those that there are");
        return Err(Exit::failed(why));
    };
    match output.is_json() {
        true => output.document(&surface),
        false => tree::lines(&surface).iter().try_for_each(|line| output.line(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    #[test]
    fn who_asks_stands_before_or_after_what_is_wanted() {
        let parse = |words: &str| flags::<Args>(words.split_whitespace());
        for words in ["--agent a list", "list --agent a"] {
            assert_eq!(parse(words).unwrap().role(), Role::Agent("a".into()));
        }
        assert_eq!(parse("watch --host").unwrap().role(), Role::Host);
        assert_eq!(parse("apply -").unwrap().role(), Role::Client);
        for wrong in ["", "show", "apply", "list --agent ../a", "list --agent a --host"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
