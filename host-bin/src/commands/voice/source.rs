//! Sound on this side, in pieces: a WAV file, or raw samples on standard input.

use std::{
    fs::File,
    io::{self, BufReader, Read},
};

use hound::{SampleFormat, WavReader};
use tokio::sync::mpsc;

use crate::exit::Exit;

/// How long a piece sounds.
pub(in crate::commands) const PIECE_MS: u64 = 100;
/// Pieces that are read ahead.
const AHEAD: usize = 8;
/// Samples a second on standard input.
const RAW_RATE: u32 = 16_000;

/// What the pieces are, as the daemon calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) struct Format {
    pub(in crate::commands) rate: u32,
    pub(in crate::commands) channels: u16,
    pub(in crate::commands) name: &'static str,
    /// Bytes of a sample.
    width: usize,
}

impl Format {
    /// Bytes of a piece.
    fn piece(self) -> usize {
        let frames = (u64::from(self.rate) * PIECE_MS / 1000) as usize;
        frames * usize::from(self.channels) * self.width
    }
}

/// Sound that is open.
pub(in crate::commands) struct Source {
    format: Format,
    bytes: Box<dyn Read + Send>,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
enum SourceError {
    #[error("{0}; WAV files are taken; `carport voice transcribe` takes others too")]
    NoWav(hound::Error),
    #[error("{0}-bit {1} samples; 16-bit and 32-bit float samples are taken")]
    Samples(u16, &'static str),
}

impl Source {
    /// Opens a file, or standard input for `-`.
    pub(in crate::commands) fn open(from: &str) -> Result<Self, Exit> {
        if from == "-" {
            let format = Format { rate: RAW_RATE, channels: 1, name: "s16le", width: 2 };
            return Ok(Self { format, bytes: Box::new(io::stdin()) });
        }
        let file = File::open(from).map_err(|error| Exit::failed(format!("{from}: {error}")))?;
        Self::wav(BufReader::new(file)).map_err(|error| Exit::usage(format!("{from}: {error}")))
    }

    fn wav(file: impl Read + Send + 'static) -> Result<Self, SourceError> {
        let reader = WavReader::new(file).map_err(SourceError::NoWav)?;
        let spec = reader.spec();
        let (name, width) = match (spec.sample_format, spec.bits_per_sample) {
            (SampleFormat::Int, 16) => ("s16le", 2),
            (SampleFormat::Float, 32) => ("f32le", 4),
            (SampleFormat::Int, bits) => return Err(SourceError::Samples(bits, "integer")),
            (SampleFormat::Float, bits) => return Err(SourceError::Samples(bits, "float")),
        };
        let length = u64::from(reader.len()) * width as u64;
        let format = Format { rate: spec.sample_rate, channels: spec.channels, name, width };
        // Past its header a file holds just what the daemon takes.
        Ok(Self { format, bytes: Box::new(reader.into_inner().take(length)) })
    }

    pub(in crate::commands) fn format(&self) -> Format {
        self.format
    }

    /// Reads on a thread of its own; standard input may never end.
    pub(in crate::commands) fn pieces(mut self) -> mpsc::Receiver<io::Result<Vec<u8>>> {
        let (send, pieces) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            while let Some(piece) = self.next().transpose() {
                let failed = piece.is_err();
                if send.blocking_send(piece).is_err() || failed {
                    break;
                }
            }
        });
        pieces
    }

    /// The next piece; a shorter one at the end, without what is no whole frame.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut piece = Vec::with_capacity(self.format.piece());
        (&mut self.bytes).take(self.format.piece() as u64).read_to_end(&mut piece)?;
        let frame = self.format.width * usize::from(self.format.channels);
        piece.truncate(piece.len() / frame * frame);
        Ok((!piece.is_empty()).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use hound::{WavSpec, WavWriter};

    use super::*;

    fn wav(bits: u16, channels: u16, samples: usize) -> Cursor<Vec<u8>> {
        let mut file = Cursor::new(Vec::new());
        let sample_format = SampleFormat::Int;
        let spec = WavSpec { channels, sample_rate: 8000, bits_per_sample: bits, sample_format };
        let mut writer = WavWriter::new(&mut file, spec).unwrap();
        (0..samples).for_each(|it| writer.write_sample(it as i8).unwrap());
        writer.finalize().unwrap();
        Cursor::new(file.into_inner())
    }

    #[test]
    fn a_file_comes_in_pieces_without_its_header() {
        let mut source = Source::wav(wav(16, 2, 2000)).unwrap_or_else(|it| panic!("{it}"));
        let format = source.format();
        assert_eq!((format.rate, format.channels, format.name), (8000, 2, "s16le"));
        let first = source.next().unwrap().unwrap();
        assert_eq!((first.len(), &first[..4]), (3200, &[0, 0, 1, 0][..]));
        assert_eq!(source.next().unwrap().unwrap().len(), 800);
        assert_eq!(source.next().unwrap(), None);
    }

    #[test]
    fn what_is_not_taken_says_what_is() {
        let told = |it: Cursor<Vec<u8>>| Source::wav(it).err().map(|it| it.to_string());
        assert!(told(wav(8, 1, 10)).unwrap().contains("8-bit integer"));
        assert!(told(Cursor::new(b"OggS".to_vec())).unwrap().contains("WAV files are taken"));
    }
}
