//! Sound that waits for its worker: bounded, refused whole when full, with silence for what was lost.

use std::collections::VecDeque;

use thiserror::Error;

use crate::{Format, FormatError};

/// Why a push was refused. Nothing of it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Full {
    /// The bytes end within a sample frame.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// It does not fit now.
    #[error(
        "{buffered_ms} ms of sound wait already, and no more than {limit_ms} ms may: push again later"
    )]
    Busy {
        /// What waits.
        buffered_ms: u64,
        /// What may wait.
        limit_ms: u64,
        /// It fits after so much sound was taken out.
        retry_after_ms: u64,
    },
    /// It never fits.
    #[error(
        "{ms} ms of sound at once, and no more than {limit_ms} ms may wait: push shorter pieces"
    )]
    TooLong {
        /// How long it is.
        ms: u64,
        /// What may wait.
        limit_ms: u64,
    },
}

/// A stretch of the stream.
enum Stretch {
    /// Frames that wait in the bytes.
    Sound(u64),
    /// Frames that were lost; they need no room.
    Silence(u64),
}

/// A queue of raw sound. Only what waits takes memory; frames are converted by who takes them out.
pub struct Ring {
    format: Format,
    limit_ms: u64,
    bytes: VecDeque<u8>,
    stretches: VecDeque<Stretch>,
    /// Frames since the first one, lost ones included.
    position: u64,
    dropped: u64,
}

impl Ring {
    /// What a stream may have waiting, in milliseconds.
    pub const LIMIT_MS: u64 = 60_000;

    /// An empty ring for `limit_ms` of sound.
    pub fn new(format: Format, limit_ms: u64) -> Self {
        let (bytes, stretches) = (VecDeque::new(), VecDeque::new());
        Self { format, limit_ms, bytes, stretches, position: 0, dropped: 0 }
    }

    /// Takes the bytes in, whole or not at all; gives the number of frames.
    pub fn push(&mut self, bytes: &[u8]) -> Result<usize, Full> {
        let frames = self.format.frames(bytes)?;
        let (limit, waiting) = (self.format.frames_in(self.limit_ms), self.waiting());
        if frames as u64 > limit {
            let ms = self.format.ms(frames as u64);
            return Err(Full::TooLong { ms, limit_ms: self.limit_ms });
        }
        let over = (waiting + frames as u64).saturating_sub(limit);
        if over > 0 {
            return Err(Full::Busy {
                buffered_ms: self.buffered_ms(),
                limit_ms: self.limit_ms,
                retry_after_ms: self.format.ms(over) + 1,
            });
        }
        self.bytes.extend(bytes);
        self.position += frames as u64;
        match self.stretches.back_mut() {
            Some(Stretch::Sound(last)) => *last += frames as u64,
            _ if frames > 0 => self.stretches.push_back(Stretch::Sound(frames as u64)),
            _ => {}
        }
        Ok(frames)
    }

    /// Frames that are lost: the clock goes on, and silence takes their place.
    pub fn drop_frames(&mut self, frames: u64) {
        self.position += frames;
        self.dropped += frames;
        match self.stretches.back_mut() {
            Some(Stretch::Silence(last)) => *last += frames,
            _ if frames > 0 => self.stretches.push_back(Stretch::Silence(frames)),
            _ => {}
        }
    }

    /// Appends the bytes of at most so many frames, oldest first; gives how many there were.
    pub fn pull(&mut self, frames: usize, out: &mut Vec<u8>) -> usize {
        let mut left = frames as u64;
        while left > 0 {
            let Some(stretch) = self.stretches.front_mut() else { break };
            let (Stretch::Sound(count) | Stretch::Silence(count)) = stretch;
            let taken = left.min(*count);
            *count -= taken;
            let done = *count == 0;
            match stretch {
                Stretch::Sound(_) => {
                    let bytes = taken as usize * self.format.frame_bytes();
                    out.extend(self.bytes.drain(..bytes));
                }
                Stretch::Silence(_) => self.format.silence(taken as usize, out),
            }
            if done {
                self.stretches.pop_front();
            }
            left -= taken;
        }
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
        frames - left as usize
    }

    /// Nothing waits, neither sound nor silence.
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// How much sound waits.
    pub fn buffered_ms(&self) -> u64 {
        self.format.ms(self.waiting())
    }

    /// How far the stream is, from its first sample to the last that came in or was lost.
    pub fn position_ms(&self) -> u64 {
        self.format.ms(self.position)
    }

    /// How much was lost.
    pub fn dropped_ms(&self) -> u64 {
        self.format.ms(self.dropped)
    }

    /// The format of what waits.
    pub fn format(&self) -> Format {
        self.format
    }

    fn waiting(&self) -> u64 {
        (self.bytes.len() / self.format.frame_bytes()) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Encoding;

    fn format() -> Format {
        Format::new(Encoding::S16le, 8000, 1).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut ring = Ring::new(format(), 1000);
        assert_eq!(ring.push(&vec![1; 16_000 - 2]), Ok(7999));
        let refused = Full::Busy { buffered_ms: 999, limit_ms: 1000, retry_after_ms: 2 };
        assert_eq!(ring.push(&[1; 32]), Err(refused));
        assert_eq!((ring.buffered_ms(), ring.position_ms()), (999, 999));
        assert_eq!(ring.push(&[1; 2]), Ok(1));
        assert_eq!(ring.push(&[]), Ok(0));
        assert_eq!(ring.push(&[1; 16_002]), Err(Full::TooLong { ms: 1000, limit_ms: 1000 }));
        let partial = FormatError::Partial { bytes: 3, frame: 2 };
        assert_eq!(ring.push(&[1; 3]), Err(Full::Format(partial)));
        ring.pull(8000, &mut Vec::new());
        assert_eq!(ring.push(&[1; 16_000]), Ok(8000));
    }

    #[test]
    fn lost_frames_are_silent_and_need_no_room() {
        let mut ring = Ring::new(format(), 1000);
        ring.push(&[1; 4]).unwrap();
        ring.drop_frames(3);
        ring.push(&[2; 2]).unwrap();
        ring.drop_frames(u64::from(u32::MAX));
        assert_eq!((ring.buffered_ms(), ring.dropped_ms()), (0, ring.format().ms(0x1_0000_0002)));
        let mut out = Vec::new();
        assert_eq!(ring.pull(7, &mut out), 7);
        assert_eq!(out, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0]);
        assert!(!ring.is_empty());
        assert!(ring.bytes.capacity() == 0, "an idle stream keeps no memory");
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in(
            steps in prop::collection::vec((0u8..3, 0usize..3000), 1..60),
        ) {
            let mut ring = Ring::new(format(), 500);
            let (mut model, mut got, mut next) = (Vec::new(), Vec::new(), 0u8);
            for (what, count) in steps {
                match what {
                    0 => {
                        next = next.wrapping_add(1).max(1);
                        let bytes = vec![next; count * 2];
                        let fits = ring.waiting() + count as u64 <= 4000;
                        prop_assert_eq!(ring.push(&bytes).is_ok(), fits);
                        if fits { model.extend(bytes) }
                    }
                    1 => {
                        ring.drop_frames(count as u64);
                        model.resize(model.len() + count * 2, 0);
                    }
                    _ => { ring.pull(count, &mut got); }
                }
                prop_assert_eq!(ring.position, model.len() as u64 / 2);
                prop_assert!(ring.buffered_ms() <= 500);
            }
            ring.pull(usize::MAX, &mut got);
            prop_assert!(ring.is_empty());
            prop_assert_eq!(got, model);
        }
    }
}
