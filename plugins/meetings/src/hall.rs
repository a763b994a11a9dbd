//! Every meeting that is being recorded, and what they share.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

use carport_core::{
    Caller, Clock, Counter, Guarded, Identity, Result, RpcError, Session, Subscribers, Tasks, Time,
    blocking_io,
};
use carport_inference_api::Inference;
use carport_meetings_record::{EndedBy, Meeting, Owner, Status};
use carport_memory_api::{GraphRef, Memory};
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

/// How long a meeting's end waits for its memory.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(10);
/// When an end that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long sources may take over their end when the daemon stops.
const SHORT: Duration = Duration::from_secs(3);
/// How long they may take else; a stream has a limit of its own.
const LONG: Duration = Duration::from_secs(15);
/// How long the writer may take over what it has; a disk may be busy for a while.
const CLOSE: Duration = Duration::from_secs(60);

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
    /// The graphs of meetings whose graph ends with its connection, while that is open.
    pub(crate) passing: Guarded<BTreeMap<String, GraphRef>>,
    /// Other directories of meetings.
    pub(crate) listed: Vec<Arc<Shelf>>,
    /// Segments in which nothing was said.
    pub(crate) ignored: Counter,
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
        let (own, most) = (self.config.live_per_connection, self.config.live);
        if live.values().filter(is_own).count() >= own {
            let what = "meetings of one connection at once (`meetings.live_per_connection`)";
            return Err(RpcError::limit(what, own as u64));
        }
        if live.len() >= most {
            let why = format!(
                "meetings that are recorded at once (`meetings.live`): the limit is {most}; \
                 try again later"
            );
            return Err(RpcError::overloaded(why).with("limit", most));
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

    async fn conclude(self: &Arc<Self>, live: &Arc<Live>, by: EndedBy, summarize: bool) {
        let at = self.clock.now();
        self.close_streams(live, by).await;
        let is_closed = self.close_transcript(live, by, at).await;
        live.stage.send_replace(Stage::Complete);
        let patience = if by == EndedBy::Shutdown { SHORT / 3 } else { CATCH_UP };
        tokio::select! {
            _ = async { live.remembered.subscribe().wait_for(|it| *it).await.is_ok() } => {}
            () = self.runs_out(patience, SHORT / 3) => {}
        }
        // A disk that hangs takes no summary.
        if summarize && is_closed {
            self.sum_up_live(live, by != EndedBy::Shutdown).await;
        }
        live.tell_no_more(&self.followers);
        self.live.lock().remove(&live.id);
        live.stage.send_replace(Stage::Over);
        self.retire().await;
    }

    /// Stops every source. Listeners hear of one whose last words may be missing.
    async fn close_streams(&self, live: &Live, by: EndedBy) {
        let (drain, patience) = match by {
            EndedBy::WriteError => (false, SHORT),
            EndedBy::Shutdown => (true, SHORT),
            _ => (true, LONG),
        };
        let streams = live.streams.get().map(Vec::as_slice).unwrap_or_default();
        let sources = live.meeting().sources;
        let stops = streams.iter().zip(sources).map(|(stream, source)| async move {
            let is_cut = tokio::select! {
                // One that has ended already says that it is not there.
                stopped = stream.stop(drain) => stopped.is_ok_and(|it| it.truncated),
                () = self.runs_out(patience, SHORT) => {
                    let source = &source.source;
                    tracing::warn!(meeting = live.id, source, "a source was not waited for to its end");
                    true
                }
            };
            if is_cut && drain {
                let message = "the end of its sound was not waited for";
                live.warn(&self.followers, WarningCode::Overrun, Some(source.source), message);
            }
        });
        join_all(stops).await;
    }

    /// Has the writer write what it has. `false`: it hangs in the disk, and the meeting has failed.
    async fn close_transcript(self: &Arc<Self>, live: &Arc<Live>, by: EndedBy, at: Time) -> bool {
        let (done, is_closed) = oneshot::channel();
        let (to, patience) = match by {
            EndedBy::WriteError => (Status::Failed, SHORT),
            _ => (Status::Ended, CLOSE),
        };
        let closed = live.clone();
        let mut closing = Box::pin(async move {
            closed.orders.ask(Order::Close { to, by, at, done }).await;
            let _ = is_closed.await;
        });
        tokio::select! {
            () = &mut closing => return true,
            () = self.runs_out(patience, SHORT) => {}
        }
        tracing::error!(meeting = live.id, "a transcript is not closed in time");
        // Its writer comes to its end when the disk goes on.
        self.tasks.spawn("close a transcript", closing);
        let (to, by) = (Status::Failed, EndedBy::WriteError);
        if live.finish(to, at, by) {
            let what = What::Status { status: to, ended_by: Some(by) };
            live.change(&self.followers, |_| (vec![what], ()));
            self.clone().record_later(live.kept());
        }
        false
    }

    /// Waits so long, and at most `short` once the daemon stops.
    pub(crate) async fn runs_out(&self, patience: Duration, short: Duration) {
        let mut stopping = self.stopping.clone();
        let stops = async { drop(stopping.wait_for(|it| *it).await) };
        if timeout(patience, stops).await.is_ok() {
            sleep(short.min(patience)).await;
        }
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
        let over = blocking_io(move || {
            let mut over = BTreeSet::new();
            let is_over = |it: &Kept| it.meeting.status != Status::Recording;
            shelf.each(|it| over.extend(is_over(&it).then(|| order(&it.meeting))))?;
            Ok(over)
        });
        let mut over = match over.await {
            Ok(over) => over,
            Err(error) => return tracing::error!(%error, "no old meeting was looked for"),
        };
        over.retain(|(_, id)| !self.live.lock().contains_key(id));
        for (_, id) in over.into_iter().skip(keep) {
            match self.remove(&id, |_| Ok(())).await {
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

    /// Removes a meeting that is over, of the memory first, so that what fails can be tried again; `false` if
    /// there was none.
    ///
    /// # Errors
    /// What `may` says of it, conflict, the disk's and the memory's.
    pub(crate) async fn remove(
        &self,
        id: &str,
        may: impl FnOnce(&Meeting) -> Result<()>,
    ) -> Result<bool> {
        let _held = self.hold(id).await;
        let (shelf, name) = (self.shelf.clone(), id.to_owned());
        let kept = blocking_io(move || shelf.kept(&name)).await;
        let Some(kept) = kept.map_err(|error| crate::broken(&error))? else { return Ok(false) };
        may(&kept.meeting)?;
        self.check_over(&kept.meeting)?;
        if let Some(graph) = self.graph_of(&kept) {
            remembering::forget(&*self.memory, &graph, id).await?;
        }
        let (shelf, name) = (self.shelf.clone(), id.to_owned());
        let removed = blocking_io(move || shelf.remove(&name)).await;
        self.passing.lock().remove(id);
        removed.map_err(|error| crate::broken(&error))
    }

    /// Refuses to change a meeting that begins or ends at this moment.
    pub(crate) fn check_over(&self, meeting: &Meeting) -> Result<()> {
        let is_live = self.live.lock().contains_key(&meeting.id);
        match is_live || meeting.status == Status::Recording {
            false => Ok(()),
            true => Err(RpcError::conflict(format!("meeting `{}` is busy; try again", meeting.id))),
        }
    }

    /// Where a meeting's turns went, if that graph may be there still.
    pub(crate) fn graph_of(&self, kept: &Kept) -> Option<GraphRef> {
        kept.graph().or_else(|| self.passing.lock().get(&kept.meeting.id).cloned())
    }

    /// The graph of a connection is gone with it.
    pub(crate) fn pass(&self, session: &Session) {
        let own = GraphRef::Session(session.id().to_owned());
        self.passing.lock().retain(|_, graph| *graph != own);
    }
}

/// A meeting's place in a list: the newest first, then by id.
pub(crate) fn order(meeting: &Meeting) -> (Reverse<Time>, String) {
    (Reverse(meeting.started_at), meeting.id.clone())
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
