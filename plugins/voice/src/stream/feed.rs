//! A file as the source of a stream: read piece by piece, no faster than there is room for it.

use std::{
    fs::File,
    sync::PoisonError,
    time::{Duration, Instant},
};

use carport_core::{Result, RpcError};
use carport_voice_api::{EndReason, ErrorCode};
use carport_voice_audio::{Decoder, Full, Limits, RATE, Resampler};

use super::Stream;

/// A file may be as large as a day of sound at 48 kHz.
const LIMITS: Limits = Limits { max_bytes: 16 << 30, max_ms: 24 * 3_600_000 };
/// Samples that are pushed at once: 100 ms.
const PIECE: usize = RATE as usize / 10;

/// A file that was opened.
pub(crate) struct WavFile {
    decoder: Decoder,
    realtime: bool,
}

impl WavFile {
    /// Reads the beginning of the file, so that one that is no sound is refused at once.
    pub(crate) fn open(file: File, realtime: bool) -> Result<Self> {
        let decoder = Decoder::of_open(file, None, LIMITS);
        let decoder = decoder.map_err(|why| RpcError::invalid_params("audio_source.path", why))?;
        Ok(Self { decoder, realtime })
    }
}

/// The reading of a file.
pub(crate) struct Feed {
    file: WavFile,
    began: Instant,
    pushed: u64,
}

impl Feed {
    pub(crate) fn new(file: WavFile) -> Self {
        Self { file, began: Instant::now(), pushed: 0 }
    }

    /// Pushes the whole file and ends the stream.
    pub(crate) fn run(mut self, stream: &Stream) {
        let mut resampler = Resampler::new(self.file.decoder.sample_rate());
        let (mut raw, mut samples) = (Vec::new(), Vec::new());
        loop {
            raw.clear();
            let more = match self.file.decoder.next(&mut raw) {
                Ok(more) => more,
                Err(why) => return stream.fail(ErrorCode::SourceLost, why.to_string(), None),
            };
            resampler.push(&raw, &mut samples);
            if !more {
                resampler.flush(&mut samples);
            }
            let whole = if more { samples.len() / PIECE * PIECE } else { samples.len() };
            for piece in samples[..whole].chunks(PIECE) {
                if !self.push(stream, piece) {
                    return;
                }
            }
            samples.drain(..whole);
            if !more {
                stream.end(EndReason::End);
                return;
            }
        }
    }

    /// Waits for the time and for room; `false` once the stream ends.
    fn push(&mut self, stream: &Stream, piece: &[f32]) -> bool {
        let bytes: Vec<u8> = piece.iter().flat_map(|it| it.to_le_bytes()).collect();
        self.pushed += piece.len() as u64;
        let due = self.began + Duration::from_secs_f64(self.pushed as f64 / f64::from(RATE));
        let mut intake = stream.intake.lock();
        loop {
            if intake.is_ending() {
                return false;
            }
            let early = due.saturating_duration_since(Instant::now());
            if self.file.realtime && !early.is_zero() {
                let woken = stream.changed.wait_timeout(intake, early);
                intake = woken.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            match intake.push(&bytes, stream.hub.clock.now(), Instant::now()) {
                Ok(()) => break,
                Err(Full::Busy { .. }) => {
                    let woken = stream.changed.wait(intake);
                    intake = woken.unwrap_or_else(PoisonError::into_inner);
                }
                Err(_) => return false,
            }
        }
        drop(intake);
        stream.changed.notify_all();
        true
    }
}
