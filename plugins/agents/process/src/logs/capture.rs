//! Output of a child on its way to the log: always read, whatever becomes of it.

use std::{path::Path, sync::Arc, time::Duration};

use carport_core::{Counter, Result, RpcError};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{Mutex, OwnedMutexGuard, broadcast, mpsc},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

use super::{LogLine, MAX_LINE, Stream, TailLog, Window, file, file::LogFile, tail};

/// How much is read at once, in bytes.
const CHUNK: usize = 32 * 1024;

/// How many chunks wait for the disk.
const QUEUE: usize = 64;

/// How long a child may be kept waiting for a disk that takes nothing, once.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many lines a slow follower may lag behind.
const LAG: usize = 1024;

/// Both logs of one agent. They outlive its processes: one writer per file.
pub(crate) struct Capture {
    stdout: Arc<Mutex<Log>>,
    stderr: Arc<Mutex<Log>>,
    lines: broadcast::Sender<Arc<LogLine>>,
    dropped: Counter,
}

/// One stream's log.
struct Log {
    stream: Stream,
    file: LogFile,
    /// The line that has no end yet, as much of it as is ever shown.
    line: Vec<u8>,
    failing: bool,
    lines: broadcast::Sender<Arc<LogLine>>,
    dropped: Counter,
}

impl Capture {
    /// Logs of the agent `id`. Bytes that no log takes are added to `dropped`.
    pub(crate) fn new(state_root: &Path, id: &str, dropped: Counter) -> Result<Self> {
        let (lines, _) = broadcast::channel(LAG);
        let log = |stream| {
            let file = LogFile::new(file::path(state_root, id, stream)?);
            let (lines, dropped) = (lines.clone(), dropped.clone());
            let log = Log { stream, file, line: Vec::new(), failing: false, lines, dropped };
            Ok::<_, RpcError>(Arc::new(Mutex::new(log)))
        };
        Ok(Self { stdout: log(Stream::Stdout)?, stderr: log(Stream::Stderr)?, lines, dropped })
    }

    /// Reads `from` to its end. The task ends when all of it is in the log or dropped.
    pub(crate) fn pump(
        &self,
        stream: Stream,
        from: impl AsyncRead + Unpin + Send + 'static,
    ) -> JoinHandle<()> {
        let log = match stream {
            Stream::Stdout => self.stdout.clone(),
            Stream::Stderr => self.stderr.clone(),
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(read(from, queue, self.dropped.clone()));
        tokio::spawn(write(waiting, log))
    }

    /// The end of both logs, and what they take after that. No write is between the two.
    pub(crate) async fn follow(
        &self,
        state_root: &Path,
        id: &str,
        window: Window,
    ) -> Result<(TailLog, broadcast::Receiver<Arc<LogLine>>)> {
        let held = (self.stdout.clone().lock_owned().await, self.stderr.clone().lock_owned().await);
        let (state_root, id) = (state_root.to_owned(), id.to_owned());
        let read = move || tail::read(&state_root, &id, window, false);
        let tail = spawn_blocking(read).await.map_err(RpcError::internal)??;
        let lines = self.lines.subscribe();
        drop(held);
        Ok((tail, lines))
    }

    /// Removes both logs. No process of the agent may live.
    pub(crate) async fn purge(&self) -> std::io::Result<()> {
        for log in [&self.stdout, &self.stderr] {
            let log = log.clone().lock_owned().await;
            spawn_blocking(move || file::purge(log.file.path()))
                .await
                .map_err(std::io::Error::other)??;
        }
        Ok(())
    }
}

/// Reads a child's output and never keeps the child waiting for long: once the disk has taken nothing
/// for a while, what does not fit the queue is dropped until it takes something again.
async fn read(mut from: impl AsyncRead + Unpin, queue: mpsc::Sender<Vec<u8>>, dropped: Counter) {
    let mut buffer = vec![0; CHUNK];
    let mut patient = true;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let patience = if patient { PATIENCE } else { Duration::ZERO };
        patient = match timeout(patience, queue.reserve()).await {
            Ok(Ok(place)) => {
                place.send(buffer[..count].to_vec());
                true
            }
            _ => {
                dropped.inc_by(count as u64);
                false
            }
        };
    }
}

async fn write(mut waiting: mpsc::Receiver<Vec<u8>>, log: Arc<Mutex<Log>>) {
    while let Some(chunk) = waiting.recv().await {
        let log = log.clone().lock_owned().await;
        // A panic of the blocking task costs this chunk.
        let _ = spawn_blocking(move || take(log, &chunk)).await;
    }
}

fn take(mut log: OwnedMutexGuard<Log>, chunk: &[u8]) {
    let written = log.file.write(chunk);
    if let Err(error) = &written {
        log.dropped.inc_by(chunk.len() as u64);
        if !log.failing {
            tracing::error!(%error, file = %log.file.path().display(), "a log takes nothing: output is dropped");
        }
    }
    log.failing = written.is_err();
    for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
        log.extend(piece);
    }
}

impl Log {
    fn extend(&mut self, piece: &[u8]) {
        let room = (MAX_LINE + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.ends_with(b"\n") {
            if self.lines.receiver_count() > 0 {
                let line = LogLine { stream: self.stream, text: tail::text(&self.line) };
                let _ = self.lines.send(Arc::new(line));
            }
            self.line.clear();
        }
    }
}
