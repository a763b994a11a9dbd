//! An audit file: one JSON object a line, written by one task.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use carport_core::Tasks;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// How many lines may wait for the disk.
const QUEUE: usize = 1024;

/// Appends lines to a file of mode `0600`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Journal(mpsc::Sender<Line>);

struct Line {
    text: String,
    /// Who waits until the file has it.
    written: Option<oneshot::Sender<()>>,
}

impl Journal {
    pub(crate) fn open(path: PathBuf, tasks: &Tasks) -> Self {
        let (queue, mut lines) = mpsc::channel::<Line>(QUEUE);
        tasks.spawn("journal", async move {
            while let Some(line) = lines.recv().await {
                let (mut batch, mut waiting) = (line.text, Vec::from_iter(line.written));
                while let Ok(more) = lines.try_recv() {
                    batch.push_str(&more.text);
                    waiting.extend(more.written);
                }
                let path = path.clone();
                let written = tokio::task::spawn_blocking(move || append(&path, &batch)).await;
                if let Ok(Err(error)) = written {
                    tracing::error!(%error, "an audit line was lost");
                }
                for waiting in waiting {
                    // Whoever waited may be gone.
                    let _ = waiting.send(());
                }
            }
        });
        Self(queue)
    }

    /// Queues a line. Never waits: one that finds no room is lost, which is logged.
    pub(crate) fn append(&self, line: &Value) {
        let line = Line { text: format!("{line}\n"), written: None };
        if self.0.try_send(line).is_err() {
            tracing::error!("an audit line was lost: too many wait for the disk");
        }
    }

    /// Writes a line, and waits until it is in the file or lost, which is logged.
    pub(crate) async fn write(&self, line: &Value) {
        self.until_written(format!("{line}\n")).await;
    }

    /// Waits until every line that was queued is in the file.
    pub(crate) async fn flush(&self) {
        self.until_written(String::new()).await;
    }

    async fn until_written(&self, text: String) {
        let (written, heard) = oneshot::channel();
        let line = Line { text, written: Some(written) };
        if self.0.send(line).await.is_err() || heard.await.is_err() {
            tracing::error!("audit lines were lost: the daemon is shutting down");
        }
    }
}

fn append(path: &PathBuf, lines: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(lines.as_bytes())
}
