//! Sound on this side, in pieces: a file of sound, or raw samples on standard input.

use std::{
    io::{self, Read},
    path::Path,
};

use carport_voice_audio::{DecodeError, Decoder, Limits, RATE, Resampler, pcm_s16le};
use tokio::sync::mpsc;

use crate::exit::Exit;

/// How long a piece sounds.
pub(super) const PIECE_MS: u64 = 100;
/// Samples of a piece.
const PIECE: usize = (RATE as u64 * PIECE_MS / 1000) as usize;
/// Bytes of a sample.
const WIDTH: usize = 2;
/// Pieces that are read ahead.
const AHEAD: usize = 8;
/// Nothing of a file is held but the piece that is read, so a day of sound may come.
const LIMITS: Limits = Limits { max_bytes: 64 << 30, max_ms: 24 * 3_600_000 };

/// Sound that is open. Its pieces are 16-bit samples at 16 kHz, one channel.
pub(in crate::commands) enum Source {
    /// WAV, MP3, FLAC or Ogg Vorbis.
    File(Box<Decoder>),
    /// Samples as the pieces have them.
    Raw(Box<dyn Read + Send>),
}

/// Why no more sound comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("{0}")]
    File(#[from] DecodeError),
    #[error("{0}")]
    Raw(#[from] io::Error),
}

/// Takes a piece; `false` if nobody wants more.
type Take<'a> = &'a mut dyn FnMut(Vec<u8>) -> bool;

impl Source {
    /// Opens a file, or standard input for `-`.
    pub(in crate::commands) fn open(from: &str) -> Result<Self, Exit> {
        if from == "-" {
            return Ok(Self::Raw(Box::new(io::stdin())));
        }
        let decoder = Decoder::of_file(Path::new(from), LIMITS);
        let decoder = decoder.map_err(|error| Exit::failed(format!("{from}: {error}")))?;
        Ok(Self::File(Box::new(decoder)))
    }

    /// Reads on a thread of its own; standard input may never end.
    pub(super) fn pieces(self) -> mpsc::Receiver<Result<Vec<u8>, SourceError>> {
        let (send, pieces) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let read = self.read(&mut |piece| send.blocking_send(Ok(piece)).is_ok());
            if let Err(error) = read {
                // Whoever left wants no error either.
                let _ = send.blocking_send(Err(error));
            }
        });
        pieces
    }

    fn read(self, take: Take<'_>) -> Result<(), SourceError> {
        match self {
            Self::File(decoder) => decode(*decoder, take),
            Self::Raw(bytes) => raw(bytes, take),
        }
    }
}

fn decode(mut decoder: Decoder, take: Take<'_>) -> Result<(), SourceError> {
    let mut resampler = Resampler::new(decoder.sample_rate());
    let (mut read, mut samples) = (Vec::new(), Vec::new());
    loop {
        read.clear();
        let is_more = decoder.next(&mut read)?;
        resampler.push(&read, &mut samples);
        if !is_more {
            resampler.flush(&mut samples);
        }
        let whole = if is_more { samples.len() / PIECE * PIECE } else { samples.len() };
        if !samples[..whole].chunks(PIECE).all(|piece| take(pcm_s16le(piece))) || !is_more {
            return Ok(());
        }
        samples.drain(..whole);
    }
}

/// The last piece is shorter, and without what is no whole sample.
fn raw(mut bytes: impl Read, take: Take<'_>) -> Result<(), SourceError> {
    loop {
        let mut piece = Vec::with_capacity(PIECE * WIDTH);
        (&mut bytes).take((PIECE * WIDTH) as u64).read_to_end(&mut piece)?;
        piece.truncate(piece.len() / WIDTH * WIDTH);
        if piece.is_empty() || !take(piece) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use carport_voice_audio::wav;

    use super::*;

    fn pieces(source: Source) -> Vec<usize> {
        let mut lengths = Vec::new();
        source
            .read(&mut |piece| {
                lengths.push(piece.len());
                true
            })
            .unwrap();
        lengths
    }

    #[test]
    fn a_file_of_any_rate_comes_in_pieces_of_one_kind() {
        for rate in [8000, 16_000, 44_100] {
            let file = wav(&vec![0.25; rate as usize / 4], rate).unwrap();
            let decoder = Decoder::of_bytes(file, None, LIMITS).unwrap();
            assert_eq!(pieces(Source::File(Box::new(decoder))), [3200, 3200, 1600], "{rate}");
        }
    }

    #[test]
    fn raw_samples_end_with_a_whole_one() {
        let raw = |bytes| pieces(Source::Raw(Box::new(Cursor::new(vec![0; bytes]))));
        assert_eq!(raw(3200 + 7), [3200, 6]);
        assert_eq!((raw(1), raw(0)), (vec![], vec![]));
    }

    #[test]
    fn nobody_reads_on_for_who_has_left() {
        let mut taken = 0;
        let endless = Source::Raw(Box::new(io::repeat(0)));
        endless
            .read(&mut |_| {
                taken += 1;
                taken < 3
            })
            .unwrap();
        assert_eq!(taken, 3);
    }

    #[test]
    fn what_is_no_sound_is_named() {
        let error = Source::open("/no/such/file.wav").err().unwrap();
        assert!(error.message.starts_with("/no/such/file.wav: "), "{error}");
        let error = Source::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).err().unwrap();
        assert!(error.message.contains("WAV, MP3, FLAC or Ogg Vorbis"), "{error}");
    }
}
