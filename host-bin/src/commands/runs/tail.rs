//! `carport runs tail`: what a run recorded so far, then each record as it is made, to the end.

use serde_json::Value;

use super::record;
use crate::{
    cli::Global,
    client::{
        connect::connect,
        interrupt::interrupted,
        link::{CallError, Incoming},
        proof::Role,
        runs::TraceEvent,
        trail::{Heard, Trail},
    },
    exit::{Code, Exit},
    output::Output,
};

pub(super) async fn run(run: String, global: &Global, output: Output) -> Result<(), Exit> {
    tokio::select! {
        ended = follow(run, global, output) => ended,
        exit = interrupted() => Err(exit),
    }
}

async fn follow(run: String, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, mut inbox) = connect(global, &Role::Host).await?;
    let mut trail = Trail::of(run);
    let print = |record: &Value| match output.is_json() {
        true => output.object(record),
        false => output.line(record::line(record)),
    };
    trail.attach(&link).await?.iter().try_for_each(print)?;
    while !trail.has_ended() {
        let Some(incoming) = inbox.recv().await else {
            let ending = CallError::Ended(link.ended().await);
            let why = format!("{ending}; `carport runs show {}` has what was kept", trail.run_id());
            return Err(Exit::new(Code::NoDaemon, why));
        };
        let Incoming::Notice(notice) = incoming else { continue };
        let Some(event) = TraceEvent::of(&notice) else { continue };
        match trail.hear(event) {
            Heard::Next(record) => print(&record)?,
            Heard::Known => {}
            Heard::Gap => trail.attach(&link).await?.iter().try_for_each(print)?,
        }
    }
    Ok(())
}
