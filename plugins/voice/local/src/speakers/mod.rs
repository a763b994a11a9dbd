//! Who speaks: voice prints, their comparison, and labels for voices as they appear.

mod clusters;
mod encoder;
mod mel;
mod print;

pub use clusters::Speakers;
pub use encoder::VoiceEncoder;
pub use print::{Match, Print, PrintError, best_match};
