//! `meeting.start`.

use std::collections::BTreeSet;

use carport_core::{Access, Caller, Method, Result, RpcError, Time, bounds, object};
use carport_meetings_record::{MOST_PARTICIPANTS, Meeting, Participant, Source, Status};
use carport_voice_api::{AudioSource, StreamOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::check_id;
use crate::{
    Meetings,
    opening::{Wanted, WantedSource},
};

/// Sources of a meeting.
const MOST_SOURCES: usize = 4;
/// The name of the source of a meeting that names none.
const MAIN: &str = "main";

/// Starts a meeting: from now on what its sources hear is a transcript.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct StartMeeting {
    /// `[A-Za-z0-9_][A-Za-z0-9._-]*`; made if absent.
    #[schemars(length(min = 1, max = 64))]
    pub id: Option<String>,
    /// What it is called.
    #[schemars(length(max = 200))]
    pub title: Option<String>,
    /// The only source, `main`; without it and without `sources`, the client pushes 16 kHz s16le mono.
    pub audio_source: Option<AudioSource>,
    /// Several sources.
    #[schemars(length(min = 1, max = 4))]
    pub sources: Option<Vec<NewSource>>,
    /// How every source is understood.
    pub options: Option<StreamOptions>,
    /// Who is expected to speak.
    #[schemars(length(max = 64))]
    pub participants: Option<Vec<NewParticipant>>,
    /// Whether what is said is kept in the memory; true if absent.
    pub ingest: Option<bool>,
}

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewSource {
    /// Its name, `[a-z0-9_-]`, unique in the meeting.
    #[schemars(length(min = 1, max = 32))]
    pub source: String,
    /// Who speaks there, if it is one person's or one side's.
    #[schemars(length(min = 1, max = 64))]
    pub speaker: Option<String>,
    /// Where its sound comes from.
    #[serde(deserialize_with = "object::one")]
    pub audio_source: AudioSource,
}

/// Somebody who is expected to speak: a label, or a label with a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NewParticipant {
    /// What segments call them.
    Label(String),
    /// With the name that is shown.
    Named {
        /// What segments call them.
        label: String,
        /// What is shown instead.
        name: Option<String>,
    },
}

/// A meeting has begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// When it began.
    pub started_at: Time,
    /// Always `recording`.
    pub status: Status,
    /// The stream of the first source, which sound is pushed to.
    pub voice_session_id: String,
    /// Its sources, each with its stream.
    pub sources: Vec<Source>,
    /// The meeting.
    pub meeting: Meeting,
}

impl StartMeeting {
    fn check_sources(&self) -> Result<()> {
        let Some(sources) = &self.sources else { return Ok(()) };
        if self.audio_source.is_some() {
            return Err(RpcError::invalid_params(
                "sources",
                "give either `sources` or `audio_source`, not both",
            ));
        }
        bounds::items("sources", sources, 1..=MOST_SOURCES)?;
        let mut names = BTreeSet::new();
        for (at, source) in sources.iter().enumerate() {
            let field = |name: &str| format!("sources[{at}].{name}");
            check_source(&field("source"), &source.source)?;
            bounds::maybe_bytes(&field("speaker"), source.speaker.as_deref(), 1..=64)?;
            if !names.insert(&source.source) {
                return Err(RpcError::invalid_params(
                    &field("source"),
                    "another source has this name",
                ));
            }
        }
        Ok(())
    }

    fn participants(&self) -> Vec<Participant> {
        let participant = |it: &NewParticipant| {
            let (label, name) = it.parts();
            let (label, name) = (label.to_owned(), name.map(str::to_owned));
            Participant { label, name, enrolled: false, speech_ms: 0 }
        };
        self.participants.iter().flatten().map(participant).collect()
    }
}

impl NewParticipant {
    fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Self::Label(label) => (label, None),
            Self::Named { label, name } => (label, name.as_deref()),
        }
    }
}

/// `[a-z0-9_-]{1,32}`.
pub(super) fn check_source(field: &str, name: &str) -> Result<()> {
    bounds::bytes(field, name, 1..=32)?;
    let word = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_-".contains(it);
    bounds::letters(field, name, "[a-z0-9_-]", word)
}

impl Method for StartMeeting {
    const NAME: &'static str = "meeting.start";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Meetings;
    type Reply = Started;

    fn validate(&self) -> Result<()> {
        self.id.as_deref().map_or(Ok(()), |it| check_id("id", it))?;
        bounds::maybe_bytes("title", self.title.as_deref(), 0..=200)?;
        self.check_sources()?;
        let participants = self.participants.as_deref().unwrap_or_default();
        bounds::items("participants", participants, 0..=MOST_PARTICIPANTS)?;
        let mut labels = BTreeSet::new();
        for (at, participant) in participants.iter().enumerate() {
            let (label, name) = participant.parts();
            let field = format!("participants[{at}]");
            bounds::bytes(&format!("{field}.label"), label, 1..=64)?;
            bounds::maybe_bytes(&format!("{field}.name"), name, 1..=64)?;
            if !labels.insert(label) {
                return Err(RpcError::invalid_params(&field, "another participant has this label"));
            }
        }
        Ok(())
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Started> {
        let participants = self.participants();
        let source = |it: NewSource| WantedSource {
            source: it.source,
            speaker: it.speaker,
            audio: it.audio_source,
        };
        let main = || WantedSource {
            source: MAIN.into(),
            speaker: None,
            audio: self.audio_source.unwrap_or_default(),
        };
        let wanted = Wanted {
            id: self.id.unwrap_or_else(|| format!("m-{}", Uuid::now_v7())),
            title: self.title.unwrap_or_default(),
            sources: self
                .sources
                .map_or_else(|| vec![main()], |it| it.into_iter().map(source).collect()),
            options: self.options.unwrap_or_default(),
            participants,
            ingest: self.ingest.unwrap_or(true),
        };
        let meeting = meetings.hall.begin(wanted, caller).await?.meeting();
        Ok(Started {
            id: meeting.id.clone(),
            started_at: meeting.started_at,
            status: meeting.status,
            voice_session_id: meeting
                .sources
                .first()
                .map_or_else(String::new, |it| it.voice_session_id.clone()),
            sources: meeting.sources.clone(),
            meeting,
        })
    }
}
