//! Lines that a store keeps: of what it is made, in memory or on disk. Everything here may block.

use std::io::{self, BufRead};

/// Keeps the lines of each task, and one document of its receivers.
pub trait Backing: Send + Sync + 'static {
    /// Begins a task with its first line. Nobody has that id.
    fn begin(&self, id: &str, line: &[u8]) -> io::Result<()>;

    /// Adds a line. If that fails, the task holds no part of it, at the latest when the next line is added.
    /// Not found: there is no such task.
    fn append(&self, id: &str, line: &[u8]) -> io::Result<()>;

    /// The lines behind so many bytes, to be read one after the other.
    fn read(&self, id: &str, from: u64) -> io::Result<impl BufRead>;

    /// Forgets a task and its receivers.
    fn remove(&self, id: &str) -> io::Result<()>;

    /// The document of its receivers, if there is one.
    fn read_push(&self, id: &str) -> io::Result<Option<Vec<u8>>>;

    /// Puts that document in the place of the one before.
    fn write_push(&self, id: &str, document: &[u8]) -> io::Result<()>;

    /// The tasks that have such a document.
    fn with_push(&self) -> io::Result<Vec<String>>;

    /// Brings to the disk what may wait for it.
    fn sync(&self) {}
}
