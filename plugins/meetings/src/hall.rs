//! Every meeting that is being recorded, and what they share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use carport_core::{
    Caller, Clock, Guarded, Identity, Result, RpcError, Session, Subscribers, Tasks, blocking_io,
};
use carport_inference_api::Inference;
use carport_meetings_record::{EndedBy, Meeting, Owner, Status};
use carport_memory_api::Memory;
use carport_voice_api::Voice;
use futures_util::future::join_all;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, oneshot, watch},
    time::{sleep, timeout},
};

use crate::{
    config::Config,
    event::{WarningCode, What},
    live::{Live, Order, Stage, Wanted},
    remembering,
    shelf::{Kept, Shelf},
};

/// Meetings of one connection, and of all.
const MEETINGS: (usize, usize) = (2, 8);
/// How long a meeting's end waits for its memory.
const CATCH_UP: Duration = Duration::from_secs(10);
/// When an end that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long sources may take over their end when the daemon stops.
const SHORT: Duration = Duration::from_secs(3);
/// How long they may take else; a stream has a limit of its own.
const LONG: Duration = Duration::from_secs(15);

/// What everything shares.
pub(crate) struct Hall {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) voice: Arc<dyn Voice>,
    pub(crate) memory: Arc<dyn Memory>,
    pub(crate) inference: Option<Arc<dyn Inference>>,
    pub(crate) followers: Subscribers<String>,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) live: Guarded<BTreeMap<String, Place>>,
    /// Meetings that are over and are being changed.
    pub(crate) changing: Guarded<BTreeMap<String, Weak<Mutex<()>>>>,
}

/// A meeting that begins or is being recorded.
pub(crate) enum Place {
    /// Of the connection with this number.
    Taken(u64),
    Live(Arc<Live>),
}

/// Gives a place back unless the meeting got it.
pub(crate) struct Reserved<'a> {
    hall: &'a Hall,
    id: &'a str,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut live = self.hall.live.lock();
        if matches!(live.get(self.id), Some(Place::Taken(_))) {
            live.remove(self.id);
        }
    }
}

impl Hall {
    /// Takes a place for a new meeting, within the limits.
    pub(crate) fn reserve<'a>(&'a self, id: &'a str, session: &Session) -> Result<Reserved<'a>> {
        let mut live = self.live.lock();
        if live.contains_key(id) {
            return Err(taken(id));
        }
        let is_own = |place: &&Place| match place {
            Place::Taken(serial) => *serial == session.serial(),
            Place::Live(live) => live.serial == session.serial(),
        };
        if live.values().filter(is_own).count() >= MEETINGS.0 {
            return Err(RpcError::limit("meetings of a connection at once", MEETINGS.0 as u64));
        }
        if live.len() >= MEETINGS.1 {
            let why = format!("{} meetings are recorded already; try again later", MEETINGS.1);
            return Err(RpcError::overloaded(why).with("limit", MEETINGS.1));
        }
        live.insert(id.to_owned(), Place::Taken(session.serial()));
        Ok(Reserved { hall: self, id })
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Live>> {
        match self.live.lock().get(id) {
            Some(Place::Live(live)) => Some(live.clone()),
            _ => None,
        }
    }

    /// Every meeting that is being recorded.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let live = self.live.lock();
        live.values()
            .filter_map(|it| if let Place::Live(live) = it { Some(live.clone()) } else { None })
            .collect()
    }

    /// A meeting that is being recorded and that the caller may see.
    pub(crate) fn seen(&self, id: &str, caller: &Caller) -> Option<Arc<Live>> {
        self.find(id).filter(|it| may_see(caller.identity(), &it.meeting().owner))
    }

    /// The right to change a meeting that is over.
    pub(crate) async fn hold(&self, id: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut changing = self.changing.lock();
            changing.retain(|_, lock| lock.strong_count() > 0);
            let known = changing.get(id).and_then(Weak::upgrade);
            let lock = known.unwrap_or_default();
            changing.insert(id.to_owned(), Arc::downgrade(&lock));
            lock
        };
        lock.lock_owned().await
    }

    /// Ends a meeting, once, behind whoever asks.
    pub(crate) fn end(self: &Arc<Self>, live: &Arc<Live>, by: EndedBy) {
        let summarize = match by {
            EndedBy::Disconnect => self.config.summarize_on_disconnect,
            EndedBy::WriteError => false,
            _ => true,
        };
        self.end_with(live, by, summarize);
    }

    /// As [`Self::end`], with or without a summary. What a meeting whose end has begun does stays.
    pub(crate) fn end_with(self: &Arc<Self>, live: &Arc<Live>, by: EndedBy, summarize: bool) {
        if live.begin_end() {
            let (hall, live) = (self.clone(), live.clone());
            self.tasks
                .spawn("end a meeting", async move { hall.conclude(&live, by, summarize).await });
        }
    }

    async fn conclude(&self, live: &Arc<Live>, by: EndedBy, summarize: bool) {
        let (drain, patience) = match by {
            EndedBy::WriteError => (false, SHORT),
            EndedBy::Shutdown => (true, SHORT),
            _ => (true, LONG),
        };
        let streams = live.streams.get().map(Vec::as_slice).unwrap_or_default();
        // One that has ended already says that it is not there.
        if timeout(patience, join_all(streams.iter().map(|it| it.stop(drain)))).await.is_err() {
            join_all(streams.iter().map(|it| it.stop(false))).await;
        }
        let (done, closed) = oneshot::channel();
        let to = if by == EndedBy::WriteError { Status::Failed } else { Status::Ended };
        let _ = live.orders.send(Order::Close { to, by, done });
        let _ = closed.await;
        live.stage.send_replace(Stage::Complete);
        let patience = if by == EndedBy::Shutdown { SHORT / 3 } else { CATCH_UP };
        let _ = timeout(patience, live.remembered.subscribe().wait_for(|it| *it)).await;
        if summarize {
            self.sum_up_live(live, by != EndedBy::Shutdown).await;
        }
        live.tell_no_more(&self.followers);
        self.live.lock().remove(&live.id);
        live.stage.send_replace(Stage::Over);
        self.retire().await;
    }

    async fn sum_up_live(&self, live: &Live, may_ask: bool) {
        let view = live.view(Wanted::ALL);
        let mut meeting = view.meeting;
        let summed = self.sum_up(&mut meeting, view.segments, live.graph.as_ref(), may_ask).await;
        live.change(&self.followers, |state| {
            state.ledger.meeting_mut().summary = meeting.summary;
            let warning = summed.failure.map(|message| What::Warning {
                code: WarningCode::SummaryFailed,
                source: None,
                message,
            });
            let summary =
                summed.made.clone().map(|(summary, kind)| What::Summary { summary, kind });
            state.summary = summed.made;
            (warning.into_iter().chain(summary).collect(), ())
        });
    }

    /// Removes the oldest meetings that are over, beyond how many are kept.
    async fn retire(&self) {
        let Some(keep) = self.config.keep else { return };
        let shelf = self.shelf.clone();
        let mut over = match blocking_io(move || shelf.all()).await {
            Ok(all) => all
                .into_iter()
                .filter(|it| it.meeting.status != Status::Recording)
                .collect::<Vec<_>>(),
            Err(error) => return tracing::error!(%error, "no old meeting was looked for"),
        };
        over.sort_by(|one, other| order(&one.meeting, &other.meeting));
        for kept in over.into_iter().skip(keep) {
            let id = kept.meeting.id.clone();
            match self.remove(&id).await {
                Ok(_) => {
                    tracing::info!(meeting = id, "a meeting beyond `meetings.keep` was removed")
                }
                Err(error) => {
                    tracing::error!(meeting = id, %error, "an old meeting was not removed")
                }
            }
        }
    }

    /// Writes the end of a meeting as soon as the disk lets it, unless somebody else has.
    pub(crate) fn record_later(self: Arc<Self>, kept: Kept) {
        let tasks = self.tasks.clone();
        tasks.spawn("record an end", async move {
            let id = kept.meeting.id.clone();
            loop {
                sleep(AGAIN).await;
                let _held = self.hold(&id).await;
                let (shelf, kept, id) = (self.shelf.clone(), kept.clone(), id.clone());
                let written = blocking_io(move || {
                    let is_open = |it: &Kept| it.meeting.status == Status::Recording;
                    match shelf.kept(&id)?.as_ref().is_some_and(is_open) {
                        true => shelf.rewrite(&kept),
                        false => Ok(()),
                    }
                });
                if written.await.is_ok() {
                    return;
                }
            }
        });
    }

    /// Removes a meeting that is not being recorded, and its fact; `false` if there was none.
    pub(crate) async fn remove(&self, id: &str) -> Result<bool> {
        let _held = self.hold(id).await;
        let (shelf, owned) = (self.shelf.clone(), id.to_owned());
        let removed = blocking_io(move || {
            let graph = shelf.kept(&owned)?.and_then(|it| it.graph());
            Ok((shelf.remove(&owned)?, graph))
        });
        let (removed, graph) = removed.await.map_err(|error| crate::broken(&error))?;
        if let Some(graph) = graph {
            let (origin, fact) = (remembering::origin(id), remembering::fact_id(id));
            if let Err(error) = self.memory.forget(&graph, &origin, &fact).await {
                tracing::error!(meeting = id, %error, "a meeting's summary is still in the memory");
            }
        }
        Ok(removed)
    }
}

/// Newest first, then by id.
pub(crate) fn order(one: &Meeting, other: &Meeting) -> std::cmp::Ordering {
    other.started_at.cmp(&one.started_at).then_with(|| one.id.cmp(&other.id))
}

/// An agent sees what it started.
pub(crate) fn may_see(identity: &Identity, owner: &Owner) -> bool {
    identity.agent_id().is_none_or(|agent| owner.agent_id.as_deref() == Some(agent))
}

/// The id is that of another meeting.
pub(crate) fn taken(id: &str) -> RpcError {
    RpcError::conflict(format!(
        "there is a meeting `{id}` already; choose another id or leave it out"
    ))
}
