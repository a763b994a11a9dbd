//! `carport meetings`: who said what, while it is said and afterwards.

use carport_meetings_record::{EndedBy, Meeting, Status};
use clap::Subcommand;

use super::runs::at_least_one;
use crate::{
    cli::Global,
    client::{
        connect::connect,
        meetings::{Whole, list},
        proof::Role,
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

mod change;
mod export;
mod follow;
mod record;
mod show;

/// Flags of `carport meetings`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List meetings, the newest first
    List {
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
        limit: usize,
    },
    /// Show a meeting: its summary and its transcript
    Show {
        /// The meeting: `carport meetings list` shows it
        meeting: String,
        /// Show what was said so far, then what is said, to its end
        #[arg(long)]
        follow: bool,
    },
    /// Write a meeting for other programs: Markdown or subtitles
    Export(export::Export),
    /// Record a meeting from files, each a source of its own
    Record(record::Record),
    /// Stop a meeting of any connection; one that was interrupted ends, and its summary is made
    Stop {
        /// The meeting: `carport meetings list` shows it
        meeting: String,
        /// Make no summary
        #[arg(long)]
        no_summary: bool,
    },
    /// Give a speaker a name
    Name {
        /// The meeting: `carport meetings list` shows it
        meeting: String,
        /// What the transcript calls the speaker, such as `S1`
        label: String,
        /// What it is to say instead
        name: String,
    },
    /// Remove meetings that are over, and what the memory keeps of them, for good
    Delete {
        /// The meetings: `carport meetings list` shows them
        #[arg(required = true)]
        meetings: Vec<String>,
    },
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    match args.what {
        What::List { limit } => {
            let (link, _) = connect(global, &Role::Client).await?;
            let meetings = list(&link, limit).await?;
            match output.is_json() {
                true => output.document(&meetings),
                false => output.table(&table(&meetings), "no meetings"),
            }
        }
        What::Show { meeting, follow: true } => follow::run(&meeting, global, output).await,
        What::Show { meeting, follow: false } => {
            let (link, _) = connect(global, &Role::Client).await?;
            show::run(&Whole::get(&link, &meeting).await?, output)
        }
        What::Export(wanted) => {
            let (link, _) = connect(global, &Role::Client).await?;
            export::run(&wanted, &Whole::get(&link, &wanted.meeting).await?, output)
        }
        What::Record(wanted) => record::run(&wanted, global, output).await,
        What::Stop { meeting, no_summary } => {
            change::stop(&meeting, !no_summary, global, output).await
        }
        What::Name { meeting, label, name } => {
            change::name(&meeting, &label, &name, global, output).await
        }
        What::Delete { meetings } => change::delete(&meetings, global, output).await,
    }
}

fn table(meetings: &[Meeting]) -> Table {
    let mut table = Table::new(["meeting", "status", "started", "took", "segments", "title"]);
    for meeting in meetings {
        table.row([
            Cell::new(&meeting.id).tone(Tone::Name),
            Cell::new(stands(meeting.status, meeting.ended_by)).tone(tone(meeting.status)),
            Cell::new(meeting.started_at.format("%Y-%m-%d %H:%M:%SZ")),
            Cell::number(took(meeting.duration_ms)),
            Cell::number(meeting.segments),
            Cell::new(&meeting.title),
        ]);
    }
    table
}

/// Where a meeting stands, and why if that does not go without saying.
fn stands(status: Status, ended_by: Option<EndedBy>) -> &'static str {
    match (status, ended_by) {
        (Status::Recording, _) => "recording",
        (Status::Interrupted, _) => "interrupted",
        (Status::Failed, _) => "failed",
        (Status::Ended, None | Some(EndedBy::Stop | EndedBy::WriteError)) => "ended",
        (Status::Ended, Some(EndedBy::Disconnect)) => "ended (disconnect)",
        (Status::Ended, Some(EndedBy::Limit)) => "ended (limit)",
        (Status::Ended, Some(EndedBy::End)) => "ended (end)",
        (Status::Ended, Some(EndedBy::Shutdown)) => "ended (shutdown)",
        (Status::Ended, Some(EndedBy::Crash)) => "ended (crash)",
    }
}

fn tone(status: Status) -> Tone {
    match status {
        Status::Recording | Status::Interrupted => Tone::Warn,
        Status::Ended => Tone::Good,
        Status::Failed => Tone::Bad,
    }
}

/// Hours, minutes and seconds.
fn took(ms: u64) -> String {
    format!("{}:{:02}:{:02}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    #[test]
    fn a_length_is_hours_minutes_and_seconds() {
        assert_eq!(took(3_723_999), "1:02:03");
    }

    #[test]
    fn what_is_wanted_needs_its_words() {
        let reads = |words: &str| flags::<Args>(words.split_whitespace()).is_ok();
        for right in [
            "list",
            "list --limit 3",
            "show m1",
            "show --follow m1",
            "export m1",
            "export m1 --format vtt -o m1.vtt",
            "record --from a.wav b.wav",
            "record --from a.wav --speaker Ann --from b.wav --speaker Bo",
            "record --from a.wav --namespace team",
            "stop m1 --no-summary",
            "name m1 S1 Ann",
            "delete m1 m2",
        ] {
            assert!(reads(right), "{right}");
        }
        for wrong in [
            "",
            "list --limit 0",
            "show",
            "export",
            "export m1 --format pdf",
            "record",
            "record --from",
            "record --from a.wav --agent ../a",
            "stop",
            "name m1 S1",
            "delete",
        ] {
            assert!(!reads(wrong), "{wrong}");
        }
    }
}
