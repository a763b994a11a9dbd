//! The command line: what there is to say, and where each word leads.

use std::{path::PathBuf, process::ExitCode};

use carport_core::BillRow;
use clap::{Parser, Subcommand};

use crate::{commands, daemon::log::Log, exit::Exit, output};

/// An open runtime daemon for AI agents.
#[derive(Debug, Parser)]
#[command(name = "carport", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no daemon \
                          answers, 4 token or role not accepted, 5 the daemon answered with an \
                          error, 6 another daemon holds the state root, 130 interrupted.";

/// Flags of every command, before or after its name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The directory that everything on disk lives under (default: CARPORT_HOME, CAR_HOME, ~/.carport)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_root: Option<PathBuf>,
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The daemon to talk to, instead of the one of the state root
    #[arg(long, global = true, value_name = "URL", env = "CARPORT_URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon (the default)
    Serve(commands::serve::Args),
    /// See an agent's run recorded, killed and replayed, and an agent under supervision
    Demo(commands::demo::Args),
    /// Call a method: `carport call runs.list '{"agent_id":"builder"}'`
    Call(commands::call::Args),
    /// Follow what happens, live
    Watch(commands::watch::Args),
    /// List, show and follow recorded runs
    Runs(commands::runs::Args),
    /// Supervise agents, read their logs and chat with them
    Agents(commands::agents::Args),
    /// Keep facts, find them and hand them on
    Memory(commands::memory::Args),
    /// Record meetings, show them and hand them on
    Meetings(commands::meetings::Args),
    /// Turn recordings into text and text into speech
    Voice(commands::voice::Args),
    /// List and show the surfaces that agents draw, apply envelopes and follow what happens
    Surfaces(commands::surfaces::Args),
    /// Ask agents of others, and have this daemon asked by them
    #[cfg(feature = "a2a")]
    A2a(commands::a2a::Args),
    /// List and decide what waits for a person
    Approvals(commands::approvals::Args),
    /// List the methods of the daemon
    Methods(commands::methods::Args),
    /// List the plugins of this build
    Plugins(commands::plugins::Args),
    /// Show, rotate and mint tokens
    Token(commands::token::Args),
    /// Show, start and check the configuration
    Config(commands::config::Args),
    /// Look for what is wrong, and say the remedy
    Doctor(commands::doctor::Args),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
}

/// How long work that blocks may take over its end once everything else has ended.
const STUCK: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs the command line of a build made of `bill`. A custom daemon's `main` is this call.
pub fn main(bill: &'static [BillRow]) -> ExitCode {
    // Before anything else: a shim has no configuration, no threads and no use for standard input.
    #[cfg(feature = "agents")]
    if std::env::args_os().nth(1).is_some_and(|word| word == carport_agents::SHIM) {
        std::process::exit(carport_agents::run_shim());
    }
    let cli = Cli::parse();
    let json = cli.global.json;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(run(cli, bill));
            // A thread that a dead disk holds does not hold the process.
            runtime.shutdown_timeout(STUCK);
            ended
        }
        Err(error) => Err(Exit::failed(format!("cannot start the runtime: {error}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            output::failure(&exit, json);
            exit.code.into()
        }
    }
}

async fn run(cli: Cli, bill: &'static [BillRow]) -> Result<(), Exit> {
    let Cli { global, command } = cli;
    let log = Log::start();
    match command.unwrap_or_else(|| Command::Serve(commands::serve::Args::default())) {
        Command::Serve(args) => commands::serve::run(args, &global, bill, &log).await,
        Command::Demo(args) => commands::demo::run(args, &global).await,
        Command::Call(args) => commands::call::run(args, &global).await,
        Command::Watch(args) => commands::watch::run(args, &global).await,
        Command::Runs(args) => commands::runs::run(args, &global).await,
        Command::Agents(args) => commands::agents::run(args, &global).await,
        Command::Memory(args) => commands::memory::run(args, &global).await,
        Command::Meetings(args) => commands::meetings::run(args, &global).await,
        Command::Voice(args) => commands::voice::run(args, &global).await,
        Command::Surfaces(args) => commands::surfaces::run(args, &global).await,
        #[cfg(feature = "a2a")]
        Command::A2a(args) => commands::a2a::run(args, &global).await,
        Command::Approvals(args) => commands::approvals::run(args, &global).await,
        Command::Methods(args) => commands::methods::run(args, &global).await,
        Command::Plugins(args) => commands::plugins::run(&args, &global, bill),
        Command::Token(args) => commands::token::run(args, &global).await,
        Command::Config(args) => commands::config::run(args, &global, bill),
        Command::Doctor(args) => commands::doctor::run(args, &global, bill).await,
        Command::Completions(args) => commands::completions::run(&args),
    }
}

/// The flags of a command, read from the words behind its name.
#[cfg(test)]
pub(crate) fn flags<'a, A: clap::Args>(
    words: impl IntoIterator<Item = &'a str>,
) -> Result<A, clap::Error> {
    let command = A::augment_args(clap::Command::new("carport"));
    let matches = command.try_get_matches_from(["carport"].into_iter().chain(words))?;
    A::from_arg_matches(&matches)
}
