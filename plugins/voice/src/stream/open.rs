//! Opening a stream: what is refused, and what is started.

use std::{
    ops::Deref,
    sync::{Arc, Condvar, atomic::AtomicBool},
};

use carport_core::{Guarded, Result, RpcError};
use carport_voice_api::{
    AudioSource, Caps, EndReason, ErrorCode, NewStream, Opening, SpeechToText,
};
use carport_voice_audio::Format;
use tokio::sync::watch;

use super::{
    Stream,
    feed::{Feed, WavFile},
    intake::Intake,
    line::Line,
    settings::{Settings, check_options, check_source, pushed},
};
use crate::{
    counts::{Counted, thread},
    hub::Hub,
    ids,
    speakers::Voices,
};

/// Bytes of a push.
pub(crate) const MAX_PUSH: usize = 1 << 20;

/// A stream that may be opened.
pub(crate) struct Admission {
    new: NewStream,
    settings: Settings,
    format: Format,
    source: &'static str,
    provider: Arc<dyn SpeechToText>,
    opening: Opening,
    caps: Caps,
    voices: Option<Guarded<Voices>>,
    file: Option<WavFile>,
}

impl Admission {
    /// Checks everything that can be said before anything is started. `may_hear` says whether the caller
    /// may listen to the daemon's microphone.
    pub(crate) fn check(hub: &Hub, new: NewStream, may_hear: bool) -> Result<Self> {
        ids::check("session_id", &new.session_id)?;
        check_options(&new.options)?;
        check_source(&new.source)?;
        let field = "options.provider";
        let settings = Settings::of(new.options.clone());
        let (source, file) = match &new.source {
            AudioSource::PcmPush { .. } => ("pcm_push", None),
            AudioSource::File { path, realtime } => {
                let file = hub.files.open("audio_source.path", path)?;
                ("file", Some(WavFile::open(file, realtime.unwrap_or_default())?))
            }
            AudioSource::Mic { .. } => return Err(no_microphone(may_hear)),
        };
        let provider = hub.providers.stt(field, new.options.provider.as_deref())?;
        let (model, caps) = provider.check(&settings.listen)?;
        let voices = match settings.diarizer || settings.enrolled {
            true => Some(Guarded::new(hub.voices(&settings)?)),
            false => None,
        };
        let format = pushed(&new.source)?;
        let opening = Opening {
            provider: provider.about().id,
            model,
            sample_rate: format.sample_rate(),
            channels: format.channels(),
        };
        Ok(Self { new, settings, format, source, provider, opening, caps, voices, file })
    }

    /// Registers the stream and starts its threads.
    pub(crate) fn open(self, hub: &Arc<Hub>) -> Result<Arc<Stream>> {
        let Self { new, settings, format, source, provider, opening, caps, voices, file } = self;
        let NewStream { owner, session_id, sink, terms, .. } = new;
        let now = hub.clock.now();
        let stream = Arc::new_cyclic(|me| Stream {
            me: me.clone(),
            hub: hub.clone(),
            key: (owner.as_ref().map(|it| it.serial()), session_id),
            opening,
            format,
            source,
            started_at: now,
            settings,
            terms,
            voices,
            line: Line::new(owner.is_some(), sink),
            owner,
            intake: Guarded::new(Intake::new(format, now)),
            changed: Condvar::new(),
            waits: provider.waits(),
            permit: Guarded::default(),
            spare: Guarded::default(),
            worker_gone: watch::Sender::new(false),
            over: watch::Sender::new(false),
            ended: AtomicBool::new(false),
            _counted: Counted::one(&hub.counts.streams),
        });
        hub.admit_stream(&stream)?;
        stream.send_events();
        if let Err(error) = stream.start(provider, caps, file) {
            stream.worker_gone.send_replace(true);
            stream.close(EndReason::Error);
            stream.go_live();
            return Err(RpcError::internal(format!("no thread for a stream: {error}")));
        }
        Ok(stream)
    }
}

impl Stream {
    /// One task sends every event to the owner.
    fn send_events(self: &Arc<Self>) {
        let (Some(owner), stream) = (self.owner.clone(), self.clone()) else { return };
        self.hub.spawn("send events", async move {
            let slow = || {
                let why = "the client did not take an event for 10 s";
                stream.fail(ErrorCode::SlowReader, why.into(), None);
            };
            stream.line.send(&stream.key.1, &owner, slow).await;
        });
    }

    fn start(
        self: &Arc<Self>,
        provider: Arc<dyn SpeechToText>,
        caps: Caps,
        file: Option<WavFile>,
    ) -> std::io::Result<()> {
        let (counts, runtime) = (&self.hub.counts, &self.hub.runtime);
        let (worker, gone) = (self.clone(), self.clone());
        let after = move |whole: bool| {
            if !whole {
                let why = "the provider panicked";
                gone.fail(ErrorCode::ProviderFailed, why.into(), None);
            }
            drop(gone.permit.lock().take());
            gone.worker_gone.send_replace(true);
        };
        thread(counts, "voice-stream", runtime, move || worker.work(&*provider, caps), after)?;
        let Some(file) = file else { return Ok(()) };
        let (feeder, gone) = (self.clone(), self.clone());
        let after = move |whole: bool| {
            if !whole {
                gone.fail(ErrorCode::SourceLost, "the file confuses its reader".into(), None);
            }
        };
        thread(counts, "voice-file", runtime, move || Feed::new(file).run(&feeder), after)
    }
}

/// A stream whose events are held back until this is dropped: when the call that opened it is answered, or
/// nobody will answer it any more.
pub(crate) struct HeldBack(pub(crate) Arc<Stream>);

impl Deref for HeldBack {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.0
    }
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.0.go_live();
    }
}

/// Refuses more bytes than a push may have.
pub(crate) fn check_push(bytes: usize) -> Result<()> {
    if bytes <= MAX_PUSH {
        return Ok(());
    }
    let why = format!("holds more than {MAX_PUSH} bytes of sound; push shorter pieces");
    Err(RpcError::invalid_params("pcm_b64", why).with("limit", MAX_PUSH).with("got", bytes))
}

/// This build has no library for audio devices, so that it needs no system package.
fn no_microphone(may_hear: bool) -> RpcError {
    if !may_hear {
        return RpcError::forbidden(
            "only the host may listen to the daemon's microphone unless `voice.mic = \"authenticated\"`",
        );
    }
    let remedy = "this build has no library for audio devices: record with a program of the system \
                  and push the sound with `pcm_push`";
    RpcError::unavailable("audio device", remedy)
}
