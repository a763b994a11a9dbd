//! The methods, each between the wire and what does it.

mod enroll;
mod files;
mod prepare;
mod speech;
mod streams;
mod turns;

pub use enroll::{
    EnrollSpeaker, Enrollment, EnrollmentList, EnrollmentRemoved, ListEnrollments,
    RemoveEnrollment, SampleAdded, SpeakerSound,
};
pub use files::{Synthesize, Synthesized, Transcribe, Transcription};
pub use prepare::{ListProviders, Prepare, PrepareDiarizer, PrepareParakeet, What};
pub use speech::{
    CancelSpeech, ListSpeech, SpeechCancelled, SpeechList, SpeechStarted, StartSpeech,
};
pub use streams::{
    FlushStream, Flushed, ListStreams, PushSound, Pushed, StartStream, StopStream, Stopped,
    StreamLimits, StreamRow, StreamStarted,
};
pub use turns::{CancelTurn, DispatchTurn, PrewarmTurn, Prewarmed, TurnCancelled, TurnStarted};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{Result, RpcError};

/// Standard base64, or an error that names the field.
fn decode(field: &str, text: &str) -> Result<Vec<u8>> {
    let why = |error| RpcError::invalid_params(field, format!("is no standard base64: {error}"));
    STANDARD.decode(text).map_err(why)
}
