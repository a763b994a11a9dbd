//! What turns sound into text: a decoder of whole segments, or a listener that finds them itself.

use std::sync::Arc;

use crate::{Cancel, Failure, Word};

/// Of all sound that a recogniser gets, in Hz; one channel.
pub const SAMPLE_RATE: u32 = 16_000;
/// Samples of a frame of voice activity: 16 ms.
pub const FRAME_SAMPLES: usize = 256;

/// What a stream asks of a recogniser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// The provider's model; its own choice if absent.
    pub model: Option<String>,
    /// The language that is spoken; the provider finds out if absent.
    pub language: Option<String>,
    /// Words that may come up.
    pub prompt: Option<String>,
    /// Whether words should have times.
    pub words: bool,
    /// Tells that nobody wants the text any more; for a decoder that takes long.
    pub cancel: Cancel,
}

/// What was opened. Both forms live on one thread of their own and may take their time in every call.
pub enum Recogniser {
    /// The plugin finds the segments, and the provider only decodes them. It may be asked for the text of a
    /// segment that still grows.
    Segments {
        /// Sound into text.
        decoder: Box<dyn Decoder>,
        /// Tells speech from the rest.
        activity: Box<dyn Activity>,
    },
    /// The provider finds the segments itself, as a remote service does, and tells them to its [`Ear`].
    Stream(Box<dyn Listener>),
}

/// Why a segment is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// It still grows, and the text will be replaced.
    Partial,
    /// For good.
    Final,
}

/// The text of a segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// Empty if nothing was said.
    pub text: String,
    /// 0 to 1.
    pub confidence: Option<f64>,
    /// The language that was heard.
    pub language: Option<String>,
    /// Their times count from the start of the segment.
    pub words: Vec<Word>,
}

/// Decodes segments.
pub trait Decoder: Send {
    /// The text of one segment: samples between -1 and 1 at [`SAMPLE_RATE`]. When `stop` is cancelled, the text of
    /// a partial is not wanted: a decoder that takes long breaks off, and what it gives is not looked at.
    ///
    /// # Errors
    /// The stream ends with what went wrong.
    fn decode(&mut self, samples: &[f32], pass: Pass, stop: &Cancel) -> Result<Decoded, Failure>;
}

/// Tells speech from the rest, frame by frame.
pub trait Activity: Send {
    /// The probability, 0 to 1, that these [`FRAME_SAMPLES`] samples, which follow the former ones, are speech.
    fn speech(&mut self, frame: &[f32]) -> f32;
}

/// Hears a whole stream and tells what it understood to its [`Ear`], from any thread.
pub trait Listener: Send {
    /// Samples between -1 and 1 at [`SAMPLE_RATE`] that follow the former ones. Silence is among them.
    ///
    /// # Errors
    /// The stream ends with what went wrong.
    fn hear(&mut self, samples: &[f32]) -> Result<(), Failure>;

    /// The open segment ends here.
    ///
    /// # Errors
    /// The stream ends with what went wrong.
    fn flush(&mut self) -> Result<(), Failure>;

    /// No more sound comes. What is open gets its final, then [`Heard::Ended`].
    ///
    /// # Errors
    /// The stream ends with what went wrong.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// Where a [`Listener`] tells what it understood. It never waits, and tells of a stream that has ended
/// go nowhere.
pub type Ear = Arc<dyn Fn(Heard) + Send + Sync>;

/// What a [`Listener`] understood. Utterances are numbered by the provider, upwards; what is told of one
/// that had its final, or of one before it, is discarded.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The text so far.
    Partial {
        /// Which utterance.
        utterance: u64,
        /// All of its text.
        text: String,
        /// Where it began in the stream.
        start_ms: u64,
        /// Up to where it was heard.
        end_ms: u64,
    },
    /// The text for good.
    Final {
        /// Which utterance.
        utterance: u64,
        /// Its text; times of words count from the start of the utterance.
        decoded: Decoded,
        /// Where it began in the stream.
        start_ms: u64,
        /// Where it ended.
        end_ms: u64,
    },
    /// It cannot go on.
    Failed(Failure),
    /// Everything was told.
    Ended,
}
