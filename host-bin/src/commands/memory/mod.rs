//! `carport memory`: facts that are kept, found, shown and handed on.

use carport_core::codes;
use clap::Subcommand;

use crate::{
    cli::Global,
    client::{
        connect::connect_in,
        link::{CallError, Link},
        locate::Located,
        memory::Facts,
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

mod add;
mod handed;
mod show;

/// Flags of `carport memory`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    scope: Scope,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Keep a fact
    Add(add::Add),
    /// Find facts, the best first
    Query(Query),
    /// Show a fact whole
    Show {
        /// The fact: `carport memory query` shows it
        id: String,
    },
    /// Show what a model would be told: facts, rules and turns in layers, within its window
    Context(show::Context),
    /// Remove facts, for good
    Delete {
        /// The facts: `carport memory query` shows them
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Write the facts to a file, or to standard output
    Export(handed::Export),
    /// Put the facts of a file in the place of those that are there
    Import(handed::Import),
    /// Say which memory this is, and how full
    Stats,
}

/// What is asked.
#[derive(Debug, clap::Args)]
struct Query {
    /// What the facts are to be about
    #[arg(required = true)]
    words: Vec<String>,
    /// So many at most
    #[arg(short, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    k: u32,
    /// Only facts of this kind; repeat it for more
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
}

/// Whose facts.
#[derive(Debug, clap::Args)]
struct Scope {
    /// The memory of this namespace
    #[arg(long, global = true, value_name = "NS")]
    namespace: Option<String>,
    /// Ask as this agent, with its own token: its memory, unless a namespace is given
    #[arg(long, global = true, value_name = "ID", value_parser = agent_id)]
    agent: Option<String>,
    /// The facts of this tenant; what reads them sees those without a tenant too
    #[arg(long, global = true, value_name = "TENANT")]
    tenant: Option<String>,
    /// Ask with the host role
    #[arg(long, global = true, conflicts_with = "agent")]
    host: bool,
}

impl Scope {
    fn role(&self) -> Role {
        match &self.agent {
            Some(id) => Role::Agent(id.clone()),
            None if self.host => Role::Host,
            None => Role::Client,
        }
    }

    async fn open(&self, located: &Located) -> Result<Link, Exit> {
        let connected = connect_in(located, &self.role(), self.namespace.as_deref()).await;
        let (link, _) = connected.map_err(|exit| match &exit.rpc {
            Some(rpc) if rpc.code == codes::CONFLICT && self.agent.is_some() => {
                let message = format!("{exit}; its memory can be asked for once it is gone");
                Exit { message, ..exit }
            }
            _ => exit,
        })?;
        if self.namespace.is_none() && self.agent.is_none() {
            lasts(&link).await?;
        }
        Ok(link)
    }
}

/// Refuses a memory that ends with the connection: this command's.
async fn lasts(link: &Link) -> Result<(), Exit> {
    match (Facts { link, tenant: None }).stats().await {
        Ok(stats) if stats.graph == "session" => Err(Exit::usage(
            "whose memory? Give `--namespace NS` or `--agent ID`: without them this daemon keeps \
             facts until the connection ends (`memory.unbound`)",
        )),
        // A daemon that does not say shares one memory.
        Err(CallError::Rpc(error)) if error.code == codes::METHOD_NOT_FOUND => Ok(()),
        stats => Ok(stats.map(drop)?),
    }
}

pub(crate) async fn run(mut args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    // Before there is a connection that would have to wait.
    let mut read = Vec::new();
    match &mut args.what {
        What::Add(wanted) => wanted.read()?,
        What::Import(wanted) => read = wanted.read()?,
        _ => {}
    }
    let located = Located::find(global)?;
    let link = args.scope.open(&located).await?;
    let facts = Facts { link: &link, tenant: args.scope.tenant.as_deref() };
    match args.what {
        What::Add(wanted) => add::run(&wanted, &facts, output).await,
        What::Query(wanted) => show::query(&wanted, &facts, output).await,
        What::Show { id } => show::one(&id, &facts, output).await,
        What::Context(wanted) => show::context(&wanted, &facts, output).await,
        What::Delete { ids } => delete(&ids, &facts, output).await,
        What::Export(wanted) => handed::export(&wanted, &facts, &located, output).await,
        What::Import(wanted) => handed::import(&wanted, &read, &facts, &located, output).await,
        What::Stats => show::stats(&facts, output).await,
    }
}

async fn delete(ids: &[String], facts: &Facts<'_>, output: Output) -> Result<(), Exit> {
    for id in ids {
        let gone = facts.delete(id).await?;
        match (output.is_json(), gone.deleted) {
            (true, _) => output.object(&gone)?,
            (false, true) => output.line(format_args!("{id}: removed"))?,
            (false, false) => output.line(format_args!("{id}: there was none"))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    fn parse(words: &str) -> Result<Args, clap::Error> {
        flags(words.split_whitespace())
    }

    #[test]
    fn whose_memory_it_is_stands_before_or_after_what_is_wanted() {
        for words in ["--agent a --namespace n stats", "stats --namespace n --agent a"] {
            let scope = parse(words).unwrap().scope;
            assert_eq!(scope.role(), Role::Agent("a".into()));
            assert_eq!(scope.namespace.as_deref(), Some("n"));
        }
        assert_eq!(parse("stats").unwrap().scope.role(), Role::Client);
        assert_eq!(parse("import f --host").unwrap().scope.role(), Role::Host);
        for wrong in ["stats --agent a --host", "stats --agent ../a", "show", "import", "delete"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_question_is_its_words() {
        let What::Query(query) = parse("query how tall -k 7 --kind geo --kind peak").unwrap().what
        else {
            panic!("a query")
        };
        assert_eq!((query.words.join(" ").as_str(), query.k), ("how tall", 7));
        assert_eq!(query.kinds, ["geo", "peak"]);
        for wrong in ["query", "query x -k 0", "query x -k 101"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
