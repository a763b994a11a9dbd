//! What a stream is asked to be, checked and with its defaults filled in.

use carport_core::{Result, RpcError, bounds};
use carport_voice_api::{AudioSource, Listen, PcmFormat, StreamOptions, VadOptions};
use carport_voice_audio as audio;

/// The options of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) listen: Listen,
    pub(crate) streaming: bool,
    pub(crate) audio_meta: bool,
    pub(crate) diarizer: bool,
    pub(crate) enrolled: bool,
    pub(crate) settled: bool,
    pub(crate) barge_in: bool,
    /// Absent: the built-in text; empty: none.
    pub(crate) overlay: Option<String>,
    pub(crate) vad: audio::VadOptions,
}

impl Settings {
    pub(crate) fn of(options: StreamOptions) -> Self {
        let is_set = |option: Option<bool>| option.unwrap_or_default();
        let (diarizer, enrolled) = (is_set(options.diarizer), is_set(options.enrolled));
        let words = is_set(options.words);
        let StreamOptions { model, language, prompt, .. } = options;
        Self {
            listen: Listen { model, language, prompt, words, ..Listen::default() },
            streaming: options.streaming.unwrap_or(true),
            audio_meta: is_set(options.emit_audio_meta),
            diarizer,
            enrolled,
            settled: options.settled.unwrap_or(diarizer || enrolled),
            barge_in: is_set(options.barge_in),
            overlay: options.voice_prompt_overlay,
            vad: vad(options.vad.unwrap_or_default()),
        }
    }
}

/// Each brought within its bounds.
fn vad(options: VadOptions) -> audio::VadOptions {
    let default = audio::VadOptions::default();
    let ms = |option: Option<u64>, default: u32| match option {
        Some(ms) => u32::try_from(ms).unwrap_or(u32::MAX),
        None => default,
    };
    let asked = audio::VadOptions {
        threshold: options.threshold.map_or(default.threshold, |it| it as f32),
        start_ms: ms(options.start_ms, default.start_ms),
        preroll_ms: ms(options.preroll_ms, default.preroll_ms),
        eager_ms: ms(options.eager_ms, default.eager_ms),
        end_ms: ms(options.end_ms, default.end_ms),
        max_segment_ms: ms(options.max_segment_ms, default.max_segment_ms),
        partial_ms: ms(options.partial_ms, default.partial_ms),
    };
    asked.clamped()
}

/// Bounds of the texts; numbers of `vad` are brought within theirs instead.
pub(crate) fn check_options(options: &StreamOptions) -> Result<()> {
    let text = |field: &str, text: &Option<String>, most| {
        bounds::maybe_bytes(&format!("options.{field}"), text.as_deref(), most)
    };
    text("provider", &options.provider, 1..=64)?;
    text("model", &options.model, 1..=128)?;
    text("language", &options.language, 1..=35)?;
    text("prompt", &options.prompt, 0..=4096)?;
    text("voice_prompt_overlay", &options.voice_prompt_overlay, 0..=8192)
}

/// Bounds of the members.
pub(crate) fn check_source(source: &AudioSource) -> Result<()> {
    match source {
        AudioSource::PcmPush { .. } => pushed(source).map(drop),
        AudioSource::File { path, .. } => bounds::bytes("audio_source.path", path, 1..=4096),
        AudioSource::Mic { device } => {
            bounds::maybe_bytes("audio_source.device", device.as_deref(), 1..=256)
        }
    }
}

/// What the client pushes; what the daemon feeds comes at 16 kHz, one channel.
pub(crate) fn pushed(source: &AudioSource) -> Result<audio::Format> {
    let AudioSource::PcmPush { sample_rate, channels, format } = source else {
        return audio::Format::new(audio::Encoding::F32le, audio::RATE, 1)
            .map_err(RpcError::internal);
    };
    let (rate, channels) = (sample_rate.unwrap_or(16_000), channels.unwrap_or(1));
    let bounds = audio::Format::MIN_RATE..=audio::Format::MAX_RATE;
    bounds::within("audio_source.sample_rate", rate, bounds)?;
    bounds::within("audio_source.channels", channels, 1..=2)?;
    let encoding = match format.unwrap_or_default() {
        PcmFormat::S16le => audio::Encoding::S16le,
        PcmFormat::F32le => audio::Encoding::F32le,
        PcmFormat::Mulaw => audio::Encoding::Mulaw,
    };
    audio::Format::new(encoding, rate, channels).map_err(RpcError::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_the_default_and_out_of_bounds_the_nearest() {
        let settings = Settings::of(StreamOptions::default());
        assert!(settings.streaming && !settings.settled && !settings.diarizer);
        assert_eq!(settings.vad, audio::VadOptions::default());
        let options = StreamOptions {
            enrolled: Some(true),
            vad: Some(VadOptions {
                end_ms: Some(u64::MAX),
                threshold: Some(7.0),
                ..<_>::default()
            }),
            ..StreamOptions::default()
        };
        let settings = Settings::of(options);
        assert!(settings.settled);
        assert_eq!((settings.vad.end_ms, settings.vad.threshold), (5000, 0.9));
    }

    #[test]
    fn a_source_out_of_bounds_is_named() {
        for (sample_rate, channels, field) in [
            (Some(7999), None, "audio_source.sample_rate"),
            (Some(48_001), None, "audio_source.sample_rate"),
            (None, Some(3), "audio_source.channels"),
            (None, Some(0), "audio_source.channels"),
        ] {
            let source = AudioSource::PcmPush { sample_rate, channels, format: None };
            assert_eq!(check_source(&source).unwrap_err().field(), Some(field));
        }
    }
}
