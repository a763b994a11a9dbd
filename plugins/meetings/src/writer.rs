//! The one writer of a meeting: the file first, then the ledger and its listeners.

use std::{sync::Arc, time::Duration};

use carport_core::{LineFile, Result, RpcError, Time, blocking_io};
use carport_meetings_record::{Change, EndedBy, Heard, MOST_LINE, NotTaken, Segment, Status, line};
use carport_voice_api::{Event, WarningCode as VoiceWarning};
use tokio::{
    sync::{mpsc::Receiver, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    event::{WarningCode, What},
    hall::Hall,
    live::{Live, Order, Stage, Text},
    shelf::Kept,
};

/// How long a meeting may be.
pub(crate) const MOST_LENGTH: Duration = Duration::from_secs(12 * 3600);
/// Segments of a meeting.
pub(crate) const MOST_SEGMENTS: u64 = 50_000;
/// The source of texts that name none.
const ELSEWHERE: &str = "text";

/// Writes what is said, in the order in which it settles.
pub(crate) struct Writer {
    pub(crate) hall: Arc<Hall>,
    pub(crate) live: Arc<Live>,
    pub(crate) file: LineFile,
    pub(crate) orders: Receiver<Order>,
    /// The transcript could not be written.
    pub(crate) failed: bool,
}

impl Writer {
    /// Works until the meeting is closed.
    pub(crate) async fn run(mut self) {
        let over = Instant::now() + MOST_LENGTH;
        let mut is_long = false;
        loop {
            let order = tokio::select! {
                order = self.orders.recv() => order,
                () = sleep_until(over), if !is_long => {
                    is_long = true;
                    self.hall.end(&self.live, EndedBy::Limit);
                    continue;
                }
            };
            match order {
                None => return,
                Some(Order::Told { source, event }) => self.hear(&source, event).await,
                Some(Order::Texts { texts, reply }) => drop(reply.send(self.take(texts).await)),
                Some(Order::Name { label, name, reply }) => {
                    drop(reply.send(self.name(&label, &name).await))
                }
                Some(Order::Close { to, by, at, done }) => {
                    return self.close(to, by, at, done).await;
                }
            }
        }
    }

    async fn hear(&mut self, source: &str, event: Event) {
        let followers = &self.hall.followers;
        match event {
            Event::Transcript { segment } => {
                let offset = self.live.offset_ms(source);
                let planned = self.live.state.lock().ledger.plan_spoken(source, offset, &segment);
                match planned {
                    Ok(change) => drop(self.write(vec![change]).await),
                    Err(NotTaken::Ignored) => drop(self.hall.ignored.inc()),
                    Err(NotTaken::Repeated | NotTaken::Stray) => {}
                }
            }
            Event::SpeakerCorrected { segment_id, speaker } => {
                let planned =
                    self.live.state.lock().ledger.plan_corrected(source, segment_id, &speaker);
                if let Some(change) = planned {
                    // What fails here ends the meeting.
                    let _ = self.write(vec![change]).await;
                }
            }
            Event::Warning { code: VoiceWarning::Overrun, message, .. } => {
                self.live.warn(followers, WarningCode::Overrun, Some(source.to_owned()), message);
            }
            Event::SessionStopped { reason, .. } if self.live.lose(followers, source, reason) => {
                self.hall.end(&self.live, EndedBy::End);
            }
            _ => {}
        }
    }

    async fn take(&mut self, texts: Vec<Text>) -> Result<usize> {
        let now = self.hall.clock.now();
        let changes = {
            let state = self.live.state.lock();
            let meeting = state.ledger.meeting();
            let passed = (*now - *meeting.started_at).num_milliseconds();
            let passed = u64::try_from(passed).unwrap_or(0);
            let heard = |text: Text| {
                let start_ms = text.start_ms.or(text.end_ms).unwrap_or(passed);
                Heard {
                    text: text.text,
                    speaker: text.speaker,
                    source: text.source.unwrap_or_else(|| ELSEWHERE.into()),
                    start_ms,
                    end_ms: text.end_ms.unwrap_or(start_ms),
                }
            };
            let heard: Vec<_> = texts.into_iter().map(heard).collect();
            if meeting.segments + heard.len() as u64 > MOST_SEGMENTS {
                return Err(RpcError::limit("segments of a meeting", MOST_SEGMENTS));
            }
            state.ledger.plan_texts(&heard)
        };
        let count = changes.len();
        self.write(changes).await?;
        Ok(count)
    }

    /// The record first, then the ledger, its listeners, and the turns that show another name from now on.
    async fn name(&self, label: &str, name: &str) -> Result<usize> {
        let unknown = || RpcError::not_found(format!("label `{label}` in this meeting"));
        let mut kept = self.live.kept();
        let known = kept.meeting.participants.iter_mut().find(|it| it.label == label);
        known.ok_or_else(unknown)?.name = Some(name.to_owned());
        if !self.put(kept).await {
            return Err(crate::failed("the meeting's record"));
        }
        let named = self.live.change(&self.hall.followers, |state| {
            let count = state.ledger.name(label, name);
            if self.live.graph.is_some() {
                state.ingest_again(label);
            }
            let named = state.ledger.meeting().participant(label).cloned();
            (
                named.map(|participant| What::Participant { participant }).into_iter().collect(),
                count,
            )
        });
        self.live.ingestible.notify_one();
        named.ok_or_else(unknown)
    }

    /// Writes lines, all or none. If that fails, the meeting ends.
    async fn write(&mut self, changes: Vec<Change>) -> Result<()> {
        if self.failed {
            return Err(crate::failed("the transcript"));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let mut changes = changes;
        let lines: std::result::Result<String, _> =
            changes.iter_mut().map(|it| readable(&mut it.segment)).collect();
        let lines = lines.map_err(RpcError::internal)?;
        if let Err(error) = self.file.append(lines.as_bytes()).await {
            tracing::error!(meeting = self.live.id, %error, "a transcript cannot be written");
            self.failed = true;
            self.hall.end(&self.live, EndedBy::WriteError);
            return Err(crate::failed("the transcript"));
        }
        if self.live.commit(&self.hall.followers, changes) {
            self.rewrite().await;
        }
        let is_full = {
            let meeting = self.live.meeting();
            meeting.segments >= MOST_SEGMENTS
                || Duration::from_millis(meeting.duration_ms) > MOST_LENGTH
        };
        if is_full {
            self.hall.end(&self.live, EndedBy::Limit);
        }
        Ok(())
    }

    /// Brings `meeting.json` up to date. That it fails is no reason to stop: the transcript says it all.
    async fn rewrite(&self) -> bool {
        self.put(self.live.kept()).await
    }

    async fn put(&self, kept: Kept) -> bool {
        let (hall, id) = (self.hall.clone(), self.live.id.clone());
        // A writer that was not waited for comes late: the meeting may be gone, and its name another's.
        let is_late = *self.live.stage.borrow() == Stage::Over;
        let _held = if is_late { Some(hall.hold(&id).await) } else { None };
        let written = blocking_io(move || {
            let is_own = |it: &Kept| it.meeting.started_at == kept.meeting.started_at;
            match is_late && !hall.shelf.kept(&id)?.as_ref().is_some_and(is_own) {
                true => Ok(()),
                false => hall.shelf.rewrite(&kept),
            }
        });
        let written = written.await;
        if let Err(error) = &written {
            tracing::error!(meeting = self.live.id, %error, "a meeting's record cannot be written");
        }
        written.is_ok()
    }

    async fn close(self, to: Status, by: EndedBy, at: Time, done: oneshot::Sender<()>) {
        let has_failed = self.failed || self.live.orders.has_lost();
        let to = if has_failed { Status::Failed } else { to };
        let by = if has_failed { EndedBy::WriteError } else { by };
        // Nobody waits for ever for a writer that hangs: it may have been told by then.
        let is_new = self.live.finish(to, at, by);
        if !self.rewrite().await {
            self.hall.clone().record_later(self.live.kept());
        }
        if is_new {
            let what = What::Status { status: to, ended_by: Some(by) };
            self.live.change(&self.hall.followers, |_| (vec![what], ()));
        }
        let _ = done.send(());
    }
}

/// The line of a segment, which a reader takes: without the times of its words if it is too long with them.
fn readable(segment: &mut Segment) -> serde_json::Result<String> {
    let whole = line(segment)?;
    if whole.len() <= MOST_LINE {
        return Ok(whole);
    }
    segment.words = None;
    line(segment)
}
