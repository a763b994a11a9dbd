//! Speech out: streams of a connection that are made ahead and sent in order.

pub(crate) mod making;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{Result, RpcError, Session, bounds};
use carport_voice_api::{
    ErrorCode, Event, Failure, FailureKind, Numbered, Say, SpeechChunk, SpeechFormat, SpeechOptions,
};
use tokio::sync::{Notify, watch};

use self::making::{Making, Purpose, STALLED_WHY};
use crate::{
    hub::{Hub, Key},
    ids,
    notify::VoiceEvent,
    stream::PATIENCE,
};

/// Bytes of a text.
pub(crate) const MOST_TEXT: usize = 16 * 1024;

/// A speech stream of a connection.
pub(crate) struct Talk {
    hub: Arc<Hub>,
    pub(crate) key: Key,
    session: Arc<Session>,
    /// The id in binary frames, if they are wanted.
    raw: Option<[u8; ids::RAW]>,
    pub(crate) making: Arc<Making>,
    live: Notify,
    cancelled: watch::Sender<bool>,
    done: watch::Sender<bool>,
}

/// Checks the options of a stream and starts its making.
pub(crate) fn make(hub: &Arc<Hub>, text: String, options: &SpeechOptions) -> Result<Arc<Making>> {
    bounds::bytes("text", &text, 1..=MOST_TEXT)?;
    check_options(options)?;
    let is_binary = options.binary_frames.unwrap_or_default();
    let usual = if is_binary { SpeechFormat::Pcm } else { SpeechFormat::Wav };
    let say = Say {
        text,
        voice: options.voice_id.clone(),
        language: options.language.clone(),
        speed: options.speed.unwrap_or(1.0),
        ..Say::default()
    };
    let names = Names {
        provider: "options.provider",
        format: "options.format",
        voice: "options.voice_id",
        language: "options.language",
        speed: "options.speed",
    };
    let format = options.format.unwrap_or(usual);
    start(hub, say, options.provider.as_deref(), format, Purpose::Stream, &names)
}

/// What the caller calls the fields.
pub(crate) struct Names {
    pub(crate) provider: &'static str,
    pub(crate) format: &'static str,
    pub(crate) voice: &'static str,
    pub(crate) language: &'static str,
    pub(crate) speed: &'static str,
}

/// Starts the making, if the provider can.
pub(crate) fn start(
    hub: &Arc<Hub>,
    mut say: Say,
    provider: Option<&str>,
    format: SpeechFormat,
    purpose: Purpose,
    names: &Names,
) -> Result<Arc<Making>> {
    let provider = hub.providers.tts(names.provider, provider)?;
    let encodes = provider.encodes();
    let can = encodes.contains(&format) || (encodes.is_empty() && format != SpeechFormat::Mp3);
    if !can {
        let known: Vec<_> = match encodes {
            [] => vec!["wav", "pcm"],
            list => list.iter().map(|it| word(*it)).collect(),
        };
        let why = format!("provider `{}` makes {} only", provider.about().id, known.join(" and "));
        return Err(RpcError::invalid_params(names.format, why).with("known", known));
    }
    say.format = Some(format);
    provider.check(&say).map_err(|error| match error.field() {
        Some("voice") => error.with("field", names.voice),
        Some("language") => error.with("field", names.language),
        Some("speed") => error.with("field", names.speed),
        _ => error,
    })?;
    Making::start(hub, provider, say, format, purpose)
}

/// The word on the wire.
pub(crate) fn word(format: SpeechFormat) -> &'static str {
    match format {
        SpeechFormat::Mp3 => "mp3",
        SpeechFormat::Wav => "wav",
        SpeechFormat::Pcm => "pcm",
    }
}

/// Bounds of the members.
pub(crate) fn check_options(options: &SpeechOptions) -> Result<()> {
    bounds::maybe_bytes("options.provider", options.provider.as_deref(), 1..=64)?;
    bounds::maybe_bytes("options.voice_id", options.voice_id.as_deref(), 1..=128)?;
    bounds::maybe_bytes("options.language", options.language.as_deref(), 1..=35)?;
    options.speed.map_or(Ok(()), |speed| bounds::within("options.speed", speed, 0.5..=2.0))
}

impl Talk {
    /// Starts speech for a connection. Nothing is sent before [`Self::go_live`].
    pub(crate) fn start(
        hub: &Arc<Hub>,
        session: &Arc<Session>,
        stream_id: String,
        text: String,
        options: &SpeechOptions,
    ) -> Result<Arc<Self>> {
        let raw = match options.binary_frames.unwrap_or_default() {
            true => Some(ids::need_raw("stream_id", &stream_id)?),
            false => None,
        };
        let key = (Some(session.serial()), stream_id);
        hub.may_talk(&key)?;
        let making = make(hub, text, options)?;
        let talk = Arc::new(Self {
            hub: hub.clone(),
            key,
            session: session.clone(),
            raw,
            making,
            live: Notify::new(),
            cancelled: watch::Sender::new(false),
            done: watch::Sender::new(false),
        });
        if let Err(error) = hub.admit_talk(&talk) {
            talk.making.cancel();
            return Err(error);
        }
        let sending = talk.clone();
        hub.spawn("send speech", async move {
            sending.send().await;
            sending.making.cancel();
            sending.hub.forget_talk(&sending);
            sending.done.send_replace(true);
        });
        Ok(talk)
    }

    pub(crate) fn go_live(&self) {
        self.live.notify_one();
    }

    /// Cancels it; `false` if that was done.
    pub(crate) fn cancel(&self) -> bool {
        let first = !self.cancelled.send_replace(true);
        self.making.cancel();
        self.hub.forget_talk(self);
        first
    }

    /// Waits until nothing more is sent.
    pub(crate) async fn done(&self) {
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }

    /// Ends what nobody can hear any more.
    pub(crate) fn sweep(&self) {
        if self.session.is_closed() {
            self.cancel();
        }
    }

    /// Sends what is made, until the end or the cancelling.
    async fn send(&self) {
        let mut cancelled = self.cancelled.subscribe();
        tokio::select! {
            biased;
            _ = cancelled.wait_for(|it| *it) => {}
            () = self.send_all() => {}
        }
    }

    async fn send_all(&self) {
        self.live.notified().await;
        let mut whole = self.tell(self.started(), None).await;
        let mut seq = 0;
        while whole {
            match self.making.next().await {
                None => return,
                Some(Ok(chunk)) => whole = self.send_chunk(&mut seq, chunk).await,
                Some(Err(failure)) => return self.send_error(seq, &failure).await,
            }
        }
        let why = "the client did not take the speech for 10 s";
        // There may be no room for this either.
        let _ = match self.raw {
            Some(raw) => self.session.notify_binary(frame(ERROR, raw, seq, 0, why.as_bytes())),
            None => self.session.notify(&self.event(self.error(ErrorCode::SlowReader, why), None)),
        };
    }

    fn started(&self) -> Event {
        let Making { format, sample_rate, .. } = *self.making;
        let stream_id = self.key.1.clone();
        Event::TtsStarted { stream_id, format, sample_rate, channels: 1 }
    }

    fn error(&self, code: ErrorCode, message: &str) -> Event {
        Event::TtsError { stream_id: self.key.1.clone(), code, message: message.to_owned() }
    }

    fn event(&self, event: Event, seq: Option<u64>) -> VoiceEvent {
        VoiceEvent { session_id: self.key.1.clone(), event: Numbered { event, seq } }
    }

    async fn tell(&self, event: Event, seq: Option<u64>) -> bool {
        self.session.notify_wait(&self.event(event, seq), PATIENCE).await
    }

    async fn send_chunk(&self, seq: &mut u64, chunk: SpeechChunk) -> bool {
        let format = self.making.format;
        let Some(raw) = self.raw else {
            let chunk = Event::TtsChunk {
                stream_id: self.key.1.clone(),
                audio_b64: STANDARD.encode(&chunk.bytes),
                format,
                is_final: chunk.is_final,
            };
            let sent = self.tell(chunk, Some(*seq)).await;
            *seq += 1;
            return sent;
        };
        let mut sent = true;
        if !chunk.bytes.is_empty() {
            let bytes = frame(SPEECH, raw, *seq, code(format), &chunk.bytes);
            sent = self.session.notify_binary_wait(bytes, PATIENCE).await;
            *seq += 1;
        }
        if sent && chunk.is_final {
            sent = self.session.notify_binary_wait(frame(END, raw, *seq, 0, &[]), PATIENCE).await;
        }
        sent
    }

    async fn send_error(&self, seq: u64, failure: &Failure) {
        if let Some(raw) = self.raw {
            let bytes = frame(ERROR, raw, seq, 0, failure.message.as_bytes());
            self.session.notify_binary_wait(bytes, PATIENCE).await;
            return;
        }
        let code = match failure.kind {
            FailureKind::Failed if failure.message == STALLED_WHY => ErrorCode::Stalled,
            FailureKind::Failed => ErrorCode::ProviderFailed,
            FailureKind::Auth => ErrorCode::ProviderAuth,
            FailureKind::Limit => ErrorCode::ProviderLimit,
            FailureKind::Load => ErrorCode::LoadFailed,
        };
        self.tell(self.error(code, &failure.message), None).await;
    }
}

/// The type bytes of speech, its end and its error.
const SPEECH: u8 = 0x02;
const END: u8 = 0x03;
const ERROR: u8 = 0x04;

/// The format byte.
const fn code(format: SpeechFormat) -> u8 {
    match format {
        SpeechFormat::Pcm => 0,
        SpeechFormat::Mp3 => 1,
        SpeechFormat::Wav => 2,
    }
}

/// A binary frame: a header of 26 bytes, then the payload.
fn frame(kind: u8, raw: [u8; ids::RAW], seq: u64, format: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(26 + payload.len());
    bytes.push(kind);
    bytes.extend(raw);
    bytes.extend(seq.to_le_bytes());
    bytes.push(format);
    bytes.extend(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_laid_out_byte_for_byte() {
        let raw = ids::raw("0190c5e2a7b47cc08b1d2e3f40516273").unwrap();
        let hex = |bytes: Vec<u8>| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
        assert_eq!(
            hex(frame(SPEECH, raw, 5, code(SpeechFormat::Pcm), &[0xab])),
            "020190c5e2a7b47cc08b1d2e3f40516273050000000000000000ab"
        );
        assert_eq!(
            hex(frame(END, raw, 6, 0, &[])),
            "030190c5e2a7b47cc08b1d2e3f40516273060000000000000000"
        );
    }
}
