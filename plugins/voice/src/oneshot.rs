//! Whole files: sound into text, and text into a file.

use std::{
    fs::File,
    sync::{Arc, mpsc},
    time::Duration,
};

use carport_core::{Guarded, Result, RpcError, codes};
use carport_voice_api::{
    Cancel, Event, Failure, FailureKind, FinalReason, Heard, Listen, Recogniser, Segment, Sound,
    SpeechFormat, SpeechToText, StreamOptions,
};
use carport_voice_audio::{DecodeError, Decoder, Limits, RATE, mono_16k, pcm_s16le, to_ms, wav};
use tokio::sync::oneshot;

use crate::{
    counts::thread,
    files::Place,
    hub::Hub,
    slots::Need,
    speech::making::Making,
    stream::{
        foreign::Order,
        hearing::{Hearing, Told},
        settings::Settings,
    },
};

/// Samples that are heard at once.
const PIECE: usize = RATE as usize;
/// How long a provider that finds segments itself may say nothing at the end.
const SILENCE: Duration = Duration::from_secs(60);
/// What such a provider may tell before anybody looks.
const MOST_HEARD: usize = 8192;

/// Sound as a client sends it.
pub(crate) enum Source {
    File(File),
    Bytes(Vec<u8>),
}

/// What was heard in a file.
pub(crate) struct FileText {
    pub(crate) segments: Vec<Segment>,
    pub(crate) duration_ms: u64,
}

/// Asked between two steps of long work: lets others have the place first who wait for one. `false` if
/// nobody wants the outcome any more.
pub(crate) type GoOn<'a> = &'a mut dyn FnMut() -> bool;

/// Tells whoever hears a file that the one who waited is gone.
#[derive(Default)]
pub(crate) struct Unwanted(pub(crate) Cancel);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Does work that takes its time on a thread of its own, in one of the places for it unless it only waits.
pub(crate) async fn apart<T: Send + 'static>(
    hub: &Arc<Hub>,
    waits: bool,
    work: impl FnOnce(GoOn<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    let slots = hub.slots.clone();
    let body = move || {
        let unwanted = || tell.is_closed();
        let mut place = slots.take(Need::Later, waits, unwanted);
        let mut go_on = || {
            if slots.is_wanted() && place.take().is_some() {
                place = slots.take(Need::Later, waits, unwanted);
            }
            place.is_some() && !unwanted()
        };
        // Whoever waited may be gone by the time there is a place.
        if go_on() {
            let done = work(&mut go_on);
            drop(tell.send(done));
        }
    };
    thread(&hub.counts, "voice-file", &hub.runtime, body, |_| {})
        .map_err(|error| RpcError::internal(format!("no thread for a file: {error}")))?;
    told.await.map_err(|_| RpcError::internal("the provider panicked"))?
}

/// A whole file as samples at 16 kHz; `field` names it in errors.
pub(crate) fn samples(field: &str, source: Source) -> Result<Vec<f32>> {
    let decoder = match source {
        Source::File(file) => Decoder::of_open(file, None, Limits::default()),
        Source::Bytes(bytes) => Decoder::of_bytes(bytes, None, Limits::default()),
    };
    decoder.and_then(mono_16k).map_err(|why| {
        let error = RpcError::invalid_params(field, &why);
        match why {
            DecodeError::TooLong { limit_ms } => error.with("limit", limit_ms),
            DecodeError::TooLarge { limit, bytes } => error.with("limit", limit).with("got", bytes),
            _ => error,
        }
    })
}

/// Hears samples from their beginning to their end, on the calling thread.
pub(crate) fn hear(
    provider: &dyn SpeechToText,
    listen: &Listen,
    samples: &[f32],
    go_on: GoOn<'_>,
) -> Result<FileText> {
    let mut each = |take: &mut dyn FnMut(&[f32]) -> Result<(), Failure>| {
        samples.chunks(PIECE).try_for_each(|piece| match go_on() {
            true => take(piece),
            false => Err(Failure::new(FailureKind::Failed, "nobody waits for the text any more")),
        })
    };
    let (ear, heard) = mpsc::sync_channel(MOST_HEARD);
    let told: carport_voice_api::Ear = Arc::new(move |it| {
        if !matches!(it, Heard::Partial { .. }) {
            drop(ear.try_send(it));
        }
    });
    let book = Book::default();
    let done = match provider.open(listen, told) {
        Err(failure) => Err(failure),
        Ok(Recogniser::Segments { decoder, activity }) => {
            let settings = Settings::of(StreamOptions::default());
            let mut hearing = Hearing::new(decoder, activity, &settings);
            let pieces = each(&mut |piece: &[f32]| hearing.hear(&book, piece));
            pieces.and_then(|()| hearing.flush(&book, FinalReason::Stop))
        }
        Ok(Recogniser::Stream(mut listener)) => {
            let pieces = each(&mut |piece: &[f32]| listener.hear(piece));
            pieces.and_then(|()| listener.finish()).and_then(|()| collect(&heard, &book))
        }
    };
    done.map_err(failed)?;
    let segments = std::mem::take(&mut *book.0.lock());
    Ok(FileText { segments, duration_ms: to_ms(samples.len() as u64) })
}

fn collect(heard: &mpsc::Receiver<Heard>, book: &Book) -> Result<(), Failure> {
    let mut order = Order::new(false);
    loop {
        match heard.recv_timeout(SILENCE) {
            Ok(Heard::Failed(failure)) => return Err(failure),
            Ok(Heard::Ended) => {
                let last = order.finish(FinalReason::Stop, &|_| 0);
                last.into_iter().for_each(|event| book.tell(event, &[]));
                return Ok(());
            }
            Ok(heard) => {
                let told = order.hear(heard, &|_| 0);
                told.into_iter().for_each(|event| book.tell(event, &[]));
            }
            Err(_) => {
                let why = format!("the provider said nothing for {} s", SILENCE.as_secs());
                return Err(Failure::new(FailureKind::Failed, why));
            }
        }
    }
}

/// The segments of a file.
#[derive(Default)]
struct Book(Guarded<Vec<Segment>>);

impl Told for Book {
    fn wants_partials(&self) -> bool {
        false
    }

    /// Nothing is decoded before its end is known.
    fn is_idle(&self) -> bool {
        false
    }

    fn since(&self, _: u64) -> u64 {
        0
    }

    /// The whole file has a place.
    fn begin(&self, _: Need<'_>) -> bool {
        true
    }

    fn done(&self) {}

    fn tell(&self, event: Event, _: &[f32]) {
        if let Event::Final { segment, .. } = event
            && !segment.text.is_empty()
        {
            self.0.lock().push(segment);
        }
    }
}

/// How a provider's failure is answered.
#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
pub(crate) fn failed(failure: Failure) -> RpcError {
    let error = match failure.kind {
        FailureKind::Limit => RpcError::overloaded(&failure.message),
        FailureKind::Load => RpcError::unavailable("model", &failure.message),
        FailureKind::Failed | FailureKind::Auth => {
            RpcError::new(codes::INTERNAL, &failure.message).with("retryable", false)
        }
    };
    match failure.retry_after_ms {
        Some(ms) => error.with("retry_after_ms", ms),
        None => error,
    }
}

/// Speech that was made whole.
pub(crate) struct Spoken {
    pub(crate) bytes: Vec<u8>,
    pub(crate) duration_ms: u64,
}

/// Cancels the making when nobody waits for it any more.
struct Guard(Arc<Making>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Waits for all of the speech, as one file.
pub(crate) async fn whole(making: Arc<Making>) -> Result<Spoken> {
    let guard = Guard(making);
    let (mut samples, mut bytes, mut duration_ms) = (Vec::new(), Vec::new(), 0);
    while let Some(next) = guard.0.next_sound().await {
        let (sound, ms, _) = next.map_err(failed)?;
        duration_ms += ms;
        match sound {
            Some(Sound::Samples(more)) => samples.extend(more),
            Some(Sound::Encoded { bytes: more, .. }) => bytes.extend(more),
            None => {}
        }
    }
    if bytes.is_empty() {
        bytes = match guard.0.format {
            SpeechFormat::Wav => wav(&samples, guard.0.sample_rate).map_err(RpcError::internal)?,
            _ => pcm_s16le(&samples),
        };
    }
    Ok(Spoken { bytes, duration_ms })
}

/// Writes a file whole, in the place of one that is there.
pub(crate) async fn write(place: Place, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let written = tokio::task::spawn_blocking(move || place.replace(&bytes).map(|()| bytes));
    written.await.map_err(RpcError::internal)?
}
