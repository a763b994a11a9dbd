//! What a client's bytes mean: encoding, sample rate, channels.

use std::fmt;

use thiserror::Error;

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 16 bit signed, little endian.
    S16le,
    /// 32 bit float, little endian, full scale at -1 and 1.
    F32le,
    /// G.711 mu-law, one byte.
    Mulaw,
}

impl Encoding {
    /// Bytes of one sample.
    pub const fn width(self) -> usize {
        match self {
            Self::S16le => 2,
            Self::F32le => 4,
            Self::Mulaw => 1,
        }
    }

    /// The byte that silence is made of.
    const fn silence(self) -> u8 {
        match self {
            Self::Mulaw => 0xff,
            Self::S16le | Self::F32le => 0,
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S16le => "s16le",
            Self::F32le => "f32le",
            Self::Mulaw => "mulaw",
        }
    }

    /// The encoding with this name on the wire.
    pub fn named(name: &str) -> Option<Self> {
        [Self::S16le, Self::F32le, Self::Mulaw].into_iter().find(|it| it.name() == name)
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes are no sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Out of 8000..=48000 Hz.
    #[error("{0} Hz: the limit is {min} to {max} Hz", min = Format::MIN_RATE, max = Format::MAX_RATE)]
    Rate(u32),
    /// Neither mono nor stereo.
    #[error("{0} channels: send 1 or 2")]
    Channels(u16),
    /// The bytes end within a sample frame.
    #[error(
        "{bytes} bytes are no whole number of sample frames of {frame} bytes: send whole frames"
    )]
    Partial {
        /// What was given.
        bytes: usize,
        /// What it must be a multiple of.
        frame: usize,
    },
}

/// A format that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    encoding: Encoding,
    sample_rate: u32,
    channels: u16,
}

impl Format {
    /// The slowest sample rate that is taken, in Hz.
    pub const MIN_RATE: u32 = 8_000;
    /// The fastest sample rate that is taken, in Hz.
    pub const MAX_RATE: u32 = 48_000;

    /// Fails for a rate outside of 8000..=48000 Hz and for other than 1 or 2 channels.
    pub fn new(encoding: Encoding, sample_rate: u32, channels: u16) -> Result<Self, FormatError> {
        if !(Self::MIN_RATE..=Self::MAX_RATE).contains(&sample_rate) {
            return Err(FormatError::Rate(sample_rate));
        }
        match channels {
            1 | 2 => Ok(Self { encoding, sample_rate, channels }),
            _ => Err(FormatError::Channels(channels)),
        }
    }

    /// How a sample is written.
    pub const fn encoding(self) -> Encoding {
        self.encoding
    }

    /// Frames a second.
    pub const fn sample_rate(self) -> u32 {
        self.sample_rate
    }

    /// 1 or 2.
    pub const fn channels(self) -> u16 {
        self.channels
    }

    /// Bytes of one sample frame: a sample of each channel.
    pub const fn frame_bytes(self) -> usize {
        self.encoding.width() * self.channels as usize
    }

    /// How many sample frames the bytes hold; fails if they end within one.
    pub fn frames(self, bytes: &[u8]) -> Result<usize, FormatError> {
        let frame = self.frame_bytes();
        match bytes.len() % frame {
            0 => Ok(bytes.len() / frame),
            _ => Err(FormatError::Partial { bytes: bytes.len(), frame }),
        }
    }

    /// How long so many frames last, in whole milliseconds, rounded down.
    pub const fn ms(self, frames: u64) -> u64 {
        frames.saturating_mul(1000) / self.sample_rate as u64
    }

    /// How many whole frames fit into a time.
    pub const fn frames_in(self, ms: u64) -> u64 {
        ms.saturating_mul(self.sample_rate as u64) / 1000
    }

    /// Appends silent frames.
    pub(crate) fn silence(self, frames: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + frames * self.frame_bytes(), self.encoding.silence());
    }

    /// Appends the samples, channels interleaved, each within -1..=1. What is no number becomes silence.
    pub(crate) fn samples(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self.encoding {
            Encoding::S16le => out.extend(
                bytes.as_chunks().0.iter().map(|it| f32::from(i16::from_le_bytes(*it)) / 32_768.0),
            ),
            Encoding::F32le => {
                out.extend(bytes.as_chunks().0.iter().map(|it| bounded(f32::from_le_bytes(*it))));
            }
            Encoding::Mulaw => out.extend(bytes.iter().map(|it| mulaw(*it))),
        }
    }
}

/// Within -1..=1; what is no number is silence.
pub(crate) fn bounded(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) }
}

/// One sample of G.711 mu-law (ITU-T G.711, table 2a), full scale at 1.
fn mulaw(byte: u8) -> f32 {
    let byte = !byte;
    let exponent = (byte >> 4) & 7;
    let magnitude = (((i16::from(byte & 15) << 3) + 132) << exponent) - 132;
    f32::from(if byte & 0x80 == 0 { magnitude } else { -magnitude }) / 32_768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_channels_have_bounds() {
        assert_eq!(Format::new(Encoding::S16le, 7999, 1), Err(FormatError::Rate(7999)));
        assert_eq!(Format::new(Encoding::S16le, 48_001, 1), Err(FormatError::Rate(48_001)));
        assert_eq!(Format::new(Encoding::S16le, 8000, 3), Err(FormatError::Channels(3)));
        assert_eq!(Format::new(Encoding::S16le, 8000, 0), Err(FormatError::Channels(0)));
        let told = FormatError::Rate(7999).to_string();
        assert_eq!(told, "7999 Hz: the limit is 8000 to 48000 Hz");
    }

    #[test]
    fn bytes_must_hold_whole_frames() {
        for (encoding, channels, frame) in
            [(Encoding::S16le, 1, 2), (Encoding::S16le, 2, 4), (Encoding::F32le, 2, 8)]
        {
            let format = Format::new(encoding, 16_000, channels).unwrap();
            assert_eq!(format.frames(&vec![0; frame * 3]), Ok(3));
            assert_eq!(format.frames(&[]), Ok(0));
            for odd in 1..frame {
                let bytes = vec![0; frame * 3 + odd];
                assert_eq!(
                    format.frames(&bytes),
                    Err(FormatError::Partial { bytes: bytes.len(), frame })
                );
            }
        }
    }

    #[test]
    fn mu_law_follows_the_table_of_g711() {
        let decoded = |byte| (mulaw(byte) * 32_768.0) as i32;
        let table = [(0xff, 0), (0x7f, 0), (0x00, -32_124), (0x80, 32_124), (0xfe, 8), (0x7e, -8)];
        for (byte, value) in table {
            assert_eq!(decoded(byte), value, "{byte:#x}");
        }
        assert_eq!((decoded(0xf0), decoded(0xef), decoded(0x8f)), (120, 132, 16_764));
    }

    #[test]
    fn what_is_no_number_is_silence() {
        let format = Format::new(Encoding::F32le, 16_000, 1).unwrap();
        let given = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 7.0, 0.5];
        let bytes: Vec<u8> = given.iter().flat_map(|it| it.to_le_bytes()).collect();
        let mut out = Vec::new();
        format.samples(&bytes, &mut out);
        assert_eq!(out, [0.0, 1.0, -1.0, 1.0, 0.5]);
    }

    #[test]
    fn silence_is_silent_in_every_encoding() {
        for encoding in [Encoding::S16le, Encoding::F32le, Encoding::Mulaw] {
            let format = Format::new(encoding, 8000, 2).unwrap();
            let (mut bytes, mut samples) = (Vec::new(), Vec::new());
            format.silence(5, &mut bytes);
            format.samples(&bytes, &mut samples);
            assert_eq!(samples, [0.0; 10]);
            assert_eq!(Encoding::named(encoding.name()), Some(encoding));
        }
    }
}
