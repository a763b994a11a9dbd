//! A stream's worker: one thread that opens the provider and does what the intake holds.

use std::{
    cell::Cell,
    sync::{Arc, PoisonError},
};

use carport_voice_api::{Caps, EndReason, Event, Failure, FailureKind, Recogniser, SpeechToText};

use super::{Stream, intake::Work, track::Track};

impl Stream {
    /// What the thread does from its beginning to its end.
    pub(super) fn work(self: &Arc<Self>, provider: &dyn SpeechToText, caps: Caps) {
        let Some(opened) = self.busy(|| self.recognisers(provider)) else { return };
        let ended = match opened {
            Err(failure) => Err(Failure { kind: load(failure.kind), ..failure }),
            Ok(recognisers) => {
                self.line.make(Event::SessionStarted {
                    provider: self.opening.provider.clone(),
                    model: self.opening.model.clone(),
                    sample_rate: self.opening.sample_rate,
                    channels: self.opening.channels,
                    caps: Caps { diarizer: self.voices.is_some(), ..caps },
                });
                self.hear_all(recognisers)
            }
        };
        if let Err(failure) = ended {
            self.fail_with(failure);
        }
    }

    /// One for each channel that is heard apart.
    fn recognisers(
        self: &Arc<Self>,
        provider: &dyn SpeechToText,
    ) -> Result<Vec<(Option<u16>, Recogniser)>, Failure> {
        let channels = match self.terms.tracks && self.format.channels() == 2 {
            true => vec![Some(0), Some(1)],
            false => vec![None],
        };
        let open = |(track, channel)| {
            let weak = Arc::downgrade(self);
            let ear = Arc::new(move |heard| {
                if let Some(stream) = weak.upgrade() {
                    stream.hear(track, heard);
                }
            });
            let recogniser = provider.open(&self.settings.listen, ear);
            recogniser.map(|recogniser| (channel, recogniser))
        };
        channels.into_iter().enumerate().map(open).collect()
    }

    /// Does model work in one of the places for it; `None` if nobody wants it any more.
    pub(super) fn busy<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let permit = self.hub.slots.take(self.waits, || self.intake.lock().is_closed())?;
        *self.permit.lock() = Some(permit);
        self.intake.lock().busy_since = Some(self.hub.clock.now());
        let made = work();
        {
            let mut intake = self.intake.lock();
            (intake.busy_since, intake.told_slow) = (None, false);
        }
        drop(self.permit.lock().take());
        Some(made)
    }

    /// Waits for something to do; `None` if nobody wants anything any more.
    fn next(&self) -> Option<Work> {
        let mut intake = self.intake.lock();
        loop {
            if intake.is_closed() {
                return None;
            }
            if let Some(work) = intake.next() {
                drop(intake);
                // A feeder may wait for room.
                self.changed.notify_all();
                return Some(work);
            }
            intake = self.changed.wait(intake).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hears every track to its end.
    fn hear_all(&self, recognisers: Vec<(Option<u16>, Recogniser)>) -> Result<(), Failure> {
        let next = Cell::new(0);
        let track = |(channel, recogniser)| Track::new(self, channel, recogniser, &next);
        let mut tracks: Vec<Track<'_>> = recognisers.into_iter().map(track).collect();
        let mut ending: Option<EndReason> = None;
        while let Some(work) = self.next() {
            if let Work::End(reason) = work {
                ending = Some(reason);
            }
            let mut all = tracks.iter_mut();
            let done = match work {
                Work::Sound(bytes) => self.busy(|| all.try_for_each(|it| it.hear(&bytes))),
                Work::Flush => self.busy(|| all.try_for_each(Track::flush)),
                Work::End(_) => self.busy(|| all.try_for_each(Track::finish)),
                // What a provider says is told even if every place is taken.
                Work::Heard(track, heard) => Some(tracks[track].told(heard, ending.is_some())),
            };
            self.note(&tracks, ending.is_some());
            done.unwrap_or(Ok(()))?;
            if let Some(reason) = ending
                && tracks.iter().all(Track::is_over)
            {
                self.close(reason);
            }
        }
        Ok(())
    }

    /// What others may see of the tracks. A provider whose end is waited for is busy.
    fn note(&self, tracks: &[Track<'_>], ending: bool) {
        let mut intake = self.intake.lock();
        intake.open_segment = tracks.iter().find_map(Track::open_segment);
        intake.speech_ms = tracks.iter().map(Track::speech_ms).sum();
        intake.busy_since = ending.then(|| self.hub.clock.now());
    }
}

/// What could not be opened could not be loaded, unless the provider says something else.
fn load(kind: FailureKind) -> FailureKind {
    if kind == FailureKind::Failed { FailureKind::Load } else { kind }
}
