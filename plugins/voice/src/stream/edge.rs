//! Where a track's bytes become samples, and the stream's level is measured.

use carport_voice_api::Event;
use carport_voice_audio::{Converter, Mix, Ring};

use super::Stream;

/// Sound between two `audio_meta` events.
const META_MS: u64 = 500;

/// From the bytes of all channels to the samples of one track. The first track tells the level of all.
pub(super) struct Edge {
    converter: Converter,
    samples: Vec<f32>,
    tells_level: bool,
    heard_ms: u64,
    frames: u64,
}

impl Edge {
    pub(super) fn new(stream: &Stream, channel: Option<u16>) -> Self {
        let mix = channel.map_or(Mix::Down, Mix::Channel);
        Self {
            converter: Converter::new(stream.format, mix),
            samples: Vec::new(),
            tells_level: stream.settings.audio_meta && channel.unwrap_or_default() == 0,
            heard_ms: 0,
            frames: 0,
        }
    }

    pub(super) fn take(&mut self, stream: &Stream, bytes: &[u8]) {
        self.samples.clear();
        // The ring took whole frames only.
        let _ = self.converter.push(bytes, &mut self.samples);
        self.frames += (bytes.len() / stream.format.frame_bytes()) as u64;
        let position_ms = stream.format.ms(self.frames);
        if self.tells_level && position_ms / META_MS > self.heard_ms / META_MS {
            let level = self.converter.take_level();
            let buffered_ms = stream.intake.lock().ring.buffered_ms().min(Ring::LIMIT_MS);
            stream.line.make(Event::AudioMeta {
                level_db: f64::from(level.db),
                clipped: level.clipped,
                buffered_ms,
                position_ms,
            });
        }
        self.heard_ms = position_ms;
    }

    /// The samples that were made last.
    pub(super) fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// Where in the stream they end.
    pub(super) fn position_ms(&self) -> u64 {
        self.heard_ms
    }

    /// What the resampler still holds.
    pub(super) fn finish(&mut self) {
        self.samples.clear();
        self.converter.flush(&mut self.samples);
    }
}
