//! Summaries of meetings: sentences of the transcript, or what a model is asked. Pure: no clock, no model.

mod cues;
mod document;
mod extract;
mod model;
mod sentences;
mod terms;

pub use cues::Cues;
pub use document::{document, without_title};
pub use extract::extractive;
pub use model::{
    MOST_AT_ONCE, MOST_LEVELS, SYSTEM, answer, ask_for_notes, ask_for_summary, cut, data, lines,
};
