//! The making of speech: one thread that runs at most 10 s of sound ahead of whoever takes the chunks.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    sync::{Arc, Condvar, PoisonError},
    time::Duration,
};

use carport_core::{Guarded, Result, RpcError, Time};
use carport_voice_api::{
    Cancel, Failure, FailureKind, Say, Sound, Speech, SpeechChunk, SpeechFormat, TextToSpeech,
};
use carport_voice_audio::{pcm_s16le, wav};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::timeout,
};

use crate::{
    counts::{Counted, thread},
    hub::Hub,
    slots::{Need, Permit},
};

/// Sound that may lie ahead.
const AHEAD_MS: u64 = 10_000;
/// How long a thread that nobody wants any more may take to end.
const ABANDON: Duration = Duration::from_secs(5);

/// Sound of a stream that somebody waits for; what is made after it is ahead of whoever listens.
const SOON_MS: u64 = 2000;

/// How long nothing may be made or taken of a stream.
const STALLED: Duration = Duration::from_secs(60);
/// What a failure that no provider had says.
pub(crate) const STALLED_WHY: &str = "nothing was made or taken for 60 s";

/// What speech is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody hears it while it is made. So many are made at once, and none may stand still.
    Stream,
    /// A file.
    File,
}

impl Purpose {
    /// What a place is needed for once so much sound was made.
    fn need(self, made_ms: u64) -> Need<'static> {
        if self == Self::Stream && made_ms < SOON_MS { Need::Now } else { Need::Later }
    }
}

/// Speech that is being made.
pub(crate) struct Making {
    hub: Arc<Hub>,
    provider: Arc<dyn TextToSpeech>,
    pub(crate) provider_id: String,
    streaming: bool,
    pub(crate) format: SpeechFormat,
    pub(crate) sample_rate: u32,
    purpose: Purpose,
    cancel: Cancel,
    ahead: Guarded<Ahead>,
    /// There is room, or nobody wants more.
    room: Condvar,
    /// There is a chunk, or the end.
    ready: Notify,
    permit: Guarded<Option<Permit>>,
    thread_gone: watch::Sender<bool>,
    _counted: Counted,
}

/// A sound, how long it is, and whether it is the last.
pub(crate) type Next = (Option<Sound>, u64, bool);

/// What was made and not taken yet.
struct Ahead {
    sounds: VecDeque<(Sound, u64)>,
    ms: u64,
    /// Sound that was made, taken or not.
    made_ms: u64,
    /// How the making ended.
    made: Option<Result<(), Failure>>,
    /// Whether the last item was taken.
    ended: bool,
    progress: Time,
}

impl Making {
    /// Starts the thread, within the limits. The provider was asked whether it can say this.
    pub(crate) fn start(
        hub: &Arc<Hub>,
        provider: Arc<dyn TextToSpeech>,
        mut say: Say,
        format: SpeechFormat,
        purpose: Purpose,
    ) -> Result<Arc<Self>> {
        let about = provider.about();
        let (progress, cancel) = (hub.clock.now(), Cancel::default());
        say.cancel = cancel.clone();
        let sounds = VecDeque::new();
        let ahead = Ahead { sounds, ms: 0, made_ms: 0, made: None, ended: false, progress };
        let making = Arc::new(Self {
            hub: hub.clone(),
            provider_id: about.id,
            streaming: about.streaming,
            sample_rate: provider.sample_rate(),
            provider,
            format,
            purpose,
            cancel,
            ahead: Guarded::new(ahead),
            room: Condvar::new(),
            ready: Notify::new(),
            permit: Guarded::default(),
            thread_gone: watch::Sender::new(false),
            _counted: Counted::one(&hub.counts.speeches),
        });
        if purpose == Purpose::Stream {
            hub.admit_speech(&making)?;
        }
        let (maker, gone) = (making.clone(), making.clone());
        let work = move || {
            let made = maker.make(&say);
            maker.end(made);
        };
        let after = move |whole: bool| {
            if !whole {
                gone.end(Err(Failure::new(FailureKind::Failed, "the provider panicked")));
            }
            drop(gone.permit.lock().take());
            gone.thread_gone.send_replace(true);
        };
        let started = thread(&hub.counts, "voice-speech", &hub.runtime, work, after);
        started.map_err(|error| {
            hub.forget_speech(&making);
            RpcError::internal(format!("no thread for speech: {error}"))
        })?;
        Ok(making)
    }

    fn make(&self, say: &Say) -> Result<(), Failure> {
        if !self.take_place(self.purpose.need(0)) {
            return Ok(());
        }
        self.provider.speak(say, &mut |sound| self.put(sound))
    }

    fn take_place(&self, need: Need<'_>) -> bool {
        let (waits, unwanted) = (self.provider.waits(), || self.cancel.is_cancelled());
        let permit = self.hub.slots.take(need, waits, unwanted);
        let has_place = permit.is_some();
        *self.permit.lock() = permit;
        has_place
    }

    /// Waits for room, and leaves its place to those who wait for one.
    fn put(&self, sound: Sound) -> ControlFlow<()> {
        let ms = match &sound {
            Sound::Encoded { duration_ms, .. } => *duration_ms,
            Sound::Samples(it) => it.len() as u64 * 1000 / u64::from(self.sample_rate.max(1)),
        };
        let mut ahead = self.ahead.lock();
        let mut waited = false;
        loop {
            if self.cancel.is_cancelled() || ahead.made.is_some() {
                return ControlFlow::Break(());
            }
            let fits = ahead.sounds.is_empty() || ahead.ms + ms <= AHEAD_MS;
            if fits || !self.streaming {
                break;
            }
            waited = true;
            drop(self.permit.lock().take());
            ahead = self.room.wait(ahead).unwrap_or_else(PoisonError::into_inner);
        }
        ahead.ms += ms;
        ahead.made_ms += ms;
        let need = self.purpose.need(ahead.made_ms);
        match (self.streaming, ahead.sounds.back_mut()) {
            (false, Some((whole, whole_ms))) => {
                join(whole, sound);
                *whole_ms += ms;
            }
            _ => ahead.sounds.push_back((sound, ms)),
        }
        ahead.progress = self.hub.clock.now();
        drop(ahead);
        self.ready.notify_one();
        if !waited && self.hub.slots.is_wanted() {
            drop(self.permit.lock().take());
            waited = true;
        }
        match !waited || self.take_place(need) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn encode(&self, sound: Sound) -> Result<Vec<u8>, Failure> {
        let failed = |why: String| Failure::new(FailureKind::Failed, why);
        match (sound, self.format) {
            (Sound::Encoded { bytes, .. }, _) => Ok(bytes),
            (Sound::Samples(samples), SpeechFormat::Pcm) => Ok(pcm_s16le(&samples)),
            (Sound::Samples(samples), SpeechFormat::Wav) => {
                wav(&samples, self.sample_rate).map_err(|error| failed(error.to_string()))
            }
            (Sound::Samples(_), SpeechFormat::Mp3) => {
                Err(failed("the provider handed samples over where MP3 was asked for".into()))
            }
        }
    }

    /// The making ends like this, if it has not ended.
    fn end(&self, made: Result<(), Failure>) {
        self.ahead.lock().made.get_or_insert(made);
        self.room.notify_all();
        self.ready.notify_one();
    }

    /// The next chunk; after the final one, or an error, nothing.
    pub(crate) async fn next(&self) -> Option<Result<SpeechChunk, Failure>> {
        let (sound, duration_ms, is_final) = match self.next_sound().await? {
            Ok(next) => next,
            Err(failure) => return Some(Err(failure)),
        };
        let bytes = match sound {
            Some(sound) => self.encode(sound),
            None => Ok(Vec::new()),
        };
        Some(bytes.map(|bytes| SpeechChunk { bytes, duration_ms, is_final }))
    }

    /// As [`Self::next`], as the provider handed it over: the sound, how long it is, whether it is the
    /// last.
    pub(crate) async fn next_sound(&self) -> Option<Result<Next, Failure>> {
        loop {
            if let Some(next) = self.look() {
                return next;
            }
            self.ready.notified().await;
        }
    }

    /// `None` while there is nothing to say.
    fn look(&self) -> Option<Option<Result<Next, Failure>>> {
        let mut ahead = self.ahead.lock();
        if ahead.ended {
            return Some(None);
        }
        if ahead.made.is_none() && !self.streaming {
            return None;
        }
        let (sound, ms) = match (ahead.sounds.pop_front(), &ahead.made) {
            (Some((sound, ms)), _) => (Some(sound), ms),
            (None, None) => return None,
            // Whether a chunk was the last was not known when it left.
            (None, Some(Ok(()))) => (None, 0),
            (None, Some(Err(failure))) => {
                let failure = failure.clone();
                ahead.ended = true;
                return Some(Some(Err(failure)));
            }
        };
        ahead.ms -= ms;
        ahead.progress = self.hub.clock.now();
        ahead.ended = ahead.sounds.is_empty() && matches!(ahead.made, Some(Ok(())));
        let is_final = ahead.ended;
        drop(ahead);
        self.room.notify_all();
        Some(Some(Ok((sound, ms, is_final))))
    }

    /// Breaks off what makes no progress.
    pub(crate) fn sweep(&self, now: Time) {
        let quiet = (*now - *self.ahead.lock().progress).to_std().unwrap_or_default();
        if quiet >= STALLED {
            self.end(Err(Failure::new(FailureKind::Failed, STALLED_WHY)));
        }
    }

    /// Nobody wants it any more: frees what it held, and gives the thread up if it does not end soon.
    pub(crate) fn cancel(self: &Arc<Self>) {
        if self.cancel.is_cancelled() {
            return;
        }
        self.cancel.cancel();
        self.hub.forget_speech(self);
        {
            let mut ahead = self.ahead.lock();
            (ahead.sounds, ahead.ms, ahead.ended) = (VecDeque::new(), 0, true);
        }
        self.room.notify_all();
        self.ready.notify_one();
        self.hub.slots.look_again();
        let making = self.clone();
        self.hub.spawn("see a speaker off", async move {
            let mut gone = making.thread_gone.subscribe();
            if timeout(ABANDON, gone.wait_for(|gone| *gone)).await.is_err() {
                making.hub.counts.abandoned.inc();
                let provider = &making.provider_id;
                tracing::warn!(provider, "a provider of speech hangs; its thread was given up");
                drop(making.permit.lock().take());
            }
        });
    }

    /// As what other plugins get: dropping it cancels.
    pub(crate) fn into_speech(self: Arc<Self>) -> Speech {
        let (to, chunks) = mpsc::channel(1);
        let (format, sample_rate) = (self.format, self.sample_rate);
        let provider = self.provider_id.clone();
        let hub = self.hub.clone();
        hub.spawn("hand speech over", async move {
            loop {
                let next = tokio::select! {
                    next = self.next() => next,
                    () = to.closed() => break,
                };
                let Some(next) = next else { break };
                if to.send(next).await.is_err() {
                    break;
                }
            }
            self.cancel();
        });
        Speech { format, sample_rate, provider, chunks }
    }
}

/// Appends a sound to one of the same kind; a provider hands over one kind only.
fn join(whole: &mut Sound, more: Sound) {
    match (whole, more) {
        (Sound::Samples(whole), Sound::Samples(more)) => whole.extend(more),
        (
            Sound::Encoded { bytes, duration_ms },
            Sound::Encoded { bytes: more, duration_ms: more_ms },
        ) => {
            bytes.extend(more);
            *duration_ms += more_ms;
        }
        (whole, more) => *whole = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_what_somebody_hears_is_needed_now() {
        assert!(matches!(Purpose::Stream.need(0), Need::Now));
        assert!(matches!(Purpose::Stream.need(SOON_MS - 1), Need::Now));
        assert!(matches!(Purpose::Stream.need(SOON_MS), Need::Later));
        assert!(matches!(Purpose::File.need(0), Need::Later));
    }
}
