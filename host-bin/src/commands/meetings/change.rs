//! `carport meetings stop`, `name` and `delete`: what an operator does to anybody's meeting.

use serde_json::{Value, json};

use super::{show, stands, took};
use crate::{
    cli::Global,
    client::{
        connect::connect,
        meetings::{self, Stopped},
        proof::Role,
    },
    exit::Exit,
    output::{Output, count, one_line},
};

pub(super) async fn stop(
    id: &str,
    summarize: bool,
    global: &Global,
    output: Output,
) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    let stopped = meetings::stop(&link, id, summarize).await?;
    match output.is_json() {
        true => output.document(&stopped),
        false => tell(&stopped, output),
    }
}

/// Shows the summary of a meeting that is over, and what came of it.
pub(super) fn tell(stopped: &Stopped, output: Output) -> Result<(), Exit> {
    let Stopped { meeting, summary, .. } = stopped;
    show::summary(summary.as_deref(), output)?;
    output.note(format_args!(
        "meeting {}: {}, {} in {}",
        one_line(&meeting.id),
        stands(meeting.status, meeting.ended_by),
        count(usize::try_from(meeting.segments).unwrap_or(usize::MAX), "segment"),
        took(meeting.duration_ms),
    ));
    Ok(())
}

pub(super) async fn name(
    id: &str,
    label: &str,
    name: &str,
    global: &Global,
    output: Output,
) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    let params = json!({ "meeting_id": id, "label": label, "name": name });
    let named: Value = link.ask("meeting.label", &params).await?;
    if output.is_json() {
        return output.document(&named);
    }
    let segments = named["relabelled"].as_u64().and_then(|it| usize::try_from(it).ok());
    let segments = count(segments.unwrap_or_default(), "segment");
    output.line(format_args!("{} is shown as {}: {segments}", one_line(label), one_line(name)))
}

pub(super) async fn delete(ids: &[String], global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    for id in ids {
        let gone: Value = link.ask("meeting.delete", &json!({ "meeting_id": id })).await?;
        let shown = one_line(id);
        match (output.is_json(), gone["deleted"] == true) {
            (true, deleted) => output.object(&json!({ "meeting_id": id, "deleted": deleted }))?,
            (false, true) => output.line(format_args!("{shown}: removed"))?,
            (false, false) => output.line(format_args!("{shown}: there was none"))?,
        }
    }
    Ok(())
}
