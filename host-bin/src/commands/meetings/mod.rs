//! `carport meetings`: who said what, while it is said and afterwards.

use carport_meetings_record::{Meeting, Segment, Status};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;

use crate::{
    cli::Global,
    client::{
        connect::connect,
        link::{CallError, Link},
        proof::Role,
    },
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

mod export;
mod record;
mod show;

/// Meetings and segments of one page.
const PAGE: usize = 1000;

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
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show a meeting: its summary and its transcript
    Show {
        /// The meeting: `carport meetings list` shows it
        meeting: String,
    },
    /// Write a meeting for other programs: Markdown or subtitles
    Export(export::Export),
    /// Record a meeting from files, each a source of its own
    Record(record::Record),
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
        What::Show { meeting } => {
            let (link, _) = connect(global, &Role::Client).await?;
            show::run(&Whole::get(&link, &meeting).await?, output)
        }
        What::Export(wanted) => {
            let (link, _) = connect(global, &Role::Client).await?;
            export::run(&wanted, &Whole::get(&link, &wanted.meeting).await?, output)
        }
        What::Record(wanted) => {
            // Before there is a meeting that would have to wait.
            let tracks = wanted.open()?;
            let (link, inbox) = connect(global, &Role::Client).await?;
            record::run(&wanted, tracks, &link, inbox, output).await
        }
    }
}

/// A meeting with all of its transcript, as readers see it.
struct Whole {
    meeting: Meeting,
    segments: Vec<Segment>,
    summary: Option<String>,
}

#[derive(Deserialize)]
struct Followed {
    meeting: Meeting,
}

#[derive(Deserialize)]
struct GetPage {
    transcript: Vec<Segment>,
    summary: Option<String>,
    next: Option<u64>,
}

impl Whole {
    async fn get(link: &Link, id: &str) -> Result<Self, CallError> {
        // The record as it is; a subscription ends with the connection, and this one is given back.
        let beyond = json!({ "meeting_id": id, "from": u64::MAX });
        let Followed { meeting } = link.ask("meeting.subscribe", &beyond).await?;
        link.raw("meeting.unsubscribe", &json!({ "meeting_id": id })).await?;
        let mut whole = Self { meeting, segments: Vec::new(), summary: None };
        let mut from = Some(0);
        while let Some(at) = from {
            let params = json!({ "meeting_id": id, "from": at, "limit": PAGE });
            let page: GetPage = link.ask("meeting.get", &params).await?;
            whole.segments.extend(page.transcript);
            whole.summary = page.summary;
            from = page.next.filter(|next| *next > at);
        }
        Ok(whole)
    }
}

#[derive(Deserialize)]
struct ListPage {
    meetings: Vec<Meeting>,
    next: Option<String>,
}

/// The newest meetings, at most `limit` of them.
async fn list(link: &Link, limit: usize) -> Result<Vec<Meeting>, CallError> {
    let (mut meetings, mut before) = (Vec::new(), None);
    while meetings.len() < limit {
        let params = json!({ "limit": PAGE.min(limit - meetings.len()), "before": before });
        let page: ListPage = link.ask("meeting.list", &params).await?;
        meetings.extend(page.meetings);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(meetings)
}

fn table(meetings: &[Meeting]) -> Table {
    let mut table = Table::new(["meeting", "status", "started", "took", "segments", "title"]);
    for meeting in meetings {
        table.row([
            Cell::new(&meeting.id).tone(Tone::Name),
            Cell::new(word(meeting.status)).tone(tone(meeting.status)),
            Cell::new(meeting.started_at.format("%Y-%m-%d %H:%M:%SZ")),
            Cell::number(took(meeting.duration_ms)),
            Cell::number(meeting.segments),
            Cell::new(&meeting.title),
        ]);
    }
    table
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Recording => "recording",
        Status::Ended => "ended",
        Status::Interrupted => "interrupted",
        Status::Failed => "failed",
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
            "export m1",
            "export m1 --format vtt -o m1.vtt",
            "record --from a.wav b.wav",
            "record --from a.wav --speaker Ann --from b.wav --speaker Bo",
        ] {
            assert!(reads(right), "{right}");
        }
        for wrong in ["", "show", "export", "export m1 --format pdf", "record", "record --from"] {
            assert!(!reads(wrong), "{wrong}");
        }
    }
}
