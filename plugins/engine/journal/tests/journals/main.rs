//! Journals on a real disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod disk;
mod ended;
mod handle;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_core::{Clock, Durability, SystemClock};
use carport_engine_journal::{Event, Journal, Journals, Kind, NewEvent};
use serde_json::json;
use tempfile::TempDir;

/// A directory of journals with a running writer.
struct Scene {
    root: TempDir,
    journals: Arc<Journals>,
}

impl Scene {
    fn new() -> Self {
        Self::with(Durability::Process, Arc::new(SystemClock))
    }

    fn with(durability: Durability, clock: Arc<dyn Clock>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (journals, writer) = Journals::new(root.path().into(), durability, clock);
        tokio::spawn(writer.run());
        Self { root, journals }
    }

    async fn open(&self, client_id: &str) -> Journal {
        self.journals.open(client_id).await.unwrap()
    }

    fn path(&self, client_id: &str) -> PathBuf {
        self.root.path().join(format!("{client_id}.jsonl"))
    }

    fn lines(&self, client_id: &str) -> Vec<String> {
        lines(&self.path(client_id))
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

fn read(line: &str) -> Event {
    serde_json::from_str(line).unwrap()
}

fn event(n: usize) -> NewEvent {
    let data = json!({ "tool": "read_file", "duration_ms": n, "params_digest": "d".repeat(64) });
    NewEvent::new(Kind::ActionSucceeded, data).of_proposal("p1").of_action(format!("a{n}"))
}

async fn append(journal: &Journal, count: usize) {
    for n in 0..count {
        journal.append(event(n)).await;
    }
}
