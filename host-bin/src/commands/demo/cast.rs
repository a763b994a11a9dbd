//! The three host-role connections of the demo: one offers a method, one approves, one watches.

use std::path::{Path, PathBuf};

use carport_core::{
    ApprovalStatus, HostApproval, HostEvent, RpcError,
    host::{Resolution, ResolveApproval, Subscribe},
    resolve_under,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use super::agent::PUBLISH;
use crate::{
    client::{
        connect::connect_to,
        link::{Ask, CallError, Inbox, Incoming, Link},
        locate::Located,
        proof::Role,
        runs::TraceEvent,
        trail::{Heard, Trail},
    },
    daemon::root::StateRoot,
    exit::Exit,
};

/// What the cast tells the play.
#[derive(Debug)]
pub(super) enum News {
    /// The watcher saw a record.
    Seen { run_id: String, record: Value },
    /// A call waits for approval.
    Waits(Box<HostApproval>),
    /// The approver said yes; `by` is its connection.
    Approved { id: String, by: String },
    /// The provider wrote a report.
    Published { path: PathBuf, bytes: usize },
    /// Somebody cannot go on.
    Failed(Exit),
}

/// Tells the play; where the play is over, nobody listens.
pub(super) type Teller = mpsc::UnboundedSender<News>;

/// The connections. They end with the daemon, or when this value is dropped.
pub(super) struct Cast {
    runs: mpsc::UnboundedSender<String>,
    _tasks: JoinSet<()>,
}

impl Cast {
    /// Connects everybody; each is ready when this returns.
    pub(super) async fn gather(
        root: &StateRoot,
        reports: PathBuf,
        tell: &Teller,
    ) -> Result<Self, Exit> {
        let located = Located::of_root(root)?;
        let mut tasks = JoinSet::new();
        let (link, inbox) = connect_to(&located, &Role::Host).await?;
        link.raw("host.register_methods", &offer()).await?;
        tasks.spawn(provide(link, inbox, reports, tell.clone()));

        let (link, inbox) = connect_to(&located, &Role::Host).await?;
        link.call(Subscribe {}).await?;
        tasks.spawn(cue(approve(link, inbox, tell.clone()), tell.clone()));

        let (link, inbox) = connect_to(&located, &Role::Host).await?;
        let (runs, wanted) = mpsc::unbounded_channel();
        tasks.spawn(cue(watch(link, inbox, wanted, tell.clone()), tell.clone()));
        Ok(Self { runs, _tasks: tasks })
    }

    /// Has the watcher follow a run.
    pub(super) fn follow(&self, run_id: &str) {
        let _ = self.runs.send(run_id.to_owned());
    }
}

/// A connection that ends with its daemon has played its part; any other failure is one.
async fn cue(part: impl Future<Output = Result<(), CallError>>, tell: Teller) {
    match part.await {
        Ok(()) | Err(CallError::Ended(_)) => {}
        Err(error) => drop(tell.send(News::Failed(error.into()))),
    }
}

fn offer() -> Value {
    json!({ "namespace": "demo", "methods": [{
        "name": PUBLISH,
        "description": "Writes a report where other people read it.",
        "access": "authenticated",
        "needs_approval": true,
        "params_schema": {
            "type": "object",
            "properties": {
                "path": { "type": "string", "minLength": 1, "maxLength": 256 },
                "text": { "type": "string", "maxLength": 1_048_576 },
            },
            "required": ["path", "text"],
            "additionalProperties": false,
        },
        "result_schema": {
            "type": "object",
            "properties": { "path": { "type": "string" }, "bytes": { "type": "integer" } },
            "required": ["path", "bytes"],
        },
        "deadline_ms": 30_000,
    }]})
}

/// Serves the method that it offered.
async fn provide(link: Link, mut inbox: Inbox, reports: PathBuf, tell: Teller) {
    // The connection carries the offer, so the link has to live as long as it is served.
    let _link = link;
    while let Some(incoming) = inbox.recv().await {
        if let Incoming::Ask(ask) = incoming
            && ask.method == "host.call_method"
        {
            publish(ask, &reports, &tell).await;
        }
    }
}

#[derive(Deserialize)]
struct Call {
    method: String,
    params: Report,
}

#[derive(Deserialize)]
struct Report {
    path: String,
    text: String,
}

async fn publish(ask: Ask, reports: &Path, tell: &Teller) {
    let written = match Call::deserialize(&ask.params) {
        Ok(Call { method, params }) if method == PUBLISH => write(&params, reports).await,
        Ok(call) => Err(RpcError::not_found(format!("method `{}`", call.method))),
        Err(error) => Err(RpcError::invalid_params("params", error)),
    };
    if let Ok((path, bytes)) = &written {
        let _ = tell.send(News::Published { path: path.clone(), bytes: *bytes });
    }
    ask.answer(written.map(|(path, bytes)| json!({ "path": path, "bytes": bytes }))).await;
}

async fn write(report: &Report, reports: &Path) -> Result<(PathBuf, usize), RpcError> {
    tokio::fs::create_dir_all(reports).await.map_err(RpcError::internal)?;
    let path = resolve_under(reports, "path", &report.path)?;
    tokio::fs::write(&path, &report.text).await.map_err(RpcError::internal)?;
    Ok((path, report.text.len()))
}

/// Says yes to the call that it waits for.
async fn approve(link: Link, mut inbox: Inbox, tell: Teller) -> Result<(), CallError> {
    while let Some(incoming) = inbox.recv().await {
        let Incoming::Notice(notice) = incoming else { continue };
        let Some(event) = notice.read::<HostEvent>() else { continue };
        let Some(row) = waiting(&event) else { continue };
        let approval_id = row.id.clone();
        let _ = tell.send(News::Waits(Box::new(row)));
        let row = link
            .call(ResolveApproval {
                approval_id,
                approved: None,
                resolution: Some(Resolution::Approve),
                notes: Some("the demo's second host connection says yes".into()),
            })
            .await?;
        let by = row.resolved_by.unwrap_or_default();
        let _ = tell.send(News::Approved { id: row.id, by });
    }
    Ok(())
}

/// The row of an event that asks for approval of the demo's own method, and of nothing else.
fn waiting(event: &HostEvent) -> Option<HostApproval> {
    let is_request = event.kind == "approval.requested";
    let row = is_request.then(|| HostApproval::deserialize(&event.payload["approval"]).ok())??;
    let ours = row.action.strip_prefix("ws.method:") == Some(PUBLISH);
    (ours && row.status == ApprovalStatus::Pending).then_some(row)
}

/// Follows the runs that it is told of, each to its end.
async fn watch(
    link: Link,
    mut inbox: Inbox,
    mut wanted: mpsc::UnboundedReceiver<String>,
    tell: Teller,
) -> Result<(), CallError> {
    let seen = |run_id: &str, record| {
        let _ = tell.send(News::Seen { run_id: run_id.to_owned(), record });
    };
    let mut trails: Vec<Trail> = Vec::new();
    loop {
        let behind = tokio::select! {
            Some(run_id) = wanted.recv() => {
                trails.push(Trail::of(run_id));
                trails.last_mut()
            }
            incoming = inbox.recv() => match incoming {
                None => return Ok(()),
                Some(Incoming::Ask(_)) => None,
                Some(Incoming::Notice(notice)) => {
                    let event = TraceEvent::of(&notice);
                    event.and_then(|event| {
                        let trail = trails.iter_mut().find(|it| it.run_id() == event.run_id)?;
                        match trail.hear(event) {
                            Heard::Next(record) => {
                                seen(trail.run_id(), record);
                                None
                            }
                            Heard::Known => None,
                            Heard::Gap => Some(trail),
                        }
                    })
                }
            },
        };
        if let Some(trail) = behind {
            for record in trail.attach(&link).await? {
                seen(trail.run_id(), record);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, action: &str, status: &str) -> HostEvent {
        let row = json!({
            "id": "ap-1", "source": "gate", "action": action, "title": "x", "client_id": null,
            "requested_by": "c", "context": {}, "status": status, "required_approvals": 1,
            "approvals": [], "created_at": "2026-05-02T12:00:00Z",
            "expires_at": "2026-05-02T12:01:00Z",
        });
        let event = json!({
            "id": "event-x-1", "sequence": 1, "timestamp": "2026-05-02T12:00:00Z", "kind": kind,
            "payload": { "approval": row },
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn only_the_demos_own_call_is_approved() {
        let ours = "ws.method:demo.publish_report";
        assert!(waiting(&event("approval.requested", ours, "pending")).is_some());
        assert!(waiting(&event("approval.requested", "ws.method:mail.send", "pending")).is_none());
        assert!(waiting(&event("approval.requested", "request", "pending")).is_none());
        assert!(waiting(&event("approval.resolved", ours, "approved")).is_none());
        assert!(waiting(&event("approval.requested", ours, "cancelled")).is_none());
    }

    #[tokio::test]
    async fn a_report_stays_in_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let reports = dir.path().join("published");
        let report = |path: &str| Report { path: path.into(), text: "hello".into() };
        let (path, bytes) = write(&report("report.md"), &reports).await.unwrap();
        assert_eq!((std::fs::read_to_string(path).unwrap().as_str(), bytes), ("hello", 5));
        for path in ["../out.md", "/tmp/out.md", "a/../../out.md"] {
            assert!(write(&report(path), &reports).await.is_err(), "{path}");
        }
        assert!(!dir.path().join("out.md").exists());
    }
}
