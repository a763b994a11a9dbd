//! `carport meetings show --follow`: what was said so far, then what is said, to the meeting's end.

use carport_meetings_record::{Meeting, Segment};
use serde_json::{Value, json};

use super::{show, stands};
use crate::{
    cli::Global,
    client::{
        connect::connect,
        interrupt::interrupted,
        link::{CallError, Incoming, Link},
        meetings::{Event, Heard, MeetingTrail},
        proof::Role,
    },
    exit::{Code, Exit},
    output::{Output, Tone, one_line},
};

pub(super) async fn run(id: &str, global: &Global, output: Output) -> Result<(), Exit> {
    tokio::select! {
        ended = follow(id, global, output) => ended,
        exit = interrupted() => Err(exit),
    }
}

async fn follow(id: &str, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, mut inbox) = connect(global, &Role::Client).await?;
    let mut screen = Screen { trail: MeetingTrail::of(id), output };
    screen.attach(&link, true).await?;
    while screen.trail.ended().is_none() {
        match inbox.recv().await {
            Some(news) => screen.hear(&link, &news).await?,
            None => return Err(reminded(CallError::Ended(link.ended().await).into(), id)),
        }
    }
    let ended = screen.trail.ended().map(|(status, by)| stands(status, by)).unwrap_or_default();
    let id = one_line(id);
    output.note(format_args!(
        "{ended}; `carport meetings show {id}` has the summary, if one is made"
    ));
    Ok(())
}

/// Where to find what was said, if it was the daemon that went.
pub(super) fn reminded(exit: Exit, id: &str) -> Exit {
    match exit.code {
        Code::NoDaemon => {
            let message = format!(
                "{exit}; once it runs again, `carport meetings show {}` has what was said",
                one_line(id)
            );
            Exit { message, ..exit }
        }
        _ => exit,
    }
}

/// What is shown of a meeting while it is recorded.
pub(super) struct Screen {
    pub(super) trail: MeetingTrail,
    pub(super) output: Output,
}

impl Screen {
    /// Follows the meeting from here on, or again, and shows what was not shown; `heads` is for the first time.
    pub(super) async fn attach(&mut self, link: &Link, heads: bool) -> Result<(), Exit> {
        let (meeting, segments) = self.trail.attach(link).await?;
        if heads {
            self.head(&meeting)?;
        }
        segments.iter().try_for_each(|it| self.segment(it))
    }

    fn head(&self, meeting: &Meeting) -> Result<(), Exit> {
        match self.output.is_json() {
            true => self.object(json!({ "type": "meeting", "meeting": meeting })),
            false => {
                show::head(meeting, usize::try_from(meeting.segments).unwrap_or(0), self.output)
            }
        }
    }

    fn segment(&self, segment: &Segment) -> Result<(), Exit> {
        match self.output.is_json() {
            true => self.object(json!({ "type": "segment", "segment": segment })),
            false => self.output.line(show::line(segment)),
        }
    }

    fn object(&self, mut object: Value) -> Result<(), Exit> {
        object["meeting_id"] = self.trail.id().into();
        self.output.object(&object)
    }

    /// Shows what came, if it is of the meeting.
    pub(super) async fn hear(&mut self, link: &Link, news: &Incoming) -> Result<(), Exit> {
        let Incoming::Notice(notice) = news else { return Ok(()) };
        match self.trail.hear(notice) {
            Heard::Known => Ok(()),
            Heard::Gap => self.attach(link, false).await,
            Heard::Next(_) if self.output.is_json() => self.output.object(&notice.params),
            Heard::Next(event) => self.show(&event),
        }
    }

    fn show(&self, event: &Event) -> Result<(), Exit> {
        match event {
            Event::Segment { segment } => self.segment(segment),
            Event::SegmentRevised { segment } => {
                let what = Tone::Faint.paint("corrected:");
                self.output.line(format_args!("{what} {}", show::line(segment)))
            }
            Event::Warning { source, message } => {
                let of = source.as_deref().map(|it| format!("{}: ", one_line(it)));
                let why = format!("{}{}", of.unwrap_or_default(), one_line(message));
                self.output.line(Tone::Warn.paint(why))
            }
            Event::Status { .. } | Event::Other => Ok(()),
        }
    }
}
