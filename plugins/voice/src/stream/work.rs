//! A stream's worker: one thread that opens the provider and does what the intake holds.

use std::{
    cell::Cell,
    sync::{Arc, PoisonError},
};

use carport_voice_api::{Caps, EndReason, Event, Failure, FailureKind, Recogniser, SpeechToText};

use super::{Stream, intake::Work, track::Track};
use crate::slots::Need;

impl Stream {
    /// What the thread does from its beginning to its end.
    pub(super) fn work(self: &Arc<Self>, provider: &dyn SpeechToText, caps: Caps) {
        let Some(opened) = self.busy(|| self.recognisers(provider)) else { return };
        self.at_work(false);
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

    /// Does model work that somebody waits for in one of the places for it; `None` if nobody wants it any more.
    pub(super) fn busy<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.begin(Need::Now).then(|| {
            let made = work();
            self.done();
            made
        })
    }

    /// Takes a place for model work; `false` if there is none for it, or nobody wants it any more.
    pub(super) fn begin(&self, need: Need<'_>) -> bool {
        let spare = match need {
            Need::Spare(stop) => Some(stop.clone()),
            Need::Now | Need::Later => None,
        };
        let is_spare = spare.is_some();
        // Known before anybody is asked, so that whoever ends the segment meanwhile calls it off.
        *self.spare.lock() = spare;
        let unwanted = || {
            let intake = self.intake.lock();
            intake.is_closed() || (is_spare && intake.is_pressing())
        };
        if unwanted() {
            return false;
        }
        // Who waits for a place does not hang.
        self.at_work(false);
        let permit = self.hub.slots.take(need, self.waits, unwanted);
        let has_place = permit.is_some();
        *self.permit.lock() = permit;
        self.at_work(true);
        has_place
    }

    /// The model work is done.
    pub(super) fn done(&self) {
        *self.spare.lock() = None;
        drop(self.permit.lock().take());
        self.at_work(true);
    }

    /// Whether it is in the provider's code from now on.
    fn at_work(&self, is: bool) {
        let mut intake = self.intake.lock();
        intake.busy_since = is.then(|| self.hub.clock.now());
        intake.told_slow = false;
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
            self.at_work(true);
            let mut all = tracks.iter_mut();
            let done = match work {
                Work::Sound(bytes) => all.try_for_each(|it| it.hear(&bytes)),
                Work::Flush => all.try_for_each(Track::flush),
                Work::End(_) => all.try_for_each(Track::finish),
                Work::Heard(track, heard) => tracks[track].told(heard, ending.is_some()),
            };
            self.note(&tracks, ending.is_some());
            done?;
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
        (intake.busy_since, intake.told_slow) = (ending.then(|| self.hub.clock.now()), false);
    }
}

/// What could not be opened could not be loaded, unless the provider says something else.
fn load(kind: FailureKind) -> FailureKind {
    if kind == FailureKind::Failed { FailureKind::Load } else { kind }
}
