//! Sound for the plugin voice: sample formats, conversion to 16 kHz mono, a bounded ring, WAV, the
//! decoding of files, and the segmenter that finds where speech begins and ends.
//!
//! Nothing here knows a clock, a socket or a model. Positions count from the first sample of a stream,
//! in samples of 16 kHz ([`RATE`]) unless a name says otherwise.

mod convert;
mod decode;
mod format;
mod level;
mod ring;
mod segmenter;
mod tape;
mod wav;

pub use convert::{Converter, Mix, Resampler, resample};
pub use decode::{DecodeError, Decoder, Limits, mono_16k};
pub use format::{Encoding, Format, FormatError};
pub use level::{Level, Meter, level_db};
pub use ring::{Full, Ring};
pub use segmenter::{Event, FRAME, Reason, Segmenter, VadOptions};
pub use tape::Tape;
pub use wav::{pcm_s16le, wav, write_wav};

/// Samples a second of everything behind the edge.
pub const RATE: u32 = 16_000;

/// Samples of 16 kHz as whole milliseconds, rounded down.
pub const fn to_ms(samples: u64) -> u64 {
    samples / (RATE as u64 / 1000)
}

/// Milliseconds as samples of 16 kHz.
pub const fn from_ms(ms: u64) -> u64 {
    ms * (RATE as u64 / 1000)
}
