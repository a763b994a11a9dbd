//! Files of sound: WAV, MP3, FLAC and Ogg Vorbis as mono samples, with bounds against hostile ones.

use std::{
    fs::File,
    io::{self, Cursor},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use symphonia::core::{
    codecs::{
        CodecParameters,
        audio::{AudioDecoder, AudioDecoderOptions},
    },
    errors::Error as Symphonia,
    formats::{FormatOptions, FormatReader, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};
use thiserror::Error;

use crate::{Mix, Resampler, convert::mix_into, format::bounded};

/// Sample rates that a file may have, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 1000..=384_000;
/// Channels that a file may have.
const MAX_CHANNELS: usize = 32;
/// Packets that may be damaged beyond those that are not.
const MAX_DAMAGED: u32 = 16;

/// How large a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub max_bytes: u64,
    /// Milliseconds of its sound.
    pub max_ms: u64,
}

impl Default for Limits {
    /// 512 MiB and 30 minutes.
    fn default() -> Self {
        Self { max_bytes: 512 << 20, max_ms: 30 * 60_000 }
    }
}

/// Why a file gives no sound.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is too large.
    #[error("{bytes} bytes: the limit is {limit} bytes")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What it may be.
        limit: u64,
    },
    /// It is too long.
    #[error("longer than {limit_ms} ms, which is the limit")]
    TooLong {
        /// How long it may be.
        limit_ms: u64,
    },
    /// Neither WAV, MP3, FLAC nor Ogg Vorbis, or of a kind that is not read.
    #[error("no sound that can be read ({0}): send WAV, MP3, FLAC or Ogg Vorbis")]
    Unsupported(String),
    /// It is damaged.
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Reads a file piece by piece.
pub struct Decoder {
    reader: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    track: u32,
    sample_rate: u32,
    limits: Limits,
    frames: u64,
    damaged: u32,
    interleaved: Vec<f32>,
}

impl Decoder {
    /// Opens bytes in memory. `name` helps to tell formats apart by its ending, if there is one.
    pub fn of_bytes(
        bytes: Vec<u8>,
        name: Option<&str>,
        limits: Limits,
    ) -> Result<Self, DecodeError> {
        Self::open(bytes.len() as u64, Box::new(Cursor::new(bytes)), name, limits)
    }

    /// Opens a file. Whether the path may be read is the caller's to check.
    pub fn of_file(path: &Path, limits: Limits) -> Result<Self, DecodeError> {
        let name = path.file_name().and_then(|it| it.to_str());
        Self::of_open(File::open(path)?, name, limits)
    }

    /// Reads a file that is open. `name` as in [`Self::of_bytes`].
    pub fn of_open(file: File, name: Option<&str>, limits: Limits) -> Result<Self, DecodeError> {
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(DecodeError::Unsupported("not a regular file".into()));
        }
        Self::open(facts.len(), Box::new(file), name, limits)
    }

    fn open(
        bytes: u64,
        source: Box<dyn MediaSource>,
        name: Option<&str>,
        limits: Limits,
    ) -> Result<Self, DecodeError> {
        if bytes > limits.max_bytes {
            return Err(DecodeError::TooLarge { bytes, limit: limits.max_bytes });
        }
        let mut hint = Hint::new();
        if let Some((_, ending)) = name.and_then(|it| it.rsplit_once('.')) {
            hint.with_extension(ending);
        }
        careful(|| {
            let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
            let (format, meta) = (FormatOptions::default(), MetadataOptions::default());
            let reader = symphonia::default::get_probe().probe(&hint, stream, format, meta);
            Self::begin(reader.map_err(unsupported)?, limits)
        })
    }

    fn begin(reader: Box<dyn FormatReader>, limits: Limits) -> Result<Self, DecodeError> {
        let missing = |what: &str| DecodeError::Unsupported(what.into());
        let track =
            reader.default_track(TrackType::Audio).ok_or_else(|| missing("no sound in it"))?;
        let id = track.id;
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
            return Err(missing("no description of its sound"));
        };
        let rate = parameters.sample_rate.filter(|it| RATES.contains(it));
        let sample_rate = rate.ok_or_else(|| missing("no sample rate of 1000 to 384000 Hz"))?;
        let registry = symphonia::default::get_codecs();
        let codec = registry.make_audio_decoder(parameters, &AudioDecoderOptions::default());
        let codec = codec.map_err(unsupported)?;
        let (frames, damaged, interleaved) = (0, 0, Vec::new());
        Ok(Self { reader, codec, track: id, sample_rate, limits, frames, damaged, interleaved })
    }

    /// The file's own sample rate, in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Appends the next piece, mixed down to mono; `false` at the end. After an error there is no more.
    pub fn next(&mut self, out: &mut Vec<f32>) -> Result<bool, DecodeError> {
        careful(|| self.packet(out))
    }

    fn packet(&mut self, out: &mut Vec<f32>) -> Result<bool, DecodeError> {
        let packet = match self.reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) | Err(Symphonia::ResetRequired) => return self.end(),
            // A file that was cut off holds what it holds.
            Err(Symphonia::IoError(why)) if why.kind() == io::ErrorKind::UnexpectedEof => {
                return self.end();
            }
            Err(why) => return Err(damaged(why)),
        };
        if packet.track_id != self.track {
            return Ok(true);
        }
        let sound = match self.codec.decode(&packet) {
            Ok(sound) => sound,
            Err(why @ (Symphonia::DecodeError(_) | Symphonia::IoError(_))) => {
                self.damaged += 1;
                return if self.damaged > MAX_DAMAGED { Err(damaged(why)) } else { Ok(true) };
            }
            Err(why) => return Err(damaged(why)),
        };
        let (rate, channels) = (sound.spec().rate(), sound.spec().channels().count());
        if rate != self.sample_rate || !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(DecodeError::Damaged("rate or channels change within the file".into()));
        }
        self.damaged = self.damaged.saturating_sub(1);
        self.frames += sound.frames() as u64;
        if self.frames > self.limits.max_ms * u64::from(rate) / 1000 {
            return Err(DecodeError::TooLong { limit_ms: self.limits.max_ms });
        }
        self.interleaved.clear();
        sound.copy_to_vec_interleaved(&mut self.interleaved);
        for sample in &mut self.interleaved {
            *sample = bounded(*sample);
        }
        mix_into(&self.interleaved, channels, Mix::Down, out);
        Ok(true)
    }

    fn end(&self) -> Result<bool, DecodeError> {
        match self.frames {
            0 if self.damaged > 0 => Err(DecodeError::Damaged("no packet can be read".into())),
            _ => Ok(false),
        }
    }
}

/// All that is left of a file, at 16 kHz. At most `max_ms` of [`Limits`], so 115 MB for 30 minutes.
pub fn mono_16k(mut decoder: Decoder) -> Result<Vec<f32>, DecodeError> {
    let mut resampler = Resampler::new(decoder.sample_rate());
    let (mut piece, mut out) = (Vec::new(), Vec::new());
    while decoder.next(&mut piece)? {
        resampler.push(&piece, &mut out);
        piece.clear();
    }
    resampler.flush(&mut out);
    Ok(out)
}

/// Parsers of others read what strangers send: should one panic, it is the file's fault.
fn careful<T>(read: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(DecodeError::Damaged("the file confuses its parser".into())))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unsupported(why: Symphonia) -> DecodeError {
    DecodeError::Unsupported(why.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn damaged(why: Symphonia) -> DecodeError {
    DecodeError::Damaged(why.to_string())
}
