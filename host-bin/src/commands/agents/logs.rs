//! `carport agents logs`: the end of what an agent printed, and what it prints from then on.

use clap::ValueEnum;
use serde_json::json;

use crate::{
    cli::Global,
    client::{
        agents::{self, AgentChanged, LogCursor, LogLine, TailLog, refused},
        connect::connect,
        interrupt::interrupted,
        link::{CallError, Incoming},
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

/// Which lines.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// The agent: `carport agents list` shows it
    #[arg(value_parser = agent_id)]
    id: String,
    /// So many lines of each stream; 0 for all that is kept, as far as a reply holds it
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=10_000))]
    lines: u32,
    /// What it printed where
    #[arg(long, value_name = "S", default_value = "combined")]
    stream: Stream,
    /// Go on with what it prints, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stream {
    /// Both, standard output first
    Combined,
    /// Standard output
    Stdout,
    /// Standard error
    Stderr,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

pub(super) async fn run(wanted: &Logs, global: &Global, output: Output) -> Result<(), Exit> {
    if wanted.follow {
        return tokio::select! {
            ended = follow(wanted, global, output) => ended,
            exit = interrupted() => Err(exit),
        };
    }
    let (link, _) = connect(global, &Role::Client).await?;
    let tail = agents::tail(&link, &wanted.id, wanted.lines, wanted.stream.word()).await;
    let tail = tail.map_err(|error| refused(error, &wanted.id))?;
    match output.is_json() {
        true => output.document(&tail),
        false => print(&tail, output),
    }
}

/// Prints both windows; a heading says where the other begins.
fn print(tail: &TailLog, output: Output) -> Result<(), Exit> {
    let both = !tail.stdout.is_empty() && !tail.stderr.is_empty();
    for (name, lines) in [("stdout", &tail.stdout), ("stderr", &tail.stderr)] {
        if both {
            output.note(format_args!("== {name}"));
        }
        lines.iter().try_for_each(|line| output.text(&format!("{line}\n")))?;
    }
    Ok(())
}

async fn follow(wanted: &Logs, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, mut inbox) = connect(global, &Role::Client).await?;
    // Else nobody would say that there is nothing more to come.
    agents::subscribe(&link).await?;
    let followed = agents::follow_log(&link, &wanted.id, wanted.lines, wanted.stream.word()).await;
    let followed = followed.map_err(|error| refused(error, &wanted.id))?;
    match output.is_json() {
        true => {
            let window = [("stdout", &followed.tail.stdout), ("stderr", &followed.tail.stderr)];
            for (stream, lines) in window {
                let object = |line| json!({ "stream": stream, "line": line });
                lines.iter().try_for_each(|line| output.object(&object(line)))?;
            }
        }
        false => print(&followed.tail, output)?,
    }
    let mut cursor = followed.cursor;
    while let Some(incoming) = inbox.recv().await {
        let Incoming::Notice(notice) = incoming else { continue };
        if AgentChanged::of(&notice).is_some_and(|it| it.removed && it.agent.id() == wanted.id) {
            return Err(Exit::failed(format!("agent `{}` was removed", wanted.id)));
        }
        let Some(line) = LogLine::of(&notice).filter(|line| line.id == wanted.id) else { continue };
        match lost(&mut cursor, &line) {
            0 => {}
            lost => output.note(format_args!("{lost} lines were lost on the way")),
        }
        match output.is_json() {
            true => output.object(&json!({ "stream": line.stream, "line": line.line }))?,
            false => output.text(&format!("{}\n", line.line))?,
        }
    }
    Err(CallError::Ended(link.ended().await).into())
}

/// How many lines are missing before this one.
fn lost(cursor: &mut LogCursor, line: &LogLine) -> u64 {
    let last = match line.stream.as_str() {
        "stderr" => &mut cursor.stderr,
        _ => &mut cursor.stdout,
    };
    let lost = line.cursor.saturating_sub(*last + 1);
    *last = line.cursor;
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_counts_its_own_lines() {
        let mut cursor = LogCursor { stdout: 7, stderr: 0 };
        let mut lost = |stream: &str, at| {
            let (id, line) = ("a".to_owned(), String::new());
            lost(&mut cursor, &LogLine { id, stream: stream.into(), line, cursor: at })
        };
        assert_eq!((lost("stdout", 8), lost("stderr", 1), lost("stderr", 4)), (0, 0, 2));
        assert_eq!(lost("stdout", 9), 0);
    }
}
