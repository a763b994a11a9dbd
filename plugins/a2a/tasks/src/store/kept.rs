//! The store itself: an index in memory over lines that a backing keeps.

use std::{io, sync::Arc};

use async_trait::async_trait;
use carport_a2a_types::{ListTasks, PageOfTasks, Task};
use carport_core::{Guarded, Time, blocking_io};
use tokio::sync::OwnedMutexGuard;

use super::{
    EVENTS_AT_ONCE, EVENTS_BYTES, Last, NewTask, PushEntry, StoreError, StoreSettings, Swept,
    TaskStore,
    backing::Backing,
    lines::{Log, encode, fold_of, json_bytes, weight},
    push,
};
use crate::{
    caller::Caller,
    index::{Index, Row},
    log::{Change, Created, Fold, Line, Stored},
    page::Place,
    progress::{Progress, Refused},
};

/// Bytes of the JSON of the tasks of a page, unless it is a single one.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Tasks that are tried for the place of a new one, if they cannot be removed.
const MOST_STUCK: usize = 8;

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

impl<B: Backing> Kept<B> {
    pub(crate) fn over(backing: B, settings: StoreSettings, mut index: Index) -> Self {
        for id in backing.with_push().unwrap_or_default() {
            // One whose receivers do not read has somebody to tell, for all that is known.
            let told = push::read(&backing, &id).is_ok_and(|it| it.iter().all(|it| it.told_end));
            index.note_receivers(&id, !told);
        }
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

    /// The last change of a task, for those for whom it exists. What its log holds beyond that is not kept
    /// yet, and may never be.
    fn last_of(&self, caller: &Caller, id: &str) -> Outcome<u64> {
        let last = self.last(caller, id).ok_or_else(|| StoreError::NoTask(id.into()))?;
        Ok(last.seq)
    }

    /// Reads of a task; one that was let go meanwhile is none.
    async fn read<T: Send + 'static>(
        &self,
        id: &str,
        take: impl FnOnce(&Shelf<B>, &str) -> io::Result<T> + Send + 'static,
    ) -> Outcome<T> {
        let name = id.to_owned();
        let read = self.blocking(move |shelf| take(shelf, &name)).await;
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
            // It may have been let go while the gate was waited for.
            if shelf.index.lock().row(&id).is_none() {
                return Ok(Err(StoreError::NoTask(id)));
            }
            let mut entries = push::read(&shelf.backing, &id)?;
            if let Err(refused) = change(&mut entries) {
                return Ok(Err(refused));
            }
            push::write(&shelf.backing, &id, &entries)?;
            let untold = entries.iter().any(|it| !it.told_end);
            shelf.index.lock().note_receivers(&id, untold);
            Ok(Ok(()))
        })
        .await?
    }

    /// Takes a place for one more task; tasks that have ended make room for it.
    async fn enter(&self, created: &Created, bytes: usize) -> Outcome<()> {
        let most = self.0.settings.max_tasks;
        let mut stuck = 0;
        loop {
            let leaves = {
                let mut index = self.0.index.lock();
                if index.len() < most {
                    let progress = Progress::begun(created.at, bytes);
                    let (owner, context) = (created.owner.clone(), created.context_id.clone());
                    let row = Row::new(owner, context, progress, bytes as u64);
                    index.insert(created.id.clone(), row);
                    return Ok(());
                }
                index.dispensable(&created.owner, created.at)
            };
            if let Err(error) = self.let_go(&leaves.ok_or(StoreError::Full(most))?).await {
                stuck += 1;
                if stuck == MOST_STUCK {
                    return Err(error);
                }
            }
        }
    }

    /// Forgets a task and its receivers when nothing is being written of it. Its place is free when its
    /// files are gone; if they cannot be removed, that is logged, and others go first.
    async fn let_go(&self, id: &str) -> Outcome<()> {
        let gate = match self.gate(&Caller::daemon(), id).await {
            Err(StoreError::NoTask(_)) => return Ok(()),
            gate => gate?,
        };
        let id = id.to_owned();
        self.blocking(move |shelf| {
            let _gate = gate;
            if let Err(error) = shelf.backing.remove(&id) {
                tracing::error!(%error, task = id, "a task could not be removed");
                shelf.index.lock().note_stuck(&id);
                return Err(error);
            }
            shelf.index.lock().remove(&id);
            Ok(())
        })
        .await
    }
}

impl<B: Backing> Shelf<B> {
    /// Judges a change and writes it; after which change it has to come may be given. Whoever calls holds the
    /// gate of the task.
    fn append(
        &self,
        id: &str,
        after: Option<u64>,
        mut change: Change,
        now: Time,
    ) -> Outcome<Arc<Stored>> {
        let none = || StoreError::NoTask(id.into());
        let (seq, at) = {
            let index = self.index.lock();
            let progress = &index.row(id).ok_or_else(none)?.progress;
            if after.is_some_and(|after| after != progress.seq) {
                return Err(Refused::WentOn.into());
            }
            // Whatever it weighs; only what may follow is made into a line.
            progress.admit(&change, 0, 0, &self.settings.limits)?;
            (progress.seq + 1, now.max(progress.status_at))
        };
        if let Change::Status(status) = &mut change {
            status.timestamp = Some(at);
        }
        let (text, line) = encode(&Line::Event(Stored { seq, at, change }))?;
        let Line::Event(stored) = line else { return Err(none()) };
        let bytes = weight(&stored.change);
        {
            let index = self.index.lock();
            let progress = &index.row(id).ok_or_else(none)?.progress;
            progress.admit(&stored.change, bytes, text.len(), &self.settings.limits)?;
        }
        if let Err(error) = self.backing.append(id, &text) {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error.into());
            }
            tracing::error!(task = id, "a task is gone: somebody removed its file");
            if let Err(error) = self.backing.remove(id) {
                tracing::error!(%error, task = id, "the receivers of a task could not be removed");
            }
            self.index.lock().remove(id);
            return Err(none());
        }
        let stored = Arc::new(stored);
        self.index.lock().note(id, &stored, bytes, text.len());
        Ok(stored)
    }
}

#[async_trait]
impl<B: Backing> TaskStore for Kept<B> {
    async fn create(&self, caller: &Caller, new: NewTask, now: Time) -> Outcome<Fold> {
        let owner = caller.name().to_owned();
        let NewTask { id, context_id, message, metadata } = new;
        let none = StoreError::NoTask(id.clone());
        let line = Line::Created(Created { id, context_id, owner, at: now, message, metadata });
        let encoded = self.blocking(move |_| Ok(encode(&line))).await??;
        let (text, Line::Created(created)) = encoded else { return Err(none) };
        self.enter(&created, text.len()).await?;
        self.blocking(move |shelf| {
            if let Err(error) = shelf.backing.begin(&created.id, &text) {
                shelf.index.lock().remove(&created.id);
                return Err(error);
            }
            Ok(Fold::new(created))
        })
        .await
    }

    async fn get(&self, caller: &Caller, id: &str, at: Option<u64>) -> Outcome<Fold> {
        let last = self.last_of(caller, id)?;
        let upto = at.map_or(last, |at| at.min(last));
        self.read(id, move |shelf, id| fold_of(id, shelf.backing.read(id, 0)?, upto, true)).await
    }

    async fn list(&self, caller: &Caller, query: &ListTasks) -> Outcome<PageOfTasks> {
        let place = |token: &String| Place::of_token(token).ok_or(StoreError::BadToken);
        let after = query.page_token.as_ref().map(place).transpose()?;
        let mut found = self.0.index.lock().find(caller, query, after.as_ref());
        let places = std::mem::take(&mut found.places);
        let (artifacts, history) = (query.include_artifacts, query.history_length);
        let read = self.blocking(move |shelf| {
            let mut tasks: Vec<Task> = Vec::with_capacity(places.len());
            let (mut room, mut before) = (PAGE_BYTES, None);
            for (place, last) in places {
                let log = shelf.backing.read(&place.id, 0);
                match log.and_then(|log| fold_of(&place.id, log, last, artifacts)) {
                    Ok(fold) => {
                        let task = fold.task.with_history_of(history);
                        let bytes = json_bytes(&task)?;
                        if bytes > room && !tasks.is_empty() {
                            return Ok((tasks, before));
                        }
                        room = room.saturating_sub(bytes);
                        tasks.push(task);
                    }
                    // It was let go meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::error!(%error, task = place.id, "a task does not read and is in no list");
                    }
                }
                before = Some(place);
            }
            Ok((tasks, None))
        });
        let (tasks, cut) = read.await?;
        Ok(PageOfTasks {
            tasks,
            next_page_token: cut.or(found.next).map_or_else(String::new, |it| it.token()),
            page_size: query.page_size,
            total_size: found.total,
        })
    }

    async fn append_after(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
        change: Change,
        now: Time,
    ) -> Outcome<Arc<Stored>> {
        let gate = self.gate(caller, id).await?;
        let id = id.to_owned();
        let appended = self.blocking(move |shelf| {
            let _gate = gate;
            Ok(shelf.append(&id, after, change, now))
        });
        appended.await?
    }

    fn last(&self, caller: &Caller, id: &str) -> Option<Last> {
        let index = self.0.index.lock();
        let Row { owner, progress, .. } = index.get(caller, id)?;
        let (owner, seq, awaits_turn) = (owner.clone(), progress.seq, progress.awaits_turn());
        Some(Last { owner, seq, awaits_turn })
    }

    async fn events_since(&self, caller: &Caller, id: &str, seq: u64) -> Outcome<Vec<Arc<Stored>>> {
        let (tail, place, last) = match self.0.index.lock().get(caller, id) {
            Some(row) => (row.tail_after(seq), row.place_of(seq), row.progress.seq),
            None => return Err(StoreError::NoTask(id.into())),
        };
        if let Some(events) = tail {
            return Ok(events);
        }
        let missed = move |shelf: &Shelf<B>, id: &str| {
            let mut log = match place {
                Some((known, from)) => Log::after(id, shelf.backing.read(id, from)?, known),
                None => Log::open(id, shelf.backing.read(id, 0)?)?.1,
            };
            let (mut events, mut bytes) = (Vec::new(), 0);
            while events.len() < EVENTS_AT_ONCE && bytes < EVENTS_BYTES {
                let before = log.whole;
                match log.next().transpose()?.filter(|it| it.seq <= last) {
                    Some(stored) if stored.seq > seq => {
                        bytes += log.whole - before;
                        events.push(Arc::new(stored));
                    }
                    Some(_) => {}
                    None => break,
                }
            }
            Ok(events)
        };
        self.read(id, missed).await
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
        self.last_of(caller, id)?;
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

    async fn drop_push(&self, caller: &Caller, id: &str, gone: PushEntry) -> Outcome<()> {
        let forget = move |entries: &mut Vec<PushEntry>| {
            entries.retain(|it| *it != gone);
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
        ids.retain(|id| self.last(caller, id).is_some());
        Ok(ids)
    }

    async fn sweep(&self, caller: &Caller, now: Time) -> Outcome<Swept> {
        let StoreSettings { task_ttl, interrupted_ttl, .. } = self.0.settings;
        let due = |is: fn(&Progress) -> bool, age| {
            let index = self.0.index.lock();
            let due = index
                .of(caller)
                .filter(|(_, row)| is(&row.progress) && *now - *row.progress.status_at >= age);
            due.map(|(id, row)| (id.clone(), row.progress.seq)).collect::<Vec<_>>()
        };
        let ended = due(|it| it.state.is_terminal(), task_ttl);
        let overdue = due(|it| it.state.is_interrupted() && !it.is_live(), interrupted_ttl);
        let mut swept = Swept { gone: Vec::new(), overdue };
        for (id, _) in ended {
            // One that stays costs no other one its turn.
            if self.let_go(&id).await.is_ok() {
                swept.gone.push(id);
            }
        }
        Ok(swept)
    }

    async fn live(&self, caller: &Caller) -> Vec<String> {
        let index = self.0.index.lock();
        let live = index.of(caller).filter(|(_, row)| row.progress.is_live());
        live.map(|(id, _)| id.clone()).collect()
    }

    fn count(&self, caller: &Caller) -> usize {
        self.0.index.lock().of(caller).count()
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
