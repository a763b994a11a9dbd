//! The store itself: an index in memory over lines that a backing keeps.

use std::{io, sync::Arc};

use async_trait::async_trait;
use carport_a2a_types::{ListTasks, PageOfTasks, Task, TaskState};
use carport_core::{Guarded, Time, blocking_io};
use tokio::sync::OwnedMutexGuard;

use super::{
    EVENTS_AT_ONCE, NewTask, PushEntry, StoreError, StoreSettings, Swept, TaskStore,
    backing::Backing, push,
};
use crate::{
    caller::Caller,
    index::{Index, Row},
    log::{Change, Created, Fold, Line, Stored},
    page::Place,
    progress::{Limits, Progress},
};

/// A store over a backing. Clones are the same store.
pub struct Kept<B>(Arc<Shelf<B>>);

impl<B> Clone for Kept<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shelf<B> {
    backing: B,
    settings: StoreSettings,
    index: Guarded<Index>,
}

type Outcome<T> = Result<T, StoreError>;

/// A line of JSON, and its line feed.
fn encode(line: &Line) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// Bytes of the JSON of what a change adds.
fn weight(change: &Change) -> usize {
    match change {
        Change::Artifact(it) => {
            serde_json::to_vec(&it.artifact).map_or(usize::MAX / 4, |it| it.len())
        }
        _ => 0,
    }
}

/// How a task was created, and its changes that read, in order. A line in the middle that does not read
/// is left out and logged: a change that cannot be known is no reason to lose the others.
fn lines(id: &str, bytes: &[u8]) -> io::Result<(Created, Vec<Stored>)> {
    let mut lines = bytes.split(|it| *it == b'\n').filter(|it| !it.is_empty());
    let first = lines.next().map(serde_json::from_slice::<Line>).transpose()?;
    let Some(Line::Created(created)) =
        first.filter(|it| matches!(it, Line::Created(it) if it.id == id))
    else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not begin with its creation",
        ));
    };
    let mut events = Vec::new();
    for line in lines {
        match serde_json::from_slice(line) {
            Ok(Line::Event(stored)) => events.push(stored),
            Ok(Line::Created(_)) => tracing::error!(task = id, "a second creation is left out"),
            Err(error) => {
                tracing::error!(%error, task = id, "a change does not read and is left out")
            }
        }
    }
    Ok((created, events))
}

/// What the index knows of a task with these lines.
pub(crate) fn row_of(id: &str, bytes: &[u8]) -> io::Result<Row> {
    let (created, events) = lines(id, bytes)?;
    let mut progress = Progress::begun(created.at);
    for stored in &events {
        progress.note(stored, weight(&stored.change));
    }
    Ok(Row::new(created.owner, created.context_id, progress))
}

fn fold_of(id: &str, bytes: &[u8], at: Option<u64>) -> io::Result<Fold> {
    let (created, events) = lines(id, bytes)?;
    let mut fold = Fold::new(created);
    let reached = events.into_iter().take_while(|it| at.is_none_or(|at| it.seq <= at));
    reached.for_each(|stored| fold.apply(stored));
    Ok(fold)
}

impl<B: Backing> Kept<B> {
    pub(crate) fn over(backing: B, settings: StoreSettings, index: Index) -> Self {
        Self(Arc::new(Shelf { backing, settings, index: Guarded::new(index) }))
    }

    /// Does what may block, on a thread that may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shelf<B>) -> io::Result<T> + Send + 'static,
    ) -> Outcome<T> {
        let shelf = self.0.clone();
        Ok(blocking_io(move || work(&shelf)).await?)
    }

    /// Waits until nobody else writes of the task.
    async fn gate(&self, caller: &Caller, id: &str) -> Outcome<OwnedMutexGuard<()>> {
        let gate = self.0.index.lock().get(caller, id).map(|row| row.gate.clone());
        Ok(gate.ok_or_else(|| StoreError::NoTask(id.into()))?.lock_owned().await)
    }

    fn check(&self, caller: &Caller, id: &str) -> Outcome<()> {
        match self.0.index.lock().get(caller, id) {
            Some(_) => Ok(()),
            None => Err(StoreError::NoTask(id.into())),
        }
    }

    /// Reads of a task; one that was let go meanwhile is none.
    async fn read<T: Send + 'static>(
        &self,
        id: &str,
        take: impl FnOnce(&str, Vec<u8>) -> io::Result<T> + Send + 'static,
    ) -> Outcome<T> {
        let name = id.to_owned();
        let read = self.blocking(move |shelf| take(&name, shelf.backing.read(&name)?)).await;
        match read {
            Err(StoreError::Disk(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::NoTask(id.into()))
            }
            read => read,
        }
    }

    /// Changes the receivers of a task.
    async fn change_push(
        &self,
        caller: &Caller,
        id: &str,
        change: impl FnOnce(&mut Vec<PushEntry>) -> Outcome<()> + Send + 'static,
    ) -> Outcome<()> {
        let gate = self.gate(caller, id).await?;
        let id = id.to_owned();
        self.blocking(move |shelf| {
            let _gate = gate;
            let mut entries = push::read(&shelf.backing, &id)?;
            Ok(match change(&mut entries) {
                Ok(()) => push::write(&shelf.backing, &id, &entries).map_err(StoreError::Disk),
                refused => refused,
            })
        })
        .await?
    }
}

impl<B: Backing> Shelf<B> {
    /// Takes a place for one more task. Answers with the one that left it, if all were taken.
    fn enter(&self, created: &Created) -> Outcome<Option<String>> {
        let mut index = self.index.lock();
        let mut left = None;
        if index.len() >= self.settings.max_tasks {
            let oldest = index.oldest_ended().ok_or(StoreError::Full(self.settings.max_tasks))?;
            index.remove(&oldest);
            left = Some(oldest);
        }
        let progress = Progress::begun(created.at);
        let row = Row::new(created.owner.clone(), created.context_id.clone(), progress);
        index.insert(created.id.clone(), row);
        Ok(left)
    }

    fn begin(&self, created: &Created, left: Option<String>) -> io::Result<()> {
        if let Some(left) = left {
            self.backing.remove(&left)?;
        }
        self.backing.begin(&created.id, &encode(&Line::Created(created.clone()))?)
    }

    /// Judges a change and writes it. Whoever calls holds the gate of the task.
    fn append(&self, id: &str, mut change: Change, now: Time) -> Outcome<Arc<Stored>> {
        let limits: &Limits = &self.settings.limits;
        let bytes = weight(&change);
        let (seq, at) = {
            let index = self.index.lock();
            let progress = &index.row(id).ok_or_else(|| StoreError::NoTask(id.into()))?.progress;
            progress.admit(&change, bytes, limits)?;
            (progress.seq + 1, now.max(progress.status_at))
        };
        if let Change::Status(status) = &mut change {
            status.timestamp = Some(at);
        }
        let line = Line::Event(Stored { seq, at, change });
        self.backing.append(id, &encode(&line)?)?;
        let Line::Event(stored) = line else { return Err(StoreError::NoTask(id.into())) };
        let stored = Arc::new(stored);
        self.index.lock().note(id, &stored, bytes);
        Ok(stored)
    }
}

#[async_trait]
impl<B: Backing> TaskStore for Kept<B> {
    async fn create(&self, caller: &Caller, new: NewTask, now: Time) -> Outcome<Fold> {
        let owner = caller.name().to_owned();
        let NewTask { id, context_id, message, metadata } = new;
        let created = Created { id, context_id, owner, at: now, message, metadata };
        let made = self.blocking(move |shelf| {
            let left = match shelf.enter(&created) {
                Ok(left) => left,
                Err(full) => return Ok(Err(full)),
            };
            if let Err(error) = shelf.begin(&created, left) {
                shelf.index.lock().remove(&created.id);
                return Err(error);
            }
            Ok(Ok(Fold::new(created)))
        });
        made.await?
    }

    async fn get(&self, caller: &Caller, id: &str, at: Option<u64>) -> Outcome<Fold> {
        self.check(caller, id)?;
        self.read(id, move |id, bytes| fold_of(id, &bytes, at)).await
    }

    async fn list(&self, caller: &Caller, query: &ListTasks) -> Outcome<PageOfTasks> {
        let place = |token: &String| Place::of_token(token).ok_or(StoreError::BadToken);
        let after = query.page_token.as_ref().map(place).transpose()?;
        let found = self.0.index.lock().find(caller, query, after.as_ref());
        let read = self.blocking(move |shelf| {
            let mut tasks: Vec<Task> = Vec::with_capacity(found.ids.len());
            for id in found.ids {
                match shelf.backing.read(&id).and_then(|bytes| fold_of(&id, &bytes, None)) {
                    Ok(fold) => tasks.push(fold.task),
                    // It was let go meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(tasks)
        });
        Ok(PageOfTasks {
            tasks: read.await?,
            next_page_token: found.next.map_or_else(String::new, |it| it.token()),
            page_size: query.page_size,
            total_size: found.total,
        })
    }

    async fn append(
        &self,
        caller: &Caller,
        id: &str,
        change: Change,
        now: Time,
    ) -> Outcome<Arc<Stored>> {
        let gate = self.gate(caller, id).await?;
        let id = id.to_owned();
        let appended = self.blocking(move |shelf| {
            let _gate = gate;
            Ok(shelf.append(&id, change, now))
        });
        appended.await?
    }

    async fn events_since(&self, caller: &Caller, id: &str, seq: u64) -> Outcome<Vec<Arc<Stored>>> {
        let tail = match self.0.index.lock().get(caller, id) {
            Some(row) => row.tail_after(seq),
            None => return Err(StoreError::NoTask(id.into())),
        };
        match tail {
            Some(events) => Ok(events),
            None => {
                let after = move |id: &str, bytes: Vec<u8>| {
                    let events = lines(id, &bytes)?.1.into_iter().filter(|it| it.seq > seq);
                    Ok(events.take(EVENTS_AT_ONCE).map(Arc::new).collect())
                };
                self.read(id, after).await
            }
        }
    }

    async fn put_push(&self, caller: &Caller, id: &str, entry: PushEntry) -> Outcome<()> {
        self.change_push(caller, id, move |entries| push::put(entries, entry)).await
    }

    async fn get_push(
        &self,
        caller: &Caller,
        id: &str,
        config: Option<&str>,
    ) -> Outcome<PushEntry> {
        let mut entries = self.list_push(caller, id).await?.into_iter();
        let found = match config {
            None => entries.next(),
            Some(config) => entries.find(|it| it.config.id.as_deref() == Some(config)),
        };
        found.ok_or_else(|| StoreError::NoPushConfig(config.unwrap_or_default().into()))
    }

    async fn list_push(&self, caller: &Caller, id: &str) -> Outcome<Vec<PushEntry>> {
        self.check(caller, id)?;
        let id = id.to_owned();
        self.blocking(move |shelf| push::read(&shelf.backing, &id)).await
    }

    async fn delete_push(&self, caller: &Caller, id: &str, config: &str) -> Outcome<()> {
        let config = config.to_owned();
        let forget = move |entries: &mut Vec<PushEntry>| {
            entries.retain(|it| it.config.id.as_ref() != Some(&config));
            Ok(())
        };
        self.change_push(caller, id, forget).await
    }

    async fn settle_push(&self, caller: &Caller, id: &str, told: PushEntry) -> Outcome<()> {
        let settle = move |entries: &mut Vec<PushEntry>| {
            if let Some(known) = entries.iter_mut().find(|it| **it == told) {
                known.told_end = true;
            }
            Ok(())
        };
        self.change_push(caller, id, settle).await
    }

    async fn with_push(&self, caller: &Caller) -> Outcome<Vec<String>> {
        let mut ids = self.blocking(|shelf| shelf.backing.with_push()).await?;
        ids.retain(|id| self.check(caller, id).is_ok());
        Ok(ids)
    }

    async fn sweep(&self, caller: &Caller, now: Time) -> Outcome<Swept> {
        let StoreSettings { task_ttl, interrupted_ttl, .. } = self.0.settings;
        let ids = |state: fn(TaskState) -> bool, age| {
            let index = self.0.index.lock();
            let due = index.of(caller).filter(|(_, row)| {
                state(row.progress.state) && *now - *row.progress.status_at >= age
            });
            due.map(|(id, _)| id.clone()).collect::<Vec<_>>()
        };
        let gone = ids(TaskState::is_terminal, task_ttl);
        let overdue = ids(TaskState::is_interrupted, interrupted_ttl);
        let gone = self.blocking(move |shelf| {
            for id in &gone {
                shelf.index.lock().remove(id);
                shelf.backing.remove(id)?;
            }
            Ok(gone)
        });
        Ok(Swept { gone: gone.await?, overdue })
    }

    async fn live(&self, caller: &Caller) -> Vec<String> {
        let index = self.0.index.lock();
        let live = index.of(caller).filter(|(_, row)| !row.progress.state.ends_turn());
        live.map(|(id, _)| id.clone()).collect()
    }

    fn count(&self) -> usize {
        self.0.index.lock().len()
    }

    async fn sync(&self) {
        let synced = self.blocking(|shelf| {
            shelf.backing.sync();
            Ok(())
        });
        if let Err(error) = synced.await {
            tracing::error!(%error, "tasks could not be synced to disk");
        }
    }
}
