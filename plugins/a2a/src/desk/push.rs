//! Posting a task's changes to its receivers: in order, one at a time for each, again after failures.
//!
//! A receiver is told by a task of its own that reads the log at its pace. So changes are not copied for it, only what
//! was read ahead of the log is held, and a receiver that hangs holds up nobody.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use carport_a2a_outbound::{Attempt, Consent, Screen, Verdict, judge};
use carport_a2a_tasks::{
    ArtifactChange, Caller, Change, Fold, PushEntry, StoreError, Stored, TaskStore,
};
use carport_a2a_types::{A2aError, A2aResult, Kind, PushConfig, StreamResponse, Version, v03};
use carport_core::Guarded;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    sync::Semaphore,
    task::{self, AbortHandle},
    time::sleep,
};
use uuid::Uuid;

use super::{Desk, Follow, Told};
use crate::outgoing::Outgoing;

/// Changes that a receiver may be behind before artifacts are left out for it.
const MOST_BEHIND: u64 = 256;
/// Posts of the whole daemon at a time.
const AT_ONCE: usize = 64;
/// Receivers of the whole daemon whose tasks are read at a time, when telling them begins.
const BEGINNING_AT_ONCE: usize = 8;
/// Posts at a time for tasks of one caller.
const AT_ONCE_FOR_ONE: usize = 16;

/// What posts need.
pub(crate) struct Post {
    outgoing: Arc<Outgoing>,
    room: Semaphore,
    beginning: Semaphore,
    /// The room of each caller, as long as a receiver of theirs is told of something.
    rooms: Guarded<HashMap<String, Weak<Semaphore>>>,
    /// What tells each receiver, by task and receiver.
    telling: Guarded<HashMap<(String, String), AbortHandle>>,
}

impl Post {
    pub(crate) fn new(outgoing: Arc<Outgoing>) -> Self {
        let (room, rooms) = (Semaphore::new(AT_ONCE), Guarded::default());
        let beginning = Semaphore::new(BEGINNING_AT_ONCE);
        Self { outgoing, room, beginning, rooms, telling: Guarded::default() }
    }

    fn room_of(&self, caller: &str) -> Arc<Semaphore> {
        let mut rooms = self.rooms.lock();
        if let Some(room) = rooms.get(caller).and_then(Weak::upgrade) {
            return room;
        }
        rooms.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(AT_ONCE_FOR_ONE));
        rooms.insert(caller.to_owned(), Arc::downgrade(&room));
        room
    }
}

fn no_push() -> A2aError {
    A2aError::new(Kind::PushNotSupported, "Push Notification is not supported")
}

/// A header with a secret in it.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The headers of a post; the name of the member that no header can hold is the error.
fn headers(entry: &PushEntry) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    let name = HeaderName::from_static;
    headers.insert("content-type", HeaderValue::from_static("application/a2a+json"));
    headers.insert(name("a2a-version"), HeaderValue::from_static(entry.version.text()));
    if let Some(token) = &entry.config.token {
        headers.insert(name("x-a2a-notification-token"), secret(token).ok_or("token")?);
    }
    if let Some(auth) = &entry.config.authentication {
        let text = format!("{} {}", auth.scheme, auth.credentials.as_deref().unwrap_or_default());
        headers.insert("authorization", secret(text.trim_end()).ok_or("authentication")?);
    }
    Ok(headers)
}

impl Desk {
    /// # Errors
    /// Push not supported: changes are not posted here.
    pub(crate) fn has_push(&self) -> A2aResult<()> {
        self.post.as_ref().map(drop).ok_or_else(no_push)
    }

    /// Checks a receiver that a client names.
    ///
    /// # Errors
    /// Push not supported. Invalid parameters: its URL may not be called, or no header can hold what it
    /// is to be told.
    pub(crate) fn receiver(
        &self,
        mut config: PushConfig,
        version: Version,
    ) -> A2aResult<PushEntry> {
        let post = self.post.as_ref().ok_or_else(no_push)?;
        if let Err(refusal) = post.outgoing.screen().register(&config.url, Consent::Given) {
            return Err(A2aError::field("url", refusal.to_string()));
        }
        config.id.get_or_insert_with(|| Uuid::now_v7().to_string());
        let entry = PushEntry { config, version, told_end: false };
        headers(&entry).map_err(|field| A2aError::field(field, "cannot be sent in a header"))?;
        Ok(entry)
    }

    /// Keeps a receiver of a task and tells it of what comes.
    pub(crate) async fn add_receiver(
        self: &Arc<Self>,
        caller: &Caller,
        fold: &Fold,
        receiver: Option<PushEntry>,
    ) -> A2aResult<()> {
        let Some(mut entry) = receiver else { return Ok(()) };
        let id = &fold.task.id;
        entry.config.task_id = Some(id.clone());
        // Of a task that has ended there is nothing left to tell.
        entry.told_end = fold.task.status.state.is_terminal();
        let (name, told_end) = (entry.config.id.clone().unwrap_or_default(), entry.told_end);
        self.store.put_push(caller, id, entry).await?;
        if !told_end {
            self.begin_telling(id, name, fold.seq);
        }
        Ok(())
    }

    /// Forgets a receiver, and what was still to be told to it.
    pub(crate) async fn forget_receiver(
        &self,
        caller: &Caller,
        id: &str,
        name: &str,
    ) -> A2aResult<()> {
        self.store.delete_push(caller, id, name).await?;
        self.end_telling(id, name);
        Ok(())
    }

    /// Goes on with what an earlier process was telling: a receiver that was not told how its task ended
    /// is told now. What does not read is left out: it is no reason not to start.
    pub(crate) async fn resume_telling(self: &Arc<Self>) {
        if self.post.is_none() {
            return;
        }
        match self.store.with_push(&Caller::daemon()).await {
            Err(error) => tracing::error!(%error, "no receiver of tasks could be read"),
            Ok(ids) => {
                for id in ids {
                    if let Err(error) = self.resume_telling_of(&id).await {
                        tracing::error!(%error, task = id, "the receivers of a task do not read");
                    }
                }
            }
        }
    }

    async fn resume_telling_of(self: &Arc<Self>, id: &str) -> Result<(), StoreError> {
        let daemon = Caller::daemon();
        let mut waiting = self.store.list_push(&daemon, id).await?;
        waiting.retain(|entry| !entry.told_end);
        if waiting.is_empty() {
            return Ok(());
        }
        let fold = self.store.get(&daemon, id, None).await?;
        let ended = fold.task.status.state.is_terminal();
        // The end is the last change.
        let seq = if ended { fold.seq.saturating_sub(1) } else { fold.seq };
        for entry in waiting {
            self.begin_telling(id, entry.config.id.unwrap_or_default(), seq);
        }
        Ok(())
    }

    /// Tells a receiver of every change after `seq`, in the place of whatever told it before.
    fn begin_telling(self: &Arc<Self>, id: &str, name: String, seq: u64) {
        let Some(post) = &self.post else { return };
        let key = (id.to_owned(), name);
        let telling = tell(self.clone(), key.clone(), seq);
        let mut all = post.telling.lock();
        if let Some(former) = all.insert(key, self.tasks.spawn("push", telling)) {
            former.abort();
        }
    }

    fn end_telling(&self, id: &str, name: &str) {
        let Some(post) = &self.post else { return };
        if let Some(telling) = post.telling.lock().remove(&(id.to_owned(), name.to_owned())) {
            telling.abort();
        }
    }

    /// What told a receiver is done; what took its place goes on.
    fn told_all(&self, key: &(String, String), own: task::Id) {
        let Some(post) = &self.post else { return };
        let mut all = post.telling.lock();
        if all.get(key).is_some_and(|telling| telling.id() == own) {
            all.remove(key);
        }
    }
}

/// Tells a receiver everything. Where the store does not answer it is read again as often, and after the same waits, as
/// a receiver that does not answer is posted to.
async fn tell(desk: Arc<Desk>, key: (String, String), mut seq: u64) {
    let (id, name) = &key;
    let mut retries = 0;
    loop {
        let before = seq;
        match tell_all(&desk, id, name, &mut seq).await {
            Ok(()) => break,
            // The task or the receiver is gone, and with it what was to be told.
            Err(error) if error.kind() == Kind::TaskNotFound => break,
            Err(error) => tracing::error!(%error, task = id, "a receiver could not be told"),
        }
        retries = if seq > before { 0 } else { retries };
        let Verdict::Again(wait) = judge(Attempt::NoAnswer, retries, chance()) else { break };
        retries += 1;
        sleep(wait).await;
    }
    desk.told_all(&key, task::id());
}

/// Tells a receiver every change after `seq`, which goes along.
async fn tell_all(desk: &Arc<Desk>, id: &str, name: &str, seq: &mut u64) -> A2aResult<()> {
    let Some(post) = &desk.post else { return Ok(()) };
    let mut follow: Follow = {
        let _beginning = post.beginning.acquire().await;
        desk.follow_on(id, *seq).await?
    };
    let own = post.room_of(follow.owner());
    let mut snapshot = Snapshot::default();
    while let Some(told) = follow.next().await? {
        let is_artifact = matches!(told.response, StreamResponse::ArtifactUpdate(_));
        if is_artifact && follow.behind() > MOST_BEHIND {
            continue;
        }
        let daemon = Caller::daemon();
        let entry = desk.store.get_push(&daemon, id, Some(name)).await?;
        let outcome = deliver(desk, post, &own, &entry, (id, &told), &mut snapshot).await?;
        if follow.behind() == 0 {
            // Nothing is held for a receiver that knows everything.
            snapshot.forget();
        }
        *seq = told.seq;
        if outcome == Outcome::Gone {
            return Ok(desk.store.drop_push(&daemon, id, entry).await?);
        }
        if told.last && outcome == Outcome::Settled {
            desk.store.settle_push(&daemon, id, entry).await?;
        }
    }
    Ok(())
}

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The receiver took it, or refused it for good.
    Settled,
    /// It was not reached in time; the next boot may try once more.
    Missed,
    /// It wants no more.
    Gone,
}

/// Posts one change until it is taken or given up.
async fn deliver(
    desk: &Arc<Desk>,
    post: &Post,
    own: &Semaphore,
    entry: &PushEntry,
    (id, told): (&str, &Told),
    snapshot: &mut Snapshot,
) -> A2aResult<Outcome> {
    let headers = headers(entry).map_err(A2aError::internal)?;
    let mut retries = 0;
    loop {
        let attempt = {
            if own.available_permits() == 0 || post.room.available_permits() == 0 {
                snapshot.forget();
            }
            // First that of the caller: nobody waits in the room of all.
            let _own = own.acquire().await;
            let _room = post.room.acquire().await;
            let body = match entry.version {
                Version::V1 => serde_json::to_vec(&told.response).map_err(A2aError::internal)?,
                Version::V03 => snapshot.body(desk.store.as_ref(), id, told).await?,
            };
            post.outgoing.post(&entry.config.url, headers.clone(), body, desk.now()).await
        };
        let attempt = match attempt {
            Ok(attempt) => attempt,
            Err(refusal) => {
                tracing::warn!(
                    host = refusal.host(),
                    reason = refusal.reason(),
                    "a post was refused"
                );
                if !may_pass(post.outgoing.screen(), &entry.config.url) {
                    return Ok(Outcome::Settled);
                }
                Attempt::NoAnswer
            }
        };
        match judge(attempt, retries, chance()) {
            Verdict::Delivered => return Ok(Outcome::Settled),
            Verdict::Forget => return Ok(Outcome::Gone),
            Verdict::GiveUp if refuses(attempt) => return Ok(Outcome::Settled),
            Verdict::GiveUp => return Ok(Outcome::Missed),
            Verdict::Again(wait) => {
                snapshot.forget();
                sleep(wait).await;
            }
        }
        retries += 1;
    }
}

/// Whether what was refused is only what a name resolved to, which may be another address the next time.
fn may_pass(screen: &Screen, url: &str) -> bool {
    screen.register(url, Consent::Given).is_ok_and(|target| target.address().is_none())
}

/// Whether a receiver will never take what was posted; one that is only busy may, later.
const fn refuses(attempt: Attempt) -> bool {
    match attempt {
        Attempt::Answer(408 | 425 | 429, _) | Attempt::NoAnswer => false,
        Attempt::Answer(status, _) => matches!(status, 300..=499),
    }
}

/// The task as a receiver of v0.3 is told of it, which is whole with each change. While posts are taken as they come
/// it is moved on by what is told; for a receiver that has to wait nothing is held, and it is read anew.
#[derive(Default)]
struct Snapshot(Option<Fold>);

impl Snapshot {
    fn forget(&mut self) {
        self.0 = None;
    }

    /// The task after what is told.
    async fn body(&mut self, store: &dyn TaskStore, id: &str, told: &Told) -> A2aResult<Vec<u8>> {
        let next = self.0.take().and_then(|fold| moved_on(fold, told));
        let fold = match next {
            Some(fold) => fold,
            None => store.get(&Caller::daemon(), id, Some(told.seq)).await?,
        };
        let body = serde_json::to_vec(&v03::Task::from(fold.task.clone()));
        self.0 = Some(fold);
        body.map_err(A2aError::internal)
    }
}

/// The fold after the change that is told, if it is the next one: nobody is told what the task's owner said.
fn moved_on(mut fold: Fold, told: &Told) -> Option<Fold> {
    if fold.seq + 1 != told.seq {
        return (fold.seq == told.seq).then_some(fold);
    }
    let (at, change) = match &told.response {
        StreamResponse::StatusUpdate(it) => {
            (it.status.timestamp?, Change::Status(it.status.clone()))
        }
        StreamResponse::ArtifactUpdate(it) => {
            let (artifact, append, last_chunk) = (it.artifact.clone(), it.append, it.last_chunk);
            let change = ArtifactChange { artifact, append, last_chunk };
            (fold.task.status.timestamp?, Change::Artifact(change))
        }
        StreamResponse::Task(_) | StreamResponse::Message(_) => return None,
    };
    fold.apply(Stored { seq: told.seq, at, change });
    Some(fold)
}

/// A number from 0 to 1; without random bytes, the middle.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |it| f64::from(it) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests;
