//! What a meeting is: the contents of its `meeting.json`, and which way its status may go.

use carport_core::Time;
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Segment;

/// The version of the format of a meeting's files.
const VERSION: u32 = 1;
/// Languages that are named.
const MOST_LANGUAGES: usize = 32;

/// A meeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Meeting {
    /// `[A-Za-z0-9_][A-Za-z0-9._-]{0,63}`.
    pub id: String,
    /// What it is called; may be empty.
    pub title: String,
    /// Where it stands.
    pub status: Status,
    /// 0 on its clock.
    pub started_at: Time,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// What ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// Who started it.
    pub owner: Owner,
    /// Where its sound comes from.
    pub sources: Vec<Source>,
    /// Who speaks, in order of appearance.
    pub participants: Vec<Participant>,
    /// How long it was, or what was said in it where a file is heard faster than it sounds; while it is
    /// recorded, the end of what was said last.
    pub duration_ms: u64,
    /// Segments of its transcript.
    pub segments: u64,
    /// Words of its transcript.
    pub words: u64,
    /// The languages that were heard, in order of appearance.
    pub languages: Vec<String>,
    /// The summary that was made, if one was.
    pub summary: Option<SummaryInfo>,
    /// Whether what is said is kept in the memory.
    pub ingest: bool,
    /// Of the format of the files.
    pub version: u32,
}

/// Where a meeting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is being recorded.
    Recording,
    /// It is over.
    Ended,
    /// The daemon was killed while it was recorded.
    Interrupted,
    /// Its transcript could not be written.
    Failed,
}

/// What ended a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// `meeting.stop`.
    Stop,
    /// The connection that started it went.
    Disconnect,
    /// It was as long as one may be.
    Limit,
    /// Its file was at its end.
    End,
    /// The daemon stopped.
    Shutdown,
    /// The daemon was killed.
    Crash,
    /// Its transcript could not be written.
    WriteError,
}

/// Who started a meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// What the connection was.
    pub role: Role,
    /// Which agent, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

/// What a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It has the daemon token.
    Client,
    /// It is bound to an agent.
    Agent,
    /// It has the host token.
    Host,
}

/// Where sound comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Its name in the meeting.
    pub source: String,
    /// The voice stream that hears it.
    pub voice_session_id: String,
    /// `pcm_push`, `file` or `mic`.
    pub kind: String,
    /// Who speaks there, if it is one person's or one side's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

/// Somebody who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Participant {
    /// What stored segments call them.
    pub label: String,
    /// What they are called, if a name was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the label is that of an enrolled voice.
    pub enrolled: bool,
    /// How long they spoke.
    pub speech_ms: u64,
}

/// A summary that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryInfo {
    /// How it was made.
    pub kind: SummaryKind,
    /// When it was made.
    pub at: Time,
}

/// How a summary is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SummaryKind {
    /// Sentences of the transcript.
    Extractive,
    /// A model's text.
    Model,
}

/// A status does not change so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a meeting that is {from:?} does not become {to:?}")]
pub struct WrongChange {
    /// Where it stands.
    pub from: Status,
    /// Where it does not go.
    pub to: Status,
}

impl Meeting {
    /// One that begins.
    pub fn begin(id: String, title: String, started_at: Time, owner: Owner, ingest: bool) -> Self {
        Self {
            id,
            title,
            status: Status::Recording,
            started_at,
            ended_at: None,
            ended_by: None,
            owner,
            sources: Vec::new(),
            participants: Vec::new(),
            duration_ms: 0,
            segments: 0,
            words: 0,
            languages: Vec::new(),
            summary: None,
            ingest,
            version: VERSION,
        }
    }

    /// What it is called: its title, or its id if it has none.
    pub fn called(&self) -> &str {
        if self.title.is_empty() { &self.id } else { &self.title }
    }

    /// Its recording is over. What a meeting that was cut off says of its end stays as it is.
    ///
    /// # Errors
    /// Its status does not change so.
    pub fn end(&mut self, to: Status, at: Time, by: EndedBy) -> Result<(), WrongChange> {
        let from = self.status;
        match (from, to) {
            (Status::Recording, Status::Ended | Status::Interrupted | Status::Failed) => {
                let at = at.max(self.started_at);
                let passed = (*at - *self.started_at).num_milliseconds();
                // A file may be heard faster than it sounds.
                self.duration_ms = self.duration_ms.max(u64::try_from(passed).unwrap_or(0));
                (self.ended_at, self.ended_by) = (Some(at), Some(by));
            }
            (Status::Interrupted, Status::Ended) => {}
            _ => return Err(WrongChange { from, to }),
        }
        self.status = to;
        Ok(())
    }

    /// The time of day at a place on its clock.
    pub fn time_at(&self, ms: u64) -> Time {
        let passed = i64::try_from(ms).ok().and_then(TimeDelta::try_milliseconds);
        let at = passed.and_then(|it| self.started_at.checked_add_signed(it));
        at.map_or(self.started_at, Time::from)
    }

    /// The participant with this label.
    pub fn participant(&self, label: &str) -> Option<&Participant> {
        self.participants.iter().find(|it| it.label == label)
    }

    /// What a label is shown as: the name that was given to it, or itself.
    pub fn shown_as<'a>(&'a self, label: &'a str) -> &'a str {
        self.participant(label).and_then(|it| it.name.as_deref()).unwrap_or(label)
    }

    /// A stored segment as readers see it.
    #[must_use]
    pub fn shown(&self, segment: &Segment) -> Segment {
        Segment { speaker: self.shown_as(&segment.speaker).to_owned(), ..segment.clone() }
    }

    /// Counts its transcript anew.
    pub fn recount<'a>(&mut self, transcript: impl IntoIterator<Item = &'a Segment>) {
        (self.segments, self.words) = (0, 0);
        self.languages.clear();
        self.participants.iter_mut().for_each(|it| it.speech_ms = 0);
        for segment in transcript {
            self.count(segment);
        }
    }

    /// Counts one more segment.
    pub(crate) fn count(&mut self, segment: &Segment) {
        self.segments += 1;
        self.words += segment.text.split_whitespace().count() as u64;
        if let Some(language) = &segment.language
            && self.languages.len() < MOST_LANGUAGES
            && !self.languages.contains(language)
        {
            self.languages.push(language.clone());
        }
        self.credit(&segment.speaker, segment.length_ms());
    }

    /// Somebody spoke so long. Who is new gets a row while there is room for one.
    pub(crate) fn credit(&mut self, label: &str, speech_ms: u64) {
        if let Some(known) = self.participants.iter_mut().find(|it| it.label == label) {
            known.speech_ms = known.speech_ms.saturating_add(speech_ms);
        } else if self.participants.len() < crate::MOST_PARTICIPANTS {
            let label = label.to_owned();
            self.participants.push(Participant { label, name: None, enrolled: false, speech_ms });
        }
    }
}
