//! Voice: streams of speech in, speech out, and turns between a person and a model.

mod config;
mod counts;
mod files;
mod hub;
mod ids;
#[cfg(feature = "local")]
mod local;
mod methods;
mod notify;
mod oneshot;
mod providers;
mod rate;
mod remote;
mod service;
mod slots;
mod speakers;
mod speech;
mod stream;
mod turns;

use std::{sync::Arc, time::Duration};

use carport_core::{Bytes, Guarded, Identity, Plugin, Result, RpcError, Session, StartContext};
use carport_inference_api::INFERENCE;
use carport_voice_api::{EndReason, OwnerMay, VOICE};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

#[cfg(feature = "local")]
pub use carport_voice_local::Places;
pub use config::{Config, MicAccess, Phrases, TurnSettings, Words};
#[cfg(feature = "local")]
pub use local::local_providers;
pub use methods::*;
pub use notify::VoiceEvent;
pub use remote::{ProviderSettings, ProviderType};

use crate::{
    counts::Counts, files::Files, hub::Hub, service::Service, slots::Slots,
    speakers::store::Enrolments, stream::SoundFrame,
};

carport_core::plugin!(Voice {
    methods: [
        StartStream,
        PushSound,
        FlushStream,
        StopStream,
        ListStreams,
        ListProviders,
        Prepare,
        PrepareParakeet,
        PrepareDiarizer,
        StartSpeech,
        CancelSpeech,
        ListSpeech,
        EnrollSpeaker,
        ListEnrollments,
        RemoveEnrollment,
        DispatchTurn,
        CancelTurn,
        PrewarmTurn,
        Transcribe,
        Synthesize,
    ],
    notifications: [VoiceEvent],
});

/// How long the last events of streams may take to leave when the daemon ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often is looked for what nobody uses any more.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// The plugin.
pub struct Voice {
    hub: Arc<Hub>,
}

impl Plugin for Voice {
    const ID: &'static str = "voice";
    const NAMESPACES: &'static [&'static str] = &["voice", "transcribe", "synthesize"];
    const OPTIONAL: &'static [&'static str] = &[INFERENCE.name()];
    const PROVIDES: &'static [&'static str] = &[VOICE.name()];
    const BINARY: &'static [u8] = &[stream::SOUND_IN];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        config.check()?;
        let audio = cx.state_dir("voice").and_then(|_| cx.state_dir("voice/audio"))?;
        let enrolled = Enrolments::read(cx.state_dir("voice/enrollments")?);
        let providers = providers::Providers::default();
        #[cfg(feature = "local")]
        if config.local {
            for provider in local_providers(local::places(&config, cx.state_root())) {
                providers.register(provider)?;
            }
        }
        for provider in remote::providers(&config)? {
            providers.register(provider)?;
        }
        let hub = Arc::new(Hub {
            files: Files::new(audio, config.audio_roots.clone()),
            config,
            clock: cx.clock(),
            tasks: cx.tasks(),
            stopping: cx.stopping(),
            runtime: Handle::current(),
            counts: Counts::new(&cx.metrics()),
            providers,
            enrolled: enrolled
                .map_err(|error| RpcError::internal(format!("enrolments: {error}")))?,
            slots: Slots::of_machine(),
            inference: cx.find(&INFERENCE),
            next_turn: 1.into(),
            one_shots: Hub::one_shots(),
            began: Instant::now(),
            streams: Guarded::default(),
            talks: Guarded::default(),
            speeches: Guarded::default(),
        });
        let swept = Arc::downgrade(&hub);
        cx.tasks().spawn("sweep", async move {
            let mut ticks = tokio::time::interval(SWEEP_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while let Some(hub) = swept.upgrade() {
                hub.sweep();
                drop(hub);
                ticks.tick().await;
            }
        });
        let (mut stopping, ended) = (cx.stopping(), Arc::downgrade(&hub));
        cx.tasks().spawn("wind up", async move {
            // Clients are told before their connections end.
            if stopping.wait_for(|it| *it).await.is_ok()
                && let Some(hub) = ended.upgrade()
            {
                hub.wind_up();
            }
        });
        cx.provide(&VOICE, Arc::new(Service(hub.clone())) as Arc<dyn carport_voice_api::Voice>);
        Ok(Self { hub })
    }

    fn binary_frame(&self, session: &Arc<Session>, frame: Bytes) {
        let known = SoundFrame::read(&frame).and_then(|it| {
            Some((self.hub.stream_to(OwnerMay::Push, session, &ids::of_raw(it.id)).ok()?, it))
        });
        match known {
            Some((stream, frame)) => stream.take_frame(&frame),
            None => drop(self.hub.counts.ignored.inc()),
        }
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        self.hub.abandon(session);
    }

    async fn shutdown(&self) {
        let streams: Vec<_> = self.hub.streams.lock().values().cloned().collect();
        for stream in &streams {
            stream.close(EndReason::Shutdown);
        }
        let talks: Vec<_> = self.hub.talks.lock().clone();
        for talk in talks {
            talk.cancel();
        }
        // What is left is made for other plugins.
        let speeches: Vec<_> = self.hub.speeches.lock().clone();
        for making in speeches {
            making.cancel();
        }
        let farewell = async {
            for stream in &streams {
                stream.told_all().await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl Hub {
    /// Whether this identity may listen to the daemon's microphone.
    pub(crate) fn may_hear(&self, identity: &Identity) -> bool {
        match self.config.mic {
            MicAccess::Host => *identity == Identity::Host,
            MicAccess::Authenticated => *identity != Identity::Nobody,
        }
    }
}
