//! Who speaks: voice prints and their comparison.

mod encoder;
mod mel;
mod print;

pub use encoder::VoiceEncoder;
pub use print::{Print, PrintError};
