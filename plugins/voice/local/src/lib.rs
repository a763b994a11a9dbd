//! Recognition, speech and speakers on this machine: models that need no network and no system package.
//!
//! [`Local`] finds the model files ([`Locator`]), verifies and loads each model once and shares it. A model
//! is plain arithmetic behind `&self`: any number of sessions use it at once, each run on one thread.
//! Everything here blocks; who calls from a task hands it to a blocking thread.

mod hibari;
mod load;
mod models;
mod moonshine;
mod speakers;
mod stt;
mod threads;
mod vad;
mod vocoder;

pub use hibari::{Hibari, MAX_IDS, SPEECH_RATE, Style};
pub use load::{Local, Once};
pub use models::{Locator, Manifest, ManifestFile, ModelError, Places};
pub use moonshine::Moonshine;
pub use speakers::{Print, PrintError, VoiceEncoder};
pub use stt::{Heard, Help, Recognizer};
pub use threads::{RunError, Threads};
pub use vad::{Activity, voiced_ms};
