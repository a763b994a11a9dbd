//! The agent of the demo: a process of its own that reads files and records a turn for each.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use carport_core::codes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    files::{self, Reading},
    said::Said,
};
use crate::{
    cli::Global,
    client::{
        connect::connect_to,
        link::{CallError, Link},
        locate::Located,
        proof::Role,
    },
    daemon::root::StateRoot,
    exit::{Code, Exit},
    output::count,
};

/// The name that it has a token for.
pub(super) const ID: &str = "scout";
/// The gated method that it calls at the end.
pub(super) const PUBLISH: &str = "demo.publish_report";
/// The name that it asks its report to be published under.
pub(super) const REPORT: &str = "report.md";
/// The agent takes its time over a file, so that a person can follow.
const PACE: Duration = Duration::from_millis(20);
/// How long it tries to get back to a daemon, or to a method of another connection.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the files of the current directory. Half-way it waits for the connection to break; what is
/// left is recorded in a second run, once the daemon is back.
pub(super) async fn run(most: usize, global: &Global) -> Result<(), Exit> {
    let root = StateRoot::resolve(global.state_root.as_deref())?;
    let directory = env::current_dir().map_err(Exit::failed)?;
    let found = files::walk(&directory, most)
        .map_err(|error| Exit::failed(format!("{}: {error}", directory.display())))?;
    let (files, skipped) = (found.files.len(), found.skipped);
    say(&Said::Found { directory, files, skipped })?;
    if found.files.is_empty() {
        return Ok(());
    }
    let (first, rest) = found.files.split_at(files.div_ceil(2));
    let mut notes = Vec::new();

    let run = Run::start(&root, format!("read {}", count(files, "file"))).await?;
    run.read(first, &mut notes).await?;
    say(&Said::HalfWay { left: rest.len() })?;
    let why = run.link.ended().await.to_string();
    say(&Said::Lost { run_id: run.run_id, why })?;

    let intent = format!("read the other {} of {}", rest.len(), count(files, "file"));
    let run = Run::start(&root, intent).await?;
    run.read(rest, &mut notes).await?;
    run.publish(&notes).await?;
    run.complete(files).await
}

/// An open run on a connection.
struct Run {
    link: Link,
    run_id: String,
}

/// The reply to `runs.start`.
#[derive(Deserialize)]
pub(super) struct Started {
    pub(super) run_id: String,
}

#[derive(Deserialize)]
struct Recorded {
    ok: bool,
    base_index: u64,
    dropped: Option<String>,
}

impl Run {
    /// Connects, with patience for a daemon that is not back yet, and opens a run.
    async fn start(root: &StateRoot, intent: String) -> Result<Self, Exit> {
        let link = persist(|| async {
            let (link, _) = connect_to(&Located::of_root(root)?, &Role::Agent(ID.into())).await?;
            Ok(link)
        });
        let link = link.await?;
        let started: Started = link.ask("runs.start", &json!({ "intent": intent })).await?;
        let run_id = started.run_id;
        say(&Said::Started { run_id: run_id.clone(), intent })?;
        Ok(Self { link, run_id })
    }

    /// Reads files and records a turn for each that could be read.
    async fn read(&self, paths: &[PathBuf], notes: &mut Vec<String>) -> Result<(), Exit> {
        for path in paths {
            // A file may be gone since it was found; then there is nothing to record.
            let Ok(content) = tokio::fs::read(path).await else { continue };
            let (reading, path) = (Reading::of(&content), path.to_string_lossy());
            notes.push(format!("| {path} | {} | {} |", reading.bytes, reading.sha256));
            let parameters = json!({ "path": path });
            self.record("read_file", parameters, json!(reading)).await?;
            sleep(PACE).await;
        }
        Ok(())
    }

    async fn record(&self, tool: &str, parameters: Value, output: Value) -> Result<(), Exit> {
        let run_id = self.run_id.clone();
        let turn = json!({ "tool": tool, "parameters": parameters, "output": output });
        let call = json!({ "run_id": run_id, "turns": [turn] });
        say(&Said::Recording { run_id: run_id.clone(), turn })?;
        let reply: Recorded = self.link.ask("runs.record_turns", &call).await?;
        match reply {
            Recorded { ok: true, base_index, .. } => {
                say(&Said::Acknowledged { run_id, base_index })
            }
            Recorded { dropped, .. } => {
                let why = dropped.unwrap_or_default();
                Err(Exit::failed(format!("the daemon dropped a turn: {why}")))
            }
        }
    }

    /// Asks for the report to be published, which a person has to approve.
    async fn publish(&self, notes: &[String]) -> Result<(), Exit> {
        let text = format!(
            "# What {ID} read\n\n| file | bytes | sha256 |\n|---|---|---|\n{}\n",
            notes.join("\n")
        );
        let call = json!({ "path": REPORT, "text": text });
        say(&Said::Asking { method: PUBLISH.into() })?;
        // The connection that offers the method has to come back after a restart too.
        let published = persist(|| async {
            match self.link.raw(PUBLISH, &call).await {
                Err(CallError::Rpc(error)) if error.code == codes::METHOD_NOT_FOUND => {
                    Err(Exit::new(Code::NoDaemon, error))
                }
                reply => Ok(reply?),
            }
        });
        let published = published.await?;
        self.record(PUBLISH, json!({ "path": REPORT }), published).await
    }

    async fn complete(self, files: usize) -> Result<(), Exit> {
        let outcome = json!({
            "status": "success",
            "summary": format!("read {} and published {REPORT}", count(files, "file")),
            "evidence": [REPORT],
        });
        let call = json!({ "run_id": self.run_id, "outcome": outcome });
        self.link.raw("runs.complete", &call).await?;
        say(&Said::Completed { run_id: self.run_id })
    }
}

/// Tries until it works, or fails for another reason than that nobody is there.
async fn persist<T>(attempt: impl AsyncFn() -> Result<T, Exit>) -> Result<T, Exit> {
    let until = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            // Until a new daemon has minted its tokens, those of the old one may be refused.
            Err(exit)
                if matches!(exit.code, Code::NoDaemon | Code::Denied) && Instant::now() < until =>
            {
                sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

fn say(said: &Said) -> Result<(), Exit> {
    let line = serde_json::to_string(said).map_err(Exit::failed)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|_| {
        // The demo is gone, and with it the reason to go on.
        Exit::new(Code::Unread, "the demo has ended")
    })
}
