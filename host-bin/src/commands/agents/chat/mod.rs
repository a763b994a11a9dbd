//! `carport agents chat`: one turn with an agent, or a whole conversation.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
};

use clap::ValueEnum;

use crate::{
    cli::Global,
    client::{
        connect::connect,
        interrupt::interrupted,
        proof::{Role, agent_id},
    },
    commands::typed::typed_lines,
    exit::{Code, Exit},
    output::{self, Output},
};

mod answer;
mod turn;

use turn::{Ended, Talk};

/// Prints the answer as it comes; what the agent does on the way goes to standard error. Without a
/// prompt, each line of standard input is a turn of one conversation. Ctrl-C cancels the turn.
#[derive(Debug, clap::Args)]
pub(super) struct Chat {
    /// The agent: `carport agents list` shows it
    #[arg(value_parser = agent_id)]
    id: String,
    /// What to say
    prompt: Option<String>,
    /// What the agent hears when it asks for approval; without a terminal to ask on, `ask` is `no`
    #[arg(long, value_name = "A", default_value = "ask")]
    approve: Approve,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Approve {
    /// Ask the person at the terminal
    Ask,
    /// Yes to everything
    Yes,
    /// No to everything
    No,
}

pub(super) async fn run(wanted: Chat, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, inbox) = connect(global, &Role::Client).await?;
    let mut talk = Talk::new(link, inbox, wanted.id, wanted.approve, output);
    match wanted.prompt {
        Some(prompt) => match talk.turn(&prompt).await? {
            Ended::Whole => Ok(()),
            Ended::Cancelled => Err(Exit::new(Code::Interrupted, "cancelled")),
        },
        None => converse(&mut talk, output).await,
    }
}

/// A turn for each line. A turn that fails does not end the conversation, but is what the command
/// ends with.
async fn converse(talk: &mut Talk, output: Output) -> Result<(), Exit> {
    talk.typed = Some(typed_lines());
    let mut ended = Ok(());
    loop {
        prompt(output);
        let line = {
            let interrupted = pin!(interrupted());
            tokio::select! {
                line = talk.line() => line,
                exit = interrupted => return Err(exit),
            }
        };
        let Some(line) = line else { return ended };
        if line.trim().is_empty() {
            continue;
        }
        match talk.turn(&line).await {
            Ok(Ended::Whole | Ended::Cancelled) => {}
            Err(exit) if matches!(exit.code, Code::Failed | Code::Answered) => {
                output::failure(&exit, output.is_json());
                let (code, message) = (Code::Failed, "a turn of the conversation failed");
                ended = Err(Exit::new(code, message));
            }
            // The connection is gone, nobody reads the answers, or the person wants no more.
            Err(exit) => return Err(exit),
        }
    }
}

/// Shows a person that it is their turn.
fn prompt(output: Output) {
    if !output.is_json() && io::stdin().is_terminal() {
        let mut err = io::stderr().lock();
        let _ = err.write_all(b"> ").and_then(|()| err.flush());
    }
}
