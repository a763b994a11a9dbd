//! `carport a2a`: agents of others, asked by hand, and the listener by which they ask this daemon.

use clap::Subcommand;

use crate::{
    cli::Global,
    client::{
        connect::connect,
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

mod card;
mod message;
mod peers;
mod place;
mod send;
mod serve;
mod tasks;
mod tell;

/// Flags of `carport a2a`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// Ask as this agent, with its own token: only its tasks are there
    #[arg(long, global = true, value_name = "ID", value_parser = agent_id)]
    agent: Option<String>,
    /// Ask with the host role: everybody's tasks are there
    #[arg(long, global = true, conflicts_with = "agent")]
    host: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Have the daemon answer A2A over HTTP, until it ends or is told to stop
    Serve(serve::Serve),
    /// Show an agent card: this daemon's, or that of a peer
    Card(card::Card),
    /// Send a message to an agent
    Send(send::Send),
    /// List, show, cancel and follow tasks
    Tasks(tasks::Tasks),
    /// List, add and remove agents of others that may be called
    Peers(peers::Peers),
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
    let role = args.role();
    let connected = async || Ok::<_, Exit>(connect(global, &role).await?.0);
    match args.what {
        What::Serve(wanted) => serve::run(wanted, &connected().await?, output).await,
        What::Card(wanted) => match wanted.url()? {
            // An agent elsewhere has a card whether or not a daemon runs here.
            Some(url) => card::far(&url, output).await,
            None => card::run(&wanted, &connected().await?, output).await,
        },
        What::Send(wanted) => {
            // Before there is a connection that would have to wait.
            let message = wanted.message()?;
            let token = wanted.token()?;
            send::run(&wanted, message, token, &connected().await?, output).await
        }
        What::Tasks(wanted) => {
            let token = wanted.token()?;
            tasks::run(&wanted, token, &connected().await?, output).await
        }
        What::Peers(wanted) => peers::run(&wanted, &connected().await?, output).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    #[test]
    fn who_asks_stands_before_or_after_what_is_wanted() {
        let parse = |words: &str| flags::<Args>(words.split_whitespace());
        for words in ["--agent a tasks list", "tasks list --agent a", "tasks --agent a list"] {
            assert_eq!(parse(words).unwrap().role(), Role::Agent("a".into()));
        }
        assert_eq!(parse("peers list --host").unwrap().role(), Role::Host);
        assert_eq!(parse("send . hello").unwrap().role(), Role::Client);
        assert_eq!(parse("card a_example").unwrap().role(), Role::Client);
        for wrong in [
            "",
            "send",
            "send . hello --wait --stream",
            "serve --stop --status",
            "serve --stop --bind 127.0.0.1:0",
            "tasks cancel",
            "tasks list --state gone",
            "tasks list --limit 0",
            "peers add",
            "tasks list --agent a --host",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
