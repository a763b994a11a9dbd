//! What a stream's worker has to do next: sound in the order in which it came, flushes between, the end last.

use std::{collections::VecDeque, time::Duration, time::Instant};

use carport_core::Time;
use carport_voice_api::{EndReason, Failure, FailureKind, Heard};
use carport_voice_audio::{Format, Full, Ring};
use chrono::TimeDelta;

use super::arrivals::Arrivals;

/// Sound that is worked on at once.
const PIECE_MS: u64 = 96;
/// What a provider heard and nobody looked at yet; partials beyond that are dropped.
const MOST_HEARD: usize = 1024;
/// Beyond that a provider is taken for one that never stops talking.
const MOST_FINALS: usize = 8 * MOST_HEARD;

/// What came in, and what was asked for.
pub(crate) struct Intake {
    pub(crate) ring: Ring,
    pub(crate) arrivals: Arrivals,
    /// Sample frames that came in, lost ones included, and those that were taken out.
    came: u64,
    taken: u64,
    /// Where the open segment is to end.
    flushes: VecDeque<u64>,
    heard: VecDeque<(usize, Heard)>,
    ending: Option<EndReason>,
    /// Somebody waits for its end.
    stopped: bool,
    closed: bool,
    last_sound: Time,
    /// When its first sample was heard.
    began: Option<Time>,
    /// Since when the worker has been in its provider.
    pub(crate) busy_since: Option<Time>,
    pub(crate) told_slow: bool,
    /// As the worker saw it last.
    pub(crate) open_segment: Option<u64>,
    pub(crate) speech_ms: u64,
    pub(crate) frames: super::binary::Frames,
    /// What [`Self::sums`] was when everything was let go of.
    last_sums: Option<(u64, u64, u64)>,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Work {
    /// Bytes of whole sample frames.
    Sound(Vec<u8>),
    /// The open segment ends here.
    Flush,
    /// What the provider told of a track.
    Heard(usize, Heard),
    /// No more sound comes. Said once.
    End(EndReason),
}

impl Intake {
    pub(crate) fn new(format: Format, now: Time) -> Self {
        Self {
            ring: Ring::new(format, Ring::LIMIT_MS),
            arrivals: Arrivals::default(),
            came: 0,
            taken: 0,
            flushes: VecDeque::new(),
            heard: VecDeque::new(),
            ending: None,
            stopped: false,
            closed: false,
            last_sound: now,
            began: None,
            busy_since: None,
            told_slow: false,
            open_segment: None,
            speech_ms: 0,
            frames: super::binary::Frames::default(),
            last_sums: None,
        }
    }

    pub(crate) fn push(&mut self, pcm: &[u8], now: Time, moment: Instant) -> Result<(), Full> {
        let frames = self.ring.push(pcm)? as u64;
        self.came_in(frames, now, moment);
        Ok(())
    }

    /// Sound that is lost; silence takes its place.
    pub(crate) fn lose(&mut self, frames: u64, now: Time, moment: Instant) {
        self.ring.drop_frames(frames);
        self.came_in(frames, now, moment);
    }

    fn came_in(&mut self, frames: u64, now: Time, moment: Instant) {
        if frames == 0 {
            return;
        }
        self.came += frames;
        self.last_sound = now;
        if self.began.is_none() {
            let length = i64::try_from(self.ring.format().ms(frames)).unwrap_or(0);
            let began = now.checked_sub_signed(TimeDelta::milliseconds(length));
            self.began = Some(began.map_or(now, Time::from));
        }
        self.arrivals.note(self.ring.position_ms(), moment);
    }

    /// When its first sample was heard: a push of a live source comes when its sound is over.
    pub(crate) fn began(&self) -> Option<Time> {
        self.began
    }

    pub(crate) fn flush(&mut self) {
        if self.flushes.back() != Some(&self.came) {
            self.flushes.push_back(self.came);
        }
    }

    pub(crate) fn hear(&mut self, track: usize, heard: Heard) {
        let may_go = matches!(heard, Heard::Partial { .. });
        let waiting = self.heard.len();
        if self.closed || waiting > MOST_FINALS || (may_go && waiting >= MOST_HEARD) {
            return;
        }
        self.heard.push_back(match waiting {
            MOST_FINALS => {
                let why = "the provider tells more than anybody can hear";
                (track, Heard::Failed(Failure::new(FailureKind::Failed, why)))
            }
            _ => (track, heard),
        });
    }

    /// Begins the end; `false` if it had begun.
    pub(crate) fn end(&mut self, reason: EndReason) -> bool {
        if self.is_ending() {
            return false;
        }
        self.ending = Some(reason);
        true
    }

    /// Somebody stops it, and waits; `false` if it is over, or somebody did before. An end that has begun by
    /// itself stays what it is.
    pub(crate) fn stop(&mut self) -> bool {
        if self.closed || self.stopped {
            return false;
        }
        self.stopped = true;
        self.end(EndReason::Stop);
        true
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.closed || self.ending.is_some()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether text may still come of what is there.
    pub(crate) fn has_more(&self) -> bool {
        !self.closed
            && (!self.ring.is_empty() || self.open_segment.is_some() || self.busy_since.is_some())
    }

    /// Whether the worker has nothing else to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.ring.is_empty() && !self.is_pressing()
    }

    /// Whether somebody waits for text that is final.
    pub(crate) fn is_pressing(&self) -> bool {
        !self.flushes.is_empty() || self.ending.is_some()
    }

    /// Lets go of everything.
    pub(crate) fn close(&mut self) {
        self.last_sums = Some(self.sums());
        self.closed = true;
        self.ring = Ring::new(self.ring.format(), 0);
        self.arrivals = Arrivals::default();
        self.heard = VecDeque::new();
        self.flushes = VecDeque::new();
    }

    /// Sound, speech and loss, in milliseconds.
    pub(crate) fn sums(&self) -> (u64, u64, u64) {
        let now = || (self.ring.position_ms(), self.speech_ms, self.ring.dropped_ms());
        self.last_sums.unwrap_or_else(now)
    }

    /// How long ago sound came, how long the worker has been in its provider, and whether that was told.
    pub(crate) fn age(&self, now: Time) -> (Duration, Duration, bool) {
        let since = |then: Time| (*now - *then).to_std().unwrap_or_default();
        let busy = self.busy_since.map_or(Duration::ZERO, since);
        (since(self.last_sound), busy, self.told_slow)
    }

    /// What the worker does next, if there is anything.
    pub(crate) fn next(&mut self) -> Option<Work> {
        if let Some((track, heard)) = self.heard.pop_front() {
            return Some(Work::Heard(track, heard));
        }
        if self.flushes.front().is_some_and(|at| *at <= self.taken) {
            self.flushes.pop_front();
            return Some(Work::Flush);
        }
        let up_to = self.flushes.front().map_or(u64::MAX, |at| at - self.taken);
        let piece = self.ring.format().frames_in(PIECE_MS).min(up_to);
        let mut bytes = Vec::new();
        let frames = self.ring.pull(piece as usize, &mut bytes) as u64;
        self.taken += frames;
        match (frames, self.ending) {
            (0, Some(reason)) if reason != EndReason::Error => {
                // Said once: an ending provider tells the rest by itself.
                self.ending = Some(EndReason::Error);
                Some(Work::End(reason))
            }
            (0, _) => None,
            _ => Some(Work::Sound(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use carport_voice_audio::Encoding;

    use super::*;

    fn intake() -> Intake {
        Intake::new(Format::new(Encoding::S16le, 8000, 2).unwrap(), Time::default())
    }

    #[test]
    fn a_flush_stands_where_it_was_asked_for_and_the_end_is_said_once() {
        let (mut intake, now, moment) = (intake(), Time::default(), Instant::now());
        intake.push(&[1; 400], now, moment).unwrap();
        intake.flush();
        intake.flush();
        assert!(intake.is_pressing());
        intake.push(&[2; 40], now, moment).unwrap();
        intake.lose(10, now, moment);
        assert!(intake.end(EndReason::Idle) && !intake.end(EndReason::Stop));
        intake.hear(0, Heard::Ended);
        let mut work = Vec::new();
        while let Some(next) = intake.next() {
            work.push(next);
        }
        let rest = [vec![2; 40], vec![0; 40]].concat();
        assert_eq!(
            work,
            [
                Work::Heard(0, Heard::Ended),
                Work::Sound(vec![1; 400]),
                Work::Flush,
                Work::Sound(rest),
                Work::End(EndReason::Idle),
            ]
        );
        assert!(intake.is_ending());
    }

    #[test]
    fn it_began_when_the_first_sample_was_heard() {
        let (mut intake, moment) = (intake(), Instant::now());
        let at = |ms| Time::from(*Time::default() + TimeDelta::milliseconds(ms));
        intake.push(&[], at(1000), moment).unwrap();
        assert_eq!(intake.began(), None, "nothing is no sound");
        // 8000 frames of 4 bytes a second.
        intake.push(&[1; 3200], at(5000), moment).unwrap();
        intake.push(&[1; 3200], at(9000), moment).unwrap();
        assert_eq!(intake.began(), Some(at(4900)));
        intake.close();
        assert_eq!(intake.began(), Some(at(4900)));
    }

    #[test]
    fn a_closed_intake_holds_nothing() {
        let (mut intake, now, moment) = (intake(), Time::default(), Instant::now());
        intake.push(&[1; 4000], now, moment).unwrap();
        intake.close();
        assert_eq!((intake.ring.buffered_ms(), intake.sums()), (0, (125, 0, 0)));
        assert_eq!((intake.is_closed(), intake.next()), (true, None));
        assert!(intake.push(&[1; 4], now, moment).is_err());
    }
}
