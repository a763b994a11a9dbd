//! A transcript for other programs: Markdown, WebVTT and SubRip.

mod markdown;
mod subtitles;

pub use markdown::markdown;
pub use subtitles::{subrip, web_vtt};

#[cfg(test)]
mod tests;
