//! `carport watch --events`: the host's events, one a line.

use carport_core::HostEvent;

use super::{Lapse, View as Show, lapse, recovered};
use crate::{
    client::{
        events::{EventTrail, Heard},
        link::{Inbox, Incoming, Link},
    },
    exit::Exit,
    output::{Output, Tone, cut, one_line},
};

/// Characters of a payload on a line.
const PAYLOAD: usize = 120;

/// Every event.
pub(super) struct View {
    output: Output,
    trail: EventTrail,
}

impl View {
    pub(super) fn new(output: Output) -> Self {
        Self { output, trail: EventTrail::default() }
    }

    fn print(&self, event: &HostEvent) -> Result<(), Exit> {
        match self.output.is_json() {
            true => self.output.object(event),
            false => self.output.line(line(event)),
        }
    }
}

impl Show for View {
    async fn show(&mut self, link: &Link, inbox: &mut Inbox) -> Result<(), Lapse> {
        let (snapshot, missed) = self.trail.attach(link).await?;
        self.output.note(format_args!(
            "carport {} (pid {}); Ctrl-C ends",
            one_line(&snapshot.identity.version),
            snapshot.identity.pid
        ));
        for event in recovered(missed, self.output) {
            self.print(&event)?;
        }
        while let Some(incoming) = inbox.recv().await {
            let Incoming::Notice(notice) = incoming else { continue };
            let Some(event) = notice.read() else { continue };
            match self.trail.hear(event) {
                Heard::Next(event) => self.print(&event)?,
                Heard::Known => {}
                Heard::Gap => {
                    for event in recovered(self.trail.catch_up(link).await?, self.output) {
                        self.print(&event)?;
                    }
                }
            }
        }
        Err(lapse(link).await)
    }
}

fn line(event: &HostEvent) -> String {
    let mut words = vec![
        Tone::Faint.paint(event.timestamp.format("%H:%M:%S%.3f")),
        Tone::Name.paint(format_args!("{:<24}", one_line(&event.kind))),
    ];
    words.extend(event.agent_id.as_deref().map(|agent| one_line(agent).into_owned()));
    match &event.message {
        Some(message) => words.push(one_line(message).into_owned()),
        None => words.push(one_line(&cut(&event.payload.to_string(), PAYLOAD)).into_owned()),
    }
    words.join("  ")
}
