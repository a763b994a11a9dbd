//! What everything in this plugin shares: the tables of streams and speech, places for work, the clock.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use carport_core::{Clock, Guarded, Result, RpcError, Session, Tasks};
use carport_inference_api::Inference;
use carport_voice_api::{EndReason, OwnerMay};
use tokio::{runtime::Handle, sync::watch, time::Instant};

use crate::{
    config::Config,
    counts::Counts,
    files::Files,
    providers::Providers,
    rate::Bucket,
    slots::Slots,
    speakers::{Voices, store::Enrolments},
    speech::{Talk, making::Making},
    stream::{Stream, settings::Settings},
    turns::Turn,
};

/// Whose, and which of theirs. `None` is nobody's.
pub(crate) type Key = (Option<u64>, String);

/// Speech streams of one connection.
const TALKS: usize = 4;
/// Speech streams of all connections and of other plugins.
const SPEECHES: usize = 16;
/// One-shot calls at once.
const ONE_SHOTS: usize = 2;

/// What is kept for a connection.
#[derive(Default)]
pub(crate) struct Desk {
    bucket: Guarded<Bucket>,
    pub(crate) turn: Guarded<Option<Arc<Turn>>>,
    /// Held while one turn takes the place of another.
    pub(crate) turning: tokio::sync::Mutex<()>,
}

/// What everything shares.
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    /// Whether the daemon ends.
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) runtime: Handle,
    pub(crate) counts: Counts,
    pub(crate) files: Files,
    pub(crate) providers: Providers,
    pub(crate) enrolled: Enrolments,
    pub(crate) slots: Arc<Slots>,
    pub(crate) inference: Option<Arc<dyn Inference>>,
    pub(crate) next_turn: AtomicU64,
    pub(crate) one_shots: Arc<tokio::sync::Semaphore>,
    pub(crate) began: Instant,
    pub(crate) streams: Guarded<BTreeMap<Key, Arc<Stream>>>,
    /// In order of starting.
    pub(crate) talks: Guarded<Vec<Arc<Talk>>>,
    /// What is made for streams, of connections and of other plugins.
    pub(crate) speeches: Guarded<Vec<Arc<Making>>>,
}

impl Hub {
    pub(crate) fn one_shots() -> Arc<tokio::sync::Semaphore> {
        Arc::new(tokio::sync::Semaphore::new(ONE_SHOTS))
    }

    /// A background task; from any thread.
    pub(crate) fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let _inside = self.runtime.enter();
        drop(self.tasks.spawn(name, task));
    }

    /// Whether a connection may send so much sound now; else in how many milliseconds.
    pub(crate) fn admit(&self, owner: &Session, bytes: usize) -> std::result::Result<(), u64> {
        owner.slot::<Desk>().bucket.lock().take(bytes, self.began.elapsed())
    }

    /// Lists a stream, within the limits.
    pub(crate) fn admit_stream(&self, stream: &Arc<Stream>) -> Result<()> {
        let mut streams = self.streams.lock();
        streams.retain(|_, it| !it.has_ended());
        if streams.contains_key(&stream.key) {
            let why = format!("a stream `{}` of this connection is there already", stream.key.1);
            return Err(RpcError::conflict(why));
        }
        let own = streams.keys().filter(|key| key.0.is_some() && key.0 == stream.key.0).count();
        own_limit(
            "streams of sound (`voice.streams_per_connection`)",
            own,
            self.config.streams_per_connection,
        )?;
        limit_in_all("streams of sound (`voice.streams`)", streams.len(), self.config.streams)?;
        streams.insert(stream.key.clone(), stream.clone());
        Ok(())
    }

    /// A stream of this connection.
    pub(crate) fn stream(&self, owner: &Session, id: &str) -> Result<Arc<Stream>> {
        let key = (Some(owner.serial()), id.to_owned());
        let found = self.streams.lock().get(&key).cloned();
        found.ok_or_else(|| crate::stream::no_such(id))
    }

    /// As [`Self::stream`], if its connection may do this with it.
    pub(crate) fn stream_to(
        &self,
        what: OwnerMay,
        owner: &Session,
        id: &str,
    ) -> Result<Arc<Stream>> {
        let stream = self.stream(owner, id)?;
        if stream.terms.owner_may < what {
            let why = format!("stream `{id}` belongs to what opened it, which also ends it");
            return Err(RpcError::conflict(why));
        }
        Ok(stream)
    }

    /// A stream is over.
    pub(crate) fn forget(&self, stream: &Stream) {
        let mut streams = self.streams.lock();
        if streams.get(&stream.key).is_some_and(|it| std::ptr::eq(&**it, stream)) {
            streams.remove(&stream.key);
        }
    }

    /// Whether a connection may have one more speech stream, of this id.
    pub(crate) fn may_talk(&self, key: &Key) -> Result<()> {
        may_talk(&self.talks.lock(), key)
    }

    /// Lists a speech stream, within the limits.
    pub(crate) fn admit_talk(&self, talk: &Arc<Talk>) -> Result<()> {
        let mut talks = self.talks.lock();
        may_talk(&talks, &talk.key)?;
        talks.push(talk.clone());
        Ok(())
    }

    /// Lists speech that is made for a stream, within the limit.
    pub(crate) fn admit_speech(&self, making: &Arc<Making>) -> Result<()> {
        let mut speeches = self.speeches.lock();
        limit_in_all("speech streams", speeches.len(), SPEECHES)?;
        speeches.push(making.clone());
        Ok(())
    }

    pub(crate) fn forget_speech(&self, making: &Making) {
        self.speeches.lock().retain(|it| !std::ptr::eq(&**it, making));
    }

    /// The speech streams of a connection, in order of starting.
    pub(crate) fn talks_of(&self, owner: &Session) -> Vec<Arc<Talk>> {
        let talks = self.talks.lock();
        talks.iter().filter(|it| it.key.0 == Some(owner.serial())).cloned().collect()
    }

    pub(crate) fn forget_talk(&self, talk: &Talk) {
        self.talks.lock().retain(|it| !std::ptr::eq(&**it, talk));
    }

    /// The voices that a stream starts with.
    pub(crate) fn voices(&self, settings: &Settings) -> Result<Voices> {
        let provider = self.providers.speakers("options.diarizer", None)?;
        let enrolled = if settings.enrolled { self.enrolled.prints() } else { Vec::new() };
        Ok(Voices::new(provider, enrolled))
    }

    /// Ends what a connection is being told: the ids of its speech streams, and its turn.
    pub(crate) fn hush(&self, owner: &Session) -> (Vec<String>, Option<u64>) {
        let talks = self.talks_of(owner);
        let stopped = talks.iter().filter(|talk| talk.cancel());
        let ids = stopped.map(|talk| talk.key.1.clone()).collect();
        let turn = owner.slot::<Desk>().turn.lock().clone();
        (ids, turn.filter(|turn| turn.cancel()).map(|turn| turn.id))
    }

    /// Ends everything of a connection that is gone.
    pub(crate) fn abandon(&self, owner: &Session) {
        let streams: Vec<_> = {
            let streams = self.streams.lock();
            streams.values().filter(|it| it.key.0 == Some(owner.serial())).cloned().collect()
        };
        for stream in streams {
            stream.owner_left();
        }
        self.hush(owner);
    }

    /// Ends everything because the daemon does, except streams that whoever opened them ends.
    pub(crate) fn wind_up(&self) {
        let streams: Vec<_> = self.streams.lock().values().cloned().collect();
        for stream in streams.iter().filter(|it| !it.terms.outlives_owner) {
            stream.close(EndReason::Shutdown);
        }
    }

    /// Looks for what nobody uses any more.
    pub(crate) fn sweep(&self) {
        let (now, idle) = (self.clock.now(), Duration::from_secs(self.config.idle_secs));
        let streams: Vec<_> = self.streams.lock().values().cloned().collect();
        for stream in streams {
            stream.sweep(now, idle);
        }
        let talks: Vec<_> = self.talks.lock().clone();
        for talk in talks {
            talk.sweep();
        }
        let speeches: Vec<_> = self.speeches.lock().clone();
        for making in speeches {
            making.sweep(now);
        }
        if let Err(error) = self.files.sweep(now) {
            tracing::warn!(%error, "old files of sound could not be deleted");
        }
    }

    /// A place for a one-shot call.
    pub(crate) fn one_shot(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        self.one_shots.clone().try_acquire_owned().map_err(|_| {
            let why = format!("{ONE_SHOTS} one-shot calls run already; try again");
            RpcError::overloaded(why).with("limit", ONE_SHOTS)
        })
    }
}

fn may_talk(talks: &[Arc<Talk>], key: &Key) -> Result<()> {
    if talks.iter().any(|it| it.key == *key) {
        let why = format!("a speech stream `{}` of this connection is there already", key.1);
        return Err(RpcError::conflict(why));
    }
    let own = talks.iter().filter(|it| it.key.0 == key.0).count();
    own_limit("speech streams", own, TALKS)
}

/// Whether one more of a connection fits.
fn own_limit(what: &str, own: usize, most: usize) -> Result<()> {
    match own < most {
        true => Ok(()),
        false => Err(RpcError::limit(format!("{what} of one connection"), most as u64)),
    }
}

/// Whether one more of all fits.
fn limit_in_all(what: &str, all: usize, most: usize) -> Result<()> {
    match all < most {
        true => Ok(()),
        false => {
            let why = format!("{what} of this daemon: the limit is {most}; try again later");
            Err(RpcError::overloaded(why).with("limit", most))
        }
    }
}
