//! Sound in binary frames: the header, the numbers of the frames, and what is said of those that do not fit.

use std::time::{Duration, Instant};

use carport_core::Bytes;
use carport_voice_api::WarningCode;
use carport_voice_audio::{Encoding, Full};

use super::{MAX_PUSH, Stream};
use crate::ids;

/// Bytes before the payload.
pub(crate) const HEADER: usize = 26;
/// The type byte of sound in.
pub(crate) const SOUND_IN: u8 = 0x01;
/// A warning of one kind is said no more often.
const QUIET: Duration = Duration::from_secs(1);

/// A frame of sound.
pub(crate) struct SoundFrame {
    pub(crate) id: [u8; ids::RAW],
    seq: u64,
    payload: Bytes,
}

impl SoundFrame {
    /// Reads a frame; `None` if it is too short or of another type.
    pub(crate) fn read(frame: &Bytes) -> Option<Self> {
        let (header, _) = frame.split_at_checked(HEADER)?;
        let id = header[1..17].try_into().ok()?;
        let seq = u64::from_le_bytes(header[17..25].try_into().ok()?);
        (header[0] == SOUND_IN).then(|| Self { id, seq, payload: frame.slice(HEADER..) })
    }
}

/// What is known of the frames of a stream.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    last: Option<u64>,
    overrun: Quiet,
    bad: Quiet,
    gap: Quiet,
    ignored: Quiet,
    /// Loss that was not told yet.
    untold: u64,
}

/// Where a frame stands among the others.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Next,
    AfterAGap,
    Late,
}

impl Frames {
    fn place(&mut self, seq: u64) -> Place {
        let place = match self.last {
            Some(last) if seq <= last => return Place::Late,
            Some(last) if seq > last + 1 => Place::AfterAGap,
            _ => Place::Next,
        };
        self.last = Some(seq);
        place
    }
}

/// When something was said last.
#[derive(Debug, Default)]
struct Quiet(Option<Instant>);

impl Quiet {
    fn may_speak(&mut self, now: Instant) -> bool {
        let may = self.0.is_none_or(|then| now.saturating_duration_since(then) >= QUIET);
        if may {
            self.0 = Some(now);
        }
        may
    }
}

impl Stream {
    /// Takes a frame, or drops it with a warning.
    pub(crate) fn take_frame(&self, frame: &SoundFrame) {
        let (payload, now) = (&frame.payload, Instant::now());
        let fits = self.is_pushed()
            && self.format.encoding() == Encoding::S16le
            && payload.len() <= MAX_PUSH
            && self.format.frames(payload).is_ok();
        let may_send = !fits || self.admit(payload.len()).is_ok();
        let mut intake = self.intake.lock();
        if intake.is_ending() {
            drop(intake);
            self.hub.counts.ignored.inc();
            return;
        }
        let mut warnings = Vec::new();
        let place = intake.frames.place(frame.seq);
        if place == Place::AfterAGap && intake.frames.gap.may_speak(now) {
            let why = format!("frames before {} are missing", frame.seq);
            warnings.push((WarningCode::ClockGap, why, None));
        }
        if place == Place::Late {
            self.hub.counts.ignored.inc();
            if intake.frames.ignored.may_speak(now) {
                let why = format!("frame {} came twice or late", frame.seq);
                warnings.push((WarningCode::FramesIgnored, why, None));
            }
        } else if fits {
            warnings.extend(self.put(&mut intake, payload, may_send, now));
        } else if intake.frames.bad.may_speak(now) {
            let why = "a binary frame holds at most 1 MiB of whole s16le sample frames for a \
                       pcm_push stream of s16le";
            warnings.push((WarningCode::BadFrame, why.to_owned(), None));
        }
        drop(intake);
        self.changed.notify_all();
        for (code, message, dropped_ms) in warnings {
            self.warn(code, message, dropped_ms);
        }
    }

    /// Puts the sound in, or silence where it has no room.
    fn put(
        &self,
        intake: &mut super::intake::Intake,
        payload: &[u8],
        may_send: bool,
        now: Instant,
    ) -> Option<(WarningCode, String, Option<u64>)> {
        let time = self.hub.clock.now();
        let lost = match may_send.then(|| intake.push(payload, time, now)) {
            Some(Ok(())) => None,
            Some(Err(Full::Busy { limit_ms, .. })) => {
                Some(format!("{limit_ms} ms of sound wait already"))
            }
            Some(Err(full)) => Some(full.to_string()),
            None => Some("more than 2 MiB of sound a second".into()),
        };
        if lost.is_some() {
            let frames = (payload.len() / self.format.frame_bytes()) as u64;
            intake.lose(frames, time, now);
            intake.frames.untold += frames;
        }
        // What was lost while nothing could be said is said as soon as it can.
        if intake.frames.untold == 0 || !intake.frames.overrun.may_speak(now) {
            return None;
        }
        let dropped = std::mem::take(&mut intake.frames.untold);
        let why = lost.unwrap_or_else(|| "more was lost within a second".into());
        Some((WarningCode::Overrun, why, Some(self.format.ms(dropped))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_byte_for_byte() {
        let hex = "010190c5e2a7b47cc08b1d2e3f40516273050000000000000000";
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
        let mut bytes: Vec<u8> = bytes.map(Result::unwrap).collect();
        bytes.extend([7, 8]);
        let frame = SoundFrame::read(&Bytes::from(bytes.clone())).unwrap();
        assert_eq!(ids::of_raw(frame.id), "0190c5e2a7b47cc08b1d2e3f40516273");
        assert_eq!((frame.seq, &frame.payload[..]), (5, &[7, 8][..]));
        assert!(SoundFrame::read(&Bytes::from(bytes[..25].to_vec())).is_none());
        bytes[0] = 2;
        assert!(SoundFrame::read(&Bytes::from(bytes)).is_none());
    }

    #[test]
    fn numbers_may_start_anywhere_and_must_grow() {
        let mut frames = Frames::default();
        let places = [7, 8, 8, 3, 11, 12, u64::MAX].map(|seq| frames.place(seq));
        use Place::*;
        assert_eq!(places, [Next, Next, Late, Late, AfterAGap, Next, AfterAGap]);
    }
}
