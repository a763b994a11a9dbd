//! `carport watch --approvals`: what waits for a person, and on a terminal the question.

use std::io::{self, IsTerminal};

use carport_core::{HostApproval, HostEvent};
use serde_json::Value;

use super::{
    Lapse, View as Show,
    desk::{Answer, Desk, Say},
    lapse, recovered,
};
use crate::{
    client::{
        events::{EventTrail, Heard},
        link::{Inbox, Incoming, Link},
    },
    commands::{
        approvals::{preview, resolve, tone, word},
        typed::{Typed, typed_lines},
    },
    exit::Exit,
    output::{Output, Tone, one_line},
};

/// Approvals as they come and go.
pub(super) struct View {
    output: Output,
    trail: EventTrail,
    desk: Desk,
    /// Lines that a person types; `None` without a person.
    typed: Option<Typed>,
}

impl View {
    pub(super) fn new(output: Output) -> Self {
        let person = !output.is_json() && io::stdin().is_terminal() && io::stdout().is_terminal();
        let typed = person.then(typed_lines);
        Self { output, trail: EventTrail::default(), desk: Desk::default(), typed }
    }

    /// Shows an event about an approval.
    fn hear(&mut self, event: &HostEvent) -> Result<(), Exit> {
        let row = event.payload.get("approval").map(serde::Deserialize::deserialize);
        let Some(Ok(row)) = row else { return Ok(()) };
        self.news(row, event)
    }

    fn news(&mut self, row: HostApproval, event: &impl serde::Serialize) -> Result<(), Exit> {
        match self.output.is_json() {
            true => self.output.object(event)?,
            false => self.output.line(line(&row))?,
        }
        match row.status {
            carport_core::ApprovalStatus::Pending => self.desk.add(row),
            _ => {
                if let Some(say) = self.desk.settle(&row.id) {
                    self.say(say)?;
                }
            }
        }
        Ok(())
    }

    /// Asks the next question, if there is a person to ask and no question is open.
    fn ask(&mut self) -> Result<(), Exit> {
        if self.typed.is_none() {
            return Ok(());
        }
        self.desk.next().map_or(Ok(()), |say| self.say(say))
    }

    fn say(&mut self, say: Say) -> Result<(), Exit> {
        let Some(typed) = &mut self.typed else { return Ok(()) };
        match say {
            Say::Settled(id) => {
                self.output.line(format_args!("{} is settled; press Enter to go on", one_line(&id)))
            }
            Say::Ask(row) => {
                while typed.try_recv().is_ok() {}
                let question = format_args!("{}? [y]es, [n]o, [s]kip:", one_line(&row.title));
                self.output.line(Tone::Warn.paint(question))
            }
        }
    }

    async fn answer(&mut self, line: &str, link: &Link) -> Result<(), Exit> {
        match self.desk.answer(line) {
            Answer::Decide(id, resolution) => {
                // The event shows what came of it; a refusal is no reason to stop watching.
                if let Err(exit) = resolve(link, id, resolution, None).await {
                    self.output.line(Tone::Bad.paint(one_line(&exit.message)))?;
                }
            }
            Answer::Skip | Answer::Void => {}
            Answer::Unclear => self.output.line("y, n or s")?,
        }
        Ok(())
    }

    /// The rows that wait now; those that were shown before are not shown again.
    async fn begin(&mut self, link: &Link) -> Result<(), Lapse> {
        let (snapshot, missed) = self.trail.attach(link).await?;
        for event in recovered(missed, self.output) {
            self.hear(&event)?;
        }
        let pending = &snapshot.approvals;
        for say in self.desk.keep(|id| pending.iter().any(|row| row.id == id)) {
            self.say(say)?;
        }
        let known: Vec<_> = pending.iter().filter(|row| !self.desk.has(&row.id)).cloned().collect();
        for row in known {
            let event =
                serde_json::json!({ "kind": "approval.pending", "payload": { "approval": row } });
            self.news(row, &event)?;
        }
        Ok(())
    }
}

impl Show for View {
    async fn show(&mut self, link: &Link, inbox: &mut Inbox) -> Result<(), Lapse> {
        self.begin(link).await?;
        loop {
            self.ask()?;
            tokio::select! {
                incoming = inbox.recv() => match incoming {
                    None => return Err(lapse(link).await),
                    Some(Incoming::Ask(_)) => {}
                    Some(Incoming::Notice(notice)) => match notice.read().map(|it| self.trail.hear(it)) {
                        Some(Heard::Next(event)) => self.hear(&event)?,
                        Some(Heard::Gap) => self.begin(link).await?,
                        Some(Heard::Known) | None => {}
                    },
                },
                Some(line) = next_line(&mut self.typed) => self.answer(&line, link).await?,
            }
        }
    }
}

/// The next typed line; `None` once there are none to come.
async fn next_line(typed: &mut Option<Typed>) -> Option<String> {
    typed.as_mut()?.recv().await
}

fn line(row: &HostApproval) -> String {
    let status = tone(row.status).paint(format_args!("{:<9}", word(row.status)));
    let mut words = vec![
        Tone::Faint.paint(row.resolved_at.unwrap_or(row.created_at).format("%H:%M:%S")),
        status,
        Tone::Name.paint(one_line(&row.id)),
        one_line(&row.title).into_owned(),
    ];
    words.extend(row.agent_id.as_deref().map(|agent| format!("for {}", one_line(agent))));
    if row.context != Value::Null {
        words.push(Tone::Faint.paint(one_line(&preview(row))));
    }
    words.join("  ")
}
