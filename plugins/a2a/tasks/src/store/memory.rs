//! Tasks that end with the process.

use std::{
    collections::HashMap,
    io::{self, BufRead, Cursor},
};

use carport_core::Guarded;

use super::{StoreSettings, backing::Backing, kept::Kept};

/// Keeps tasks in memory.
pub type MemoryStore = Kept<Memory>;

impl MemoryStore {
    /// An empty store.
    pub fn new(settings: StoreSettings) -> Self {
        Self::over(Memory::default(), settings, crate::index::Index::default())
    }
}

/// Lines in memory.
#[derive(Debug, Default)]
pub struct Memory(Guarded<HashMap<String, Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: Vec<u8>,
    push: Option<Vec<u8>>,
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the task is gone")
}

impl Backing for Memory {
    fn begin(&self, id: &str, line: &[u8]) -> io::Result<()> {
        self.0.lock().insert(id.to_owned(), Lines { lines: line.to_owned(), push: None });
        Ok(())
    }

    fn append(&self, id: &str, line: &[u8]) -> io::Result<()> {
        self.0.lock().get_mut(id).ok_or_else(gone)?.lines.extend_from_slice(line);
        Ok(())
    }

    fn read(&self, id: &str, from: u64) -> io::Result<impl BufRead> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let behind = |it: &Lines| Cursor::new(it.lines.get(from..).unwrap_or_default().to_owned());
        self.0.lock().get(id).map(behind).ok_or_else(gone)
    }

    fn remove(&self, id: &str) -> io::Result<()> {
        self.0.lock().remove(id);
        Ok(())
    }

    fn read_push(&self, id: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().get(id).and_then(|it| it.push.clone()))
    }

    fn write_push(&self, id: &str, document: &[u8]) -> io::Result<()> {
        self.0.lock().get_mut(id).ok_or_else(gone)?.push = Some(document.to_owned());
        Ok(())
    }

    fn with_push(&self) -> io::Result<Vec<String>> {
        let all = self.0.lock();
        let with = all.iter().filter(|(_, lines)| lines.push.is_some());
        Ok(with.map(|(id, _)| id.clone()).collect())
    }
}
