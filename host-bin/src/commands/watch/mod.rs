//! `carport watch`: what happens, live, over restarts of the daemon too.

use std::time::Duration;

use carport_core::HostEvent;
use tokio::time::sleep;

use super::runs::any_agent;
use crate::{
    cli::Global,
    client::{
        connect::connect,
        events::Missed,
        interrupt::interrupted,
        link::{CallError, Inbox, Link},
        locate::Located,
        proof::Role,
    },
    exit::{Code, Exit},
    output::Output,
};

mod approvals;
mod desk;
mod events;
mod runs;

/// How long to wait before the daemon is tried again, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How often in a row a daemon that was there before may refuse the token: while it starts, the
/// token on disk may still be that of its former life.
const REFUSALS: u32 = 5;

/// Prints until Ctrl-C (exit code 130). If the daemon goes away, waits for it to come back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Follow every event of the host (the default)
    #[arg(long, group = "view")]
    events: bool,
    /// Show the approvals that wait, and as they come; on a terminal, ask about each
    #[arg(long, group = "view")]
    approvals: bool,
    /// Follow the traces of open runs, turn by turn
    #[arg(long, group = "view")]
    runs: bool,
    /// With --runs: every run of this agent, also later ones; without any, of every agent that the
    /// host shows or that has a token in the state root
    #[arg(long = "agent", value_name = "ID", value_parser = any_agent, requires = "runs")]
    agents: Vec<String>,
    /// With --runs: these runs
    #[arg(value_name = "RUN", requires = "runs")]
    run_ids: Vec<String>,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    tokio::select! {
        ended = watch(args, global, output) => ended,
        exit = interrupted() => Err(exit),
    }
}

async fn watch(args: Args, global: &Global, output: Output) -> Result<(), Exit> {
    if args.approvals {
        over_restarts(approvals::View::new(output), global, output).await
    } else if args.runs {
        let sources = match args.agents.is_empty() && args.run_ids.is_empty() {
            true => runs::Sources::Everybody(Located::find(global)?.root),
            false => runs::Sources::Named(args.agents),
        };
        over_restarts(runs::View::new(sources, args.run_ids, output), global, output).await
    } else {
        over_restarts(events::View::new(output), global, output).await
    }
}

/// What is shown. It lives longer than a connection, so that nothing is shown twice.
trait View {
    /// Shows what comes on a connection, until there is nothing more to see or the connection ends.
    async fn show(&mut self, link: &Link, inbox: &mut Inbox) -> Result<(), Lapse>;
}

/// Why a view stopped.
enum Lapse {
    /// The connection ended.
    Call(CallError),
    /// Something else.
    Exit(Exit),
}

impl From<CallError> for Lapse {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<Exit> for Lapse {
    fn from(exit: Exit) -> Self {
        Self::Exit(exit)
    }
}

async fn over_restarts(mut view: impl View, global: &Global, output: Output) -> Result<(), Exit> {
    let (mut link, mut inbox) = connect(global, &Role::Host).await?;
    loop {
        match view.show(&link, &mut inbox).await {
            Ok(()) => return Ok(()),
            Err(Lapse::Call(CallError::Ended(ending))) => {
                output.note(format_args!("{ending}; waiting for it to come back"));
            }
            Err(Lapse::Call(error)) => return Err(error.into()),
            Err(Lapse::Exit(exit)) => return Err(exit),
        }
        (link, inbox) = reconnect(global).await?;
        output.note("connected again");
    }
}

async fn reconnect(global: &Global) -> Result<(Link, Inbox), Exit> {
    let (mut wait, longest) = BACKOFF;
    let mut refusals = 0;
    loop {
        sleep(wait).await;
        wait = (wait * 2).min(longest);
        match connect(global, &Role::Host).await {
            Err(exit) if exit.code == Code::NoDaemon => refusals = 0,
            Err(exit) if exit.code == Code::Denied && refusals < REFUSALS => refusals += 1,
            connected => return connected,
        }
    }
}

/// Waits for the connection's end once its inbox has.
async fn lapse(link: &Link) -> Lapse {
    CallError::Ended(link.ended().await).into()
}

/// What was missed, with a word about what is gone for good.
fn recovered(missed: Missed, output: Output) -> Vec<HostEvent> {
    if missed.lost > 0 {
        output.note(format_args!("{} events were lost", missed.lost));
    }
    missed.events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    fn parse(words: &str) -> Result<Args, clap::Error> {
        flags(words.split_whitespace())
    }

    #[test]
    fn one_view_at_a_time_and_runs_only_where_runs_are_watched() {
        assert!(parse("").is_ok());
        assert!(parse("--approvals --events").is_err());
        assert!(parse("--agent a").is_err());
        assert!(parse("r-1").is_err());
        let args = parse("--runs --agent a --agent name:b r-1 r-2").unwrap();
        assert_eq!((args.agents.len(), args.run_ids.len()), (2, 2));
    }
}
