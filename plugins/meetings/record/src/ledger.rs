//! The ledger of a meeting that is recorded: what is taken, who said it, and what changes later.

use std::collections::HashMap;

use carport_voice_api as voice;

use crate::{Meeting, Participant, Segment, spoken};

/// Participants of a meeting.
pub const MOST_PARTICIPANTS: usize = 64;
/// Bytes of a label of a provider; with the source's name before it, `meeting.label` takes it.
const MOST_LABEL: usize = 95;
/// The label of whoever has no other.
pub const UNKNOWN: &str = "speaker";

/// A meeting that is recorded, with its transcript.
#[derive(Debug)]
pub struct Ledger {
    meeting: Meeting,
    segments: Vec<Segment>,
    /// Where what a stream numbers so stands in the transcript.
    places: HashMap<Place, usize>,
}

/// A segment of a stream: the source's name, and the stream's own number.
type Place = (String, u64);

/// A line that is to be written, and is applied afterwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is written. A number that is there already replaces its segment.
    pub segment: Segment,
    place: Option<Place>,
    enrolled: bool,
}

/// Text that comes from elsewhere than a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// What was said.
    pub text: String,
    /// Who said it; [`UNKNOWN`] if absent.
    pub speaker: Option<String>,
    /// Which source it belongs to.
    pub source: String,
    /// Where it begins, on the meeting's clock.
    pub start_ms: u64,
    /// Where it ends; not before it begins.
    pub end_ms: u64,
}

/// Why a segment is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// Nothing was said in it.
    Ignored,
    /// It is there already.
    Repeated,
    /// No source has this name.
    Stray,
}

/// What a change was.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The segment as readers see it.
    pub segment: Segment,
    /// Whether it took the place of an earlier one.
    pub revised: bool,
    /// Who appeared with it.
    pub appeared: Option<Participant>,
}

impl Ledger {
    /// Of a meeting that begins, with its sources.
    pub fn new(meeting: Meeting) -> Self {
        Self { meeting, segments: Vec::new(), places: HashMap::new() }
    }

    /// The meeting as it is now.
    pub fn meeting(&self) -> &Meeting {
        &self.meeting
    }

    /// To change what is not the transcript's.
    pub fn meeting_mut(&mut self) -> &mut Meeting {
        &mut self.meeting
    }

    /// The transcript, in the order of its numbers.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The line of a segment whose speaker has settled. The stream's times count from `offset_ms` on the
    /// meeting's clock.
    ///
    /// # Errors
    /// It is not written.
    pub fn plan_spoken(
        &self,
        source: &str,
        offset_ms: u64,
        heard: &voice::Segment,
    ) -> Result<Change, NotTaken> {
        if !self.meeting.sources.iter().any(|it| it.source == source) {
            return Err(NotTaken::Stray);
        }
        let place = (source.to_owned(), heard.segment_id);
        if self.places.contains_key(&place) {
            return Err(NotTaken::Repeated);
        }
        let text = spoken(&heard.text).ok_or(NotTaken::Ignored)?;
        let (speaker, enrolled) = self.speaker(source, heard.speaker.as_ref());
        let shifted = |word: &voice::Word| voice::Word {
            start_ms: word.start_ms.saturating_add(offset_ms),
            end_ms: word.end_ms.saturating_add(offset_ms),
            ..word.clone()
        };
        let start_ms = heard.start_ms.saturating_add(offset_ms);
        let segment = Segment {
            n: self.segments.len() as u64,
            source: source.to_owned(),
            speaker: self.with_room(speaker, &[]),
            text,
            start_ms,
            end_ms: heard.end_ms.saturating_add(offset_ms).max(start_ms),
            at: self.meeting.time_at(start_ms),
            confidence: heard.confidence.filter(|it| it.is_finite()),
            language: heard.language.clone(),
            words: heard.words.as_ref().map(|words| words.iter().map(shifted).collect()),
        };
        Ok(Change { segment, place: Some(place), enrolled })
    }

    /// The lines of texts from elsewhere; those in which nothing is said are left out.
    pub fn plan_texts(&self, texts: &[Heard]) -> Vec<Change> {
        let mut changes = Vec::<Change>::new();
        for heard in texts {
            let Some(text) = spoken(&heard.text) else { continue };
            let label = heard.speaker.clone().unwrap_or_else(|| UNKNOWN.into());
            let segment = Segment {
                n: (self.segments.len() + changes.len()) as u64,
                source: heard.source.clone(),
                speaker: self.with_room(label, &changes),
                text,
                start_ms: heard.start_ms,
                end_ms: heard.end_ms.max(heard.start_ms),
                at: self.meeting.time_at(heard.start_ms),
                confidence: None,
                language: None,
                words: None,
            };
            changes.push(Change { segment, place: None, enrolled: false });
        }
        changes
    }

    /// The line of a segment that was somebody else's; `None` if that changes nothing.
    pub fn plan_corrected(
        &self,
        source: &str,
        segment_id: u64,
        speaker: &voice::Speaker,
    ) -> Option<Change> {
        let at = *self.places.get(&(source.to_owned(), segment_id))?;
        let segment = self.segments.get(at)?;
        let (label, enrolled) = self.speaker(source, Some(speaker));
        let label = self.with_room(label, &[]);
        if label == segment.speaker {
            return None;
        }
        let segment = Segment { speaker: label, ..segment.clone() };
        Some(Change { segment, place: None, enrolled })
    }

    /// Does what was written. Changes are applied in the order in which they were planned.
    pub fn apply(&mut self, change: Change) -> Applied {
        let Change { segment, place, enrolled } = change;
        let at = usize::try_from(segment.n).unwrap_or(usize::MAX);
        let before = self.meeting.participants.len();
        let revised = match self.segments.get_mut(at) {
            Some(old) => {
                let label = std::mem::replace(old, segment.clone()).speaker;
                let length = segment.length_ms();
                if let Some(was) = self.meeting.participants.iter_mut().find(|it| it.label == label)
                {
                    was.speech_ms = was.speech_ms.saturating_sub(length);
                }
                self.meeting.credit(&segment.speaker, length);
                true
            }
            None => {
                if let Some(place) = place {
                    self.places.insert(place, self.segments.len());
                }
                self.meeting.count(&segment);
                self.meeting.duration_ms = self.meeting.duration_ms.max(segment.end_ms);
                self.segments.push(segment.clone());
                false
            }
        };
        if enrolled
            && let Some(known) =
                self.meeting.participants.iter_mut().find(|it| it.label == segment.speaker)
        {
            known.enrolled = true;
        }
        let appeared = self.meeting.participants.get(before).cloned();
        Applied { segment: self.meeting.shown(&segment), revised, appeared }
    }

    /// Gives a label a name. Returns of how many segments it is; `None` if nobody has this label.
    pub fn name(&mut self, label: &str, name: &str) -> Option<usize> {
        let known = self.meeting.participants.iter_mut().find(|it| it.label == label)?;
        known.name = Some(name.to_owned());
        Some(self.segments.iter().filter(|it| it.speaker == label).count())
    }

    /// Who speaks, and whether that is an enrolled voice. The first that there is: an enrolled voice,
    /// whoever the source belongs to, the diarizer's label, [`UNKNOWN`].
    fn speaker(&self, source: &str, heard: Option<&voice::Speaker>) -> (String, bool) {
        let cut = |label: &str| label[..label.floor_char_boundary(MOST_LABEL)].to_owned();
        let heard = heard.filter(|it| !it.label.is_empty());
        if let Some(voice) = heard.filter(|it| it.enrolled) {
            return (cut(&voice.label), true);
        }
        let sources = &self.meeting.sources;
        let own = sources.iter().find(|it| it.source == source).and_then(|it| it.speaker.clone());
        let label = own.or_else(|| {
            let label = cut(&heard?.label);
            Some(if sources.len() > 1 { format!("{source}:{label}") } else { label })
        });
        (label.unwrap_or_else(|| UNKNOWN.into()), false)
    }

    /// The label, or [`UNKNOWN`] if it is one too many with those that are planned.
    fn with_room(&self, label: String, planned: &[Change]) -> String {
        let participants = &self.meeting.participants;
        let mut new: Vec<&str> = Vec::new();
        for change in planned {
            let label = change.segment.speaker.as_str();
            if self.meeting.participant(label).is_none() && !new.contains(&label) {
                new.push(label);
            }
        }
        let is_known = self.meeting.participant(&label).is_some() || new.contains(&label.as_str());
        match is_known || participants.len() + new.len() < MOST_PARTICIPANTS {
            true => label,
            false => UNKNOWN.into(),
        }
    }
}

#[cfg(test)]
mod tests;
