//! Detached calls of one runtime: their chunks, their ends, and how long they are kept. Pure.

use std::collections::{HashMap, VecDeque};

use carport_core::{Result, RpcError, Time, bounds};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Handles of one runtime: those that run, and those whose end nobody has polled yet.
pub(crate) const MAX_HANDLES: usize = 64;
/// Chunks that wait for a poll.
const MAX_CHUNKS: usize = 1024;
/// Bytes of JSON of the chunks that wait for a poll, and of a final answer.
const MAX_BYTES: usize = 8 << 20;
/// How long an ended handle waits to be polled.
const ENDED_LIFE: TimeDelta = TimeDelta::minutes(15);
/// How long a call may run.
pub(crate) const RUNNING_LIFE: TimeDelta = TimeDelta::hours(24);

/// A piece of what a detached call has to say. `done` and `error` end it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToolStreamChunk {
    /// Text that goes on where the last one ended.
    Text {
        /// The text.
        text: String,
    },
    /// Anything.
    Data {
        /// What it is.
        data: Value,
    },
    /// How far it is.
    Progress {
        /// Of the whole, 0 to 1.
        fraction: f64,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// It succeeded.
    Done {
        /// With this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
    },
    /// It failed.
    Error {
        /// Why.
        message: String,
    },
}

impl ToolStreamChunk {
    /// Its bounds; `field` is its path.
    pub(crate) fn check(&self, field: &str) -> Result<()> {
        if let Self::Progress { fraction, .. } = self {
            bounds::within(&format!("{field}.fraction"), *fraction, 0.0..=1.0)?;
        }
        bounds::encoded(field, self, 1 << 20)
    }

    /// The chunk, or what stands for a final answer that is too large to be kept.
    pub(crate) fn bounded(self) -> Self {
        match serde_json::to_vec(&self).map_or(usize::MAX, |json| json.len()) {
            0..=MAX_BYTES => self,
            bytes => {
                let message = format!("the answer has {bytes} bytes; the limit is {MAX_BYTES}");
                Self::Error { message }
            }
        }
    }
}

/// Where a detached call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandleStatus {
    /// Under way.
    Running,
    /// `done` came.
    Succeeded,
    /// `error` came, or an error answer, or its time was over.
    Failed,
    /// `tools.cancel` came.
    Cancelled,
}

/// What came of a detached call since the last poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolPollResult {
    /// The call.
    pub handle: String,
    /// The tool.
    pub tool: String,
    /// The action that called it.
    pub action_id: String,
    /// Where it stands.
    pub status: HandleStatus,
    /// In the order in which they came.
    pub chunks: Vec<ToolStreamChunk>,
    /// How many before them were given up because nobody polled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_chunks: Option<u64>,
    /// What it ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a handle is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) tool: String,
    pub(crate) action_id: String,
    pub(crate) proposal_id: String,
}

/// A handle that just ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) handle: String,
    pub(crate) subject: Subject,
    pub(crate) status: HandleStatus,
    /// Over its whole life.
    pub(crate) chunks: u64,
}

/// What came of a push.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Unknown, or ended before.
    Refused,
    Taken,
    /// Taken, and the last one.
    Last(Ended),
}

/// What came of a cancel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Unknown,
    Before,
    Now(Ended),
}

/// The handles of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Handles(HashMap<String, Handle>);

#[derive(Debug)]
struct Handle {
    subject: Subject,
    started: Time,
    ended: Option<Time>,
    status: HandleStatus,
    chunks: VecDeque<(ToolStreamChunk, usize)>,
    bytes: usize,
    dropped: u64,
    total: u64,
    /// The chunk that ended it, and whether a poll has shown it.
    last: Option<(ToolStreamChunk, bool)>,
    error: Option<String>,
}

impl Handles {
    /// Begins a call under a new name.
    pub(crate) fn start(&mut self, handle: String, subject: Subject, now: Time) -> Result<()> {
        if self.0.len() >= MAX_HANDLES {
            let limit = MAX_HANDLES as u64;
            return Err(RpcError::limit("detached calls of a connection", limit));
        }
        let handle_now = Handle {
            subject,
            started: now,
            ended: None,
            status: HandleStatus::Running,
            chunks: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            total: 0,
            last: None,
            error: None,
        };
        self.0.insert(handle, handle_now);
        Ok(())
    }

    /// Nobody will hear of the call: its client was not reached in time.
    pub(crate) fn forget(&mut self, handle: &str) -> Option<Ended> {
        let it = self.0.remove(handle).filter(|it| it.ended.is_none())?;
        let (handle, status) = (handle.to_owned(), HandleStatus::Failed);
        Some(Ended { handle, subject: it.subject, status, chunks: it.total })
    }

    pub(crate) fn push(&mut self, handle: &str, chunk: ToolStreamChunk, now: Time) -> Pushed {
        let Some(it) = self.0.get_mut(handle).filter(|it| it.ended.is_none()) else {
            return Pushed::Refused;
        };
        let status = match &chunk {
            ToolStreamChunk::Done { .. } => HandleStatus::Succeeded,
            ToolStreamChunk::Error { .. } => HandleStatus::Failed,
            _ => {
                it.keep(chunk);
                return Pushed::Taken;
            }
        };
        it.total += 1;
        it.last = Some((chunk, false));
        Pushed::Last(self.end(handle, status, now))
    }

    /// What came since the last poll. A poll that finds an end and nothing more forgets the handle.
    pub(crate) fn poll(&mut self, handle: &str) -> Option<ToolPollResult> {
        let it = self.0.get_mut(handle)?;
        let (chunks, dropped) = (std::mem::take(&mut it.chunks), std::mem::take(&mut it.dropped));
        it.bytes = 0;
        let mut chunks: Vec<_> = chunks.into_iter().map(|(chunk, _)| chunk).collect();
        let (mut result, mut error) = (None, it.error.clone());
        if let Some((last, shown)) = &mut it.last {
            match last {
                ToolStreamChunk::Done { result: its } => result.clone_from(its),
                ToolStreamChunk::Error { message } => error = Some(message.clone()),
                _ => {}
            }
            if !std::mem::replace(shown, true) {
                chunks.push(last.clone());
            }
        }
        let last = it.ended.is_some() && chunks.is_empty();
        let found = ToolPollResult {
            handle: handle.to_owned(),
            tool: it.subject.tool.clone(),
            action_id: it.subject.action_id.clone(),
            status: it.status,
            chunks,
            dropped_chunks: (dropped > 0).then_some(dropped),
            result,
            error,
        };
        if last {
            self.0.remove(handle);
        }
        Some(found)
    }

    pub(crate) fn cancel(&mut self, handle: &str, now: Time) -> Cancelled {
        match self.0.get(handle) {
            None => Cancelled::Unknown,
            Some(it) if it.ended.is_some() => Cancelled::Before,
            Some(_) => Cancelled::Now(self.end(handle, HandleStatus::Cancelled, now)),
        }
    }

    /// Lets go of what ended long ago, and ends what has run for too long.
    pub(crate) fn sweep(&mut self, now: Time) -> Vec<Ended> {
        let since = |at: Time| now.signed_duration_since(*at);
        self.0.retain(|_, it| it.ended.is_none_or(|at| since(at) < ENDED_LIFE));
        let running = self.0.iter().filter(|(_, it)| it.ended.is_none());
        let late: Vec<_> = running
            .filter(|(_, it)| since(it.started) >= RUNNING_LIFE)
            .map(|(handle, _)| handle.clone())
            .collect();
        let end = |handle: String| {
            if let Some(it) = self.0.get_mut(&handle) {
                it.error = Some("it ran for 24 hours".into());
            }
            self.end(&handle, HandleStatus::Failed, now)
        };
        late.into_iter().map(end).collect()
    }

    fn end(&mut self, handle: &str, status: HandleStatus, now: Time) -> Ended {
        let it = self.0.get_mut(handle).expect("the caller just found it");
        (it.status, it.ended) = (status, Some(now));
        let (subject, chunks) = (it.subject.clone(), it.total);
        Ended { handle: handle.to_owned(), subject, status, chunks }
    }
}

impl Handle {
    fn keep(&mut self, chunk: ToolStreamChunk) {
        let bytes = serde_json::to_vec(&chunk).map_or(0, |json| json.len());
        self.total += 1;
        self.bytes += bytes;
        self.chunks.push_back((chunk, bytes));
        while self.chunks.len() > MAX_CHUNKS || (self.bytes > MAX_BYTES && self.chunks.len() > 1) {
            let oldest = self.chunks.pop_front().map_or(0, |(_, bytes)| bytes);
            self.bytes -= oldest;
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        (chrono::DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)).into()
    }

    fn subject() -> Subject {
        Subject { tool: "t".into(), action_id: "a".into(), proposal_id: "p".into() }
    }

    fn text(n: usize) -> ToolStreamChunk {
        ToolStreamChunk::Text { text: n.to_string() }
    }

    fn handles() -> Handles {
        let mut handles = Handles::default();
        handles.start("h".into(), subject(), at(0)).unwrap();
        handles
    }

    #[test]
    fn an_end_is_seen_and_then_forgotten() {
        let mut handles = handles();
        assert_eq!(handles.push("h", text(1), at(0)), Pushed::Taken);
        assert_eq!(handles.poll("h").unwrap().chunks, [text(1)]);
        let done = ToolStreamChunk::Done { result: Some(7.into()) };
        let Pushed::Last(ended) = handles.push("h", done.clone(), at(0)) else { panic!() };
        assert_eq!((ended.status, ended.chunks), (HandleStatus::Succeeded, 2));
        assert_eq!(handles.push("h", text(2), at(0)), Pushed::Refused);
        assert_eq!(handles.cancel("h", at(0)), Cancelled::Before);
        let last = handles.poll("h").unwrap();
        assert_eq!((last.chunks, last.result), (vec![done], Some(7.into())));
        assert_eq!(handles.poll("h").unwrap().status, HandleStatus::Succeeded);
        assert_eq!(handles.poll("h"), None);
        assert_eq!(handles.cancel("h", at(0)), Cancelled::Unknown);
    }

    #[test]
    fn a_final_answer_has_bounds() {
        let done = |size| ToolStreamChunk::Done { result: Some("x".repeat(size).into()) };
        assert_eq!(done(10).bounded(), done(10));
        assert!(matches!(done(MAX_BYTES).bounded(), ToolStreamChunk::Error { .. }));
        let mut handles = handles();
        handles.push("h", text(1), at(0));
        handles.push("h", done(10), at(0));
        let polled = handles.poll("h").unwrap();
        assert_eq!(polled.chunks, [text(1), done(10)]);
        assert_eq!((polled.result, handles.0["h"].bytes), (Some("x".repeat(10).into()), 0));
    }

    #[test]
    fn the_buffer_has_bounds_and_says_what_it_dropped() {
        let mut handles = handles();
        for n in 0..MAX_CHUNKS + 3 {
            handles.push("h", text(n), at(0));
        }
        let polled = handles.poll("h").unwrap();
        assert_eq!((polled.chunks.len(), polled.dropped_chunks), (MAX_CHUNKS, Some(3)));
        assert_eq!(polled.chunks[0], text(3));
        for _ in 0..10 {
            let large = ToolStreamChunk::Text { text: "x".repeat(1 << 20) };
            handles.push("h", large, at(0));
        }
        let polled = handles.poll("h").unwrap();
        assert_eq!((polled.chunks.len(), polled.dropped_chunks), (7, Some(3)));
    }

    #[test]
    fn handles_are_swept() {
        let mut handles = handles();
        handles.start("long".into(), subject(), at(0)).unwrap();
        handles.cancel("h", at(0));
        assert!(handles.sweep(at(14)).is_empty());
        assert!(handles.0.contains_key("h"));
        handles.sweep(at(15));
        assert!(!handles.0.contains_key("h"));
        let ended = handles.sweep(at(24 * 60));
        assert_eq!((ended.len(), ended[0].status), (1, HandleStatus::Failed));
        assert!(handles.poll("long").unwrap().error.is_some());
    }

    #[test]
    fn so_many_run_and_so_many_wait() {
        let mut handles = Handles::default();
        for n in 0..MAX_HANDLES {
            handles.start(format!("{n}"), subject(), at(0)).unwrap();
        }
        assert!(handles.start("more".into(), subject(), at(0)).is_err());
        for n in 0..MAX_HANDLES {
            handles.cancel(&format!("{n}"), at(n as i64));
        }
        assert!(handles.start("more".into(), subject(), at(14)).is_err(), "their ends wait");
        assert!(handles.poll("0").is_some(), "no end gave way");
        handles.start("more".into(), subject(), at(14)).unwrap();
    }
}
