//! `voice.enroll_speaker` and its kin: whose voice is known by name.

use carport_core::{Access, Caller, Method, Result, RpcError, Time, bounds};
use carport_voice_audio::{Converter, Encoding, Format, Mix};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decode;
use crate::{
    Voice,
    oneshot::{Source, apart, failed, samples},
};

/// Voice that a sample needs, and what it may have.
const VOICED_MS: std::ops::RangeInclusive<u64> = 3000..=60_000;

/// Learns a voice from a sample: 3 to 60 s of voice, up to 8 samples a person.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EnrollSpeaker {
    /// Who it is.
    #[schemars(length(min = 1, max = 64))]
    pub label: String,
    /// The sample.
    pub audio: SpeakerSound,
}

/// A sample of a voice.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SpeakerSound {
    /// A sound file in base64.
    File {
        /// The file.
        audio_b64: String,
    },
    /// s16le samples in base64.
    Pcm {
        /// The samples.
        pcm_b64: String,
        /// In Hz; 16000 if absent.
        sample_rate: Option<u32>,
        /// 1 or 2; 1 if absent.
        channels: Option<u16>,
    },
    /// A sound file that the daemon reads.
    Path {
        /// Under `voice/audio/`, or absolute under one of `voice.audio_roots`.
        path: String,
    },
}

/// A sample was learnt.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SampleAdded {
    /// Always true.
    pub enrolled: bool,
    /// Who it is.
    pub label: String,
    /// Voice of this sample.
    pub voiced_ms: u64,
    /// Samples of this person by now.
    pub samples: usize,
}

fn not_for_agents(caller: &Caller) -> Result<()> {
    match caller.agent() {
        Some(_) => Err(RpcError::forbidden("agents may not change whose voice is known")),
        None => Ok(()),
    }
}

fn pcm(pcm_b64: &str, sample_rate: Option<u32>, channels: Option<u16>) -> Result<Vec<f32>> {
    let (rate, channels) = (sample_rate.unwrap_or(16_000), channels.unwrap_or(1));
    bounds::within("audio.sample_rate", rate, Format::MIN_RATE..=Format::MAX_RATE)?;
    bounds::within("audio.channels", channels, 1..=2)?;
    let format = Format::new(Encoding::S16le, rate, channels).map_err(RpcError::internal)?;
    let (mut converter, mut heard) = (Converter::new(format, Mix::Down), Vec::new());
    let bytes = decode("audio.pcm_b64", pcm_b64)?;
    let pushed = converter.push(&bytes, &mut heard);
    pushed.map_err(|why| RpcError::invalid_params("audio.pcm_b64", why))?;
    converter.flush(&mut heard);
    Ok(heard)
}

impl Method for EnrollSpeaker {
    const NAME: &'static str = "voice.enroll_speaker";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = SampleAdded;

    fn validate(&self) -> Result<()> {
        bounds::bytes("label", &self.label, 1..=64)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<SampleAdded> {
        not_for_agents(caller)?;
        let hub = &voice.hub;
        let provider = hub.providers.speakers("audio", None)?;
        let _one = hub.one_shot()?;
        let file = match &self.audio {
            SpeakerSound::Path { path } => Some(hub.files.open("audio.path", path)?),
            _ => None,
        };
        let audio = self.audio;
        let print = apart(hub, false, move |_| {
            let heard = match (audio, file) {
                (_, Some(file)) => samples("audio.path", Source::File(file))?,
                (SpeakerSound::File { audio_b64 }, _) => {
                    let bytes = decode("audio.audio_b64", &audio_b64)?;
                    samples("audio.audio_b64", Source::Bytes(bytes))?
                }
                (SpeakerSound::Pcm { pcm_b64, sample_rate, channels }, _) => {
                    pcm(&pcm_b64, sample_rate, channels)?
                }
                (SpeakerSound::Path { .. }, None) => Vec::new(),
            };
            provider.print(&heard).map_err(failed)
        });
        let print = print.await?;
        let voiced_ms = print.voiced_ms;
        if !VOICED_MS.contains(&voiced_ms) {
            let (least, most) = (VOICED_MS.start() / 1000, VOICED_MS.end() / 1000);
            let why = format!("must have {least} to {most} s of voice, has {voiced_ms} ms");
            let limit =
                if voiced_ms < *VOICED_MS.start() { VOICED_MS.start() } else { VOICED_MS.end() };
            return Err(RpcError::invalid_params("audio", why)
                .with("voiced_ms", voiced_ms)
                .with("limit", *limit));
        }
        let person = hub.enrolled.add(&self.label, print, hub.clock.now()).await?;
        let samples = person.samples();
        Ok(SampleAdded { enrolled: true, label: self.label, voiced_ms, samples })
    }
}

/// Lists whose voice is known.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListEnrollments {}

/// Whose voice is known, by label.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrollmentList {
    /// Labels, sorted.
    pub labels: Vec<String>,
    /// The same with what is known of them.
    pub enrollments: Vec<Enrollment>,
}

/// One person.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enrollment {
    /// Who it is.
    pub label: String,
    /// Samples.
    pub samples: usize,
    /// Voice of all samples.
    pub voiced_ms: u64,
    /// When the first sample was learnt.
    pub created_at: Time,
}

impl Method for ListEnrollments {
    const NAME: &'static str = "voice.list_enrollments";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = EnrollmentList;

    async fn run(self, voice: &Voice, _: &Caller) -> Result<EnrollmentList> {
        let known = voice.hub.enrolled.list();
        let row = |it: &crate::speakers::store::Enrolled| Enrollment {
            label: it.label.clone(),
            samples: it.samples(),
            voiced_ms: it.voiced_ms,
            created_at: it.created_at,
        };
        let enrollments: Vec<_> = known.iter().map(row).collect();
        let labels = known.into_iter().map(|it| it.label).collect();
        Ok(EnrollmentList { labels, enrollments })
    }
}

/// Forgets a voice.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RemoveEnrollment {
    /// Whose.
    #[schemars(length(min = 1, max = 64))]
    pub label: String,
}

/// The voice is not known.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnrollmentRemoved {
    /// Whether it was.
    pub removed: bool,
}

impl Method for RemoveEnrollment {
    const NAME: &'static str = "voice.remove_enrollment";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Voice;
    type Reply = EnrollmentRemoved;

    fn validate(&self) -> Result<()> {
        bounds::bytes("label", &self.label, 1..=64)
    }

    async fn run(self, voice: &Voice, caller: &Caller) -> Result<EnrollmentRemoved> {
        not_for_agents(caller)?;
        Ok(EnrollmentRemoved { removed: voice.hub.enrolled.remove(&self.label).await? })
    }
}
