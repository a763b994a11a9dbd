//! An audit file: one JSON object a line, written by one task.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use carport_core::Tasks;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// How many lines may wait for the disk.
const QUEUE: usize = 1024;

/// Appends lines to a file of mode `0600`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal(mpsc::Sender<Entry>);

enum Entry {
    Line(String),
    /// Answered once all before it is in the file.
    Flush(oneshot::Sender<()>),
}

impl Journal {
    pub(crate) fn open(path: PathBuf, tasks: &Tasks) -> Self {
        let (queue, mut entries) = mpsc::channel(QUEUE);
        tasks.spawn("journal", async move {
            while let Some(first) = entries.recv().await {
                let (mut batch, mut asked) = (String::new(), Vec::new());
                let mut next = Some(first);
                while let Some(entry) = next {
                    match entry {
                        Entry::Line(line) => batch.push_str(&line),
                        Entry::Flush(flushed) => asked.push(flushed),
                    }
                    next = entries.try_recv().ok();
                }
                let path = path.clone();
                let written = tokio::task::spawn_blocking(move || append(&path, &batch)).await;
                if let Ok(Err(error)) = written {
                    tracing::error!(%error, "an audit line was lost");
                }
                for flushed in asked {
                    // Whoever asked may have gone.
                    let _ = flushed.send(());
                }
            }
        });
        Self(queue)
    }

    /// Queues a line. Never waits: one that finds no room is lost, which is logged.
    pub(crate) fn append(&self, line: &Value) {
        if self.0.try_send(Entry::Line(format!("{line}\n"))).is_err() {
            tracing::error!("an audit line was lost: too many wait for the disk");
        }
    }

    /// Waits until every line that was queued is in the file.
    pub(crate) async fn flush(&self) {
        let (flushed, done) = oneshot::channel();
        if self.0.send(Entry::Flush(flushed)).await.is_ok() {
            // Without an answer the task is gone, and with it all that was to be waited for.
            let _ = done.await;
        }
    }
}

fn append(path: &PathBuf, lines: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(lines.as_bytes())
}
