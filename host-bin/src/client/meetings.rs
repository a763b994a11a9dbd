//! What the meetings plugin says on the wire, as far as commands show it: meetings as they are, and one followed.

use carport_meetings_record::{EndedBy, Meeting, Segment, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::link::{CallError, Link, Notice};

/// Meetings and segments of one page.
const PAGE: usize = 1000;

/// A meeting with all of its transcript, as readers see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Whole {
    pub(crate) meeting: Meeting,
    #[serde(rename = "transcript")]
    pub(crate) segments: Vec<Segment>,
    pub(crate) summary: Option<String>,
}

#[derive(Deserialize)]
struct GetPage {
    transcript: Vec<Segment>,
    summary: Option<String>,
    next: Option<u64>,
    summary_info: Value,
    /// The rest of the meeting.
    #[serde(flatten)]
    meeting: Map<String, Value>,
}

impl Whole {
    /// Reads a meeting, page by page.
    pub(crate) async fn get(link: &Link, id: &str) -> Result<Self, CallError> {
        let mut segments = Vec::new();
        let mut page = get(link, id, 0).await?;
        loop {
            segments.append(&mut page.transcript);
            match page.next {
                Some(next) => page = get(link, id, next).await?,
                None => break,
            }
        }
        // The text has the name that the record has for what is known of it.
        page.meeting.insert("summary".into(), page.summary_info);
        let meeting = serde_json::from_value(Value::Object(page.meeting)).map_err(|why| {
            CallError::Malformed { method: "meeting.get".into(), why: why.to_string() }
        })?;
        Ok(Self { meeting, segments, summary: page.summary })
    }
}

async fn get(link: &Link, id: &str, from: u64) -> Result<GetPage, CallError> {
    link.ask("meeting.get", &json!({ "meeting_id": id, "from": from, "limit": PAGE })).await
}

#[derive(Deserialize)]
struct ListPage {
    meetings: Vec<Meeting>,
    next: Option<String>,
}

/// The newest meetings, at most `limit` of them.
pub(crate) async fn list(link: &Link, limit: usize) -> Result<Vec<Meeting>, CallError> {
    let (mut meetings, mut before) = (Vec::new(), None);
    while meetings.len() < limit {
        let params = json!({ "limit": PAGE.min(limit - meetings.len()), "before": before });
        let page: ListPage = link.ask("meeting.list", &params).await?;
        meetings.extend(page.meetings);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(meetings)
}

/// A meeting that was stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stopped {
    pub(crate) meeting: Meeting,
    pub(crate) summary: Option<String>,
    /// What commands do not show.
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// Stops a meeting, or sums up one that was interrupted.
pub(crate) async fn stop(link: &Link, id: &str, summarize: bool) -> Result<Stopped, CallError> {
    link.ask("meeting.stop", &json!({ "meeting_id": id, "summarize": summarize })).await
}

/// What happens in a meeting.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Event {
    Segment {
        segment: Segment,
    },
    SegmentRevised {
        segment: Segment,
    },
    Status {
        status: Status,
        ended_by: Option<EndedBy>,
    },
    Warning {
        source: Option<String>,
        message: String,
    },
    /// What is not shown.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Numbered {
    meeting_id: String,
    cursor: u64,
    #[serde(flatten)]
    event: Event,
}

/// How far a meeting was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MeetingTrail {
    id: String,
    /// The number of the segment that was not handed out yet.
    next: u64,
    cursor: u64,
    ended: Option<(Status, Option<EndedBy>)>,
}

/// What a notification means to a trail.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// What happened next.
    Next(Event),
    /// Seen already, or of something else.
    Known,
    /// Something before it was lost: attach again.
    Gap,
}

#[derive(Deserialize)]
struct Followed {
    meeting: Meeting,
    transcript: Vec<Segment>,
    cursor: u64,
    next: Option<u64>,
}

impl MeetingTrail {
    /// A meeting of which nothing was seen.
    pub(crate) fn of(id: impl Into<String>) -> Self {
        Self { id: id.into(), next: 0, cursor: 0, ended: None }
    }

    /// The meeting.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Where it stands once nothing more is said in it, and what brought it there.
    pub(crate) fn ended(&self) -> Option<(Status, Option<EndedBy>)> {
        self.ended
    }

    /// Subscribes, anew if need be: the meeting, and its segments that were not handed out before.
    pub(crate) async fn attach(
        &mut self,
        link: &Link,
    ) -> Result<(Meeting, Vec<Segment>), CallError> {
        let params = json!({ "meeting_id": self.id, "from": self.next });
        let Followed { meeting, mut transcript, cursor, mut next } =
            link.ask("meeting.subscribe", &params).await?;
        while let Some(from) = next {
            // What is said meanwhile is in a page and in an event.
            let mut page = get(link, &self.id, from).await?;
            transcript.append(&mut page.transcript);
            next = page.next;
        }
        self.take(&meeting, &transcript, cursor);
        Ok((meeting, transcript))
    }

    fn take(&mut self, meeting: &Meeting, segments: &[Segment], cursor: u64) {
        self.cursor = cursor;
        self.next = segments.last().map_or(self.next, |it| it.n + 1);
        if meeting.status != Status::Recording {
            self.ended = Some((meeting.status, meeting.ended_by));
        }
    }

    /// What a notification adds.
    pub(crate) fn hear(&mut self, notice: &Notice) -> Heard {
        if notice.method != "meeting.event" {
            return Heard::Known;
        }
        let Ok(Numbered { meeting_id, cursor, event }) = Numbered::deserialize(&notice.params)
        else {
            return Heard::Known;
        };
        if meeting_id != self.id || cursor <= self.cursor {
            return Heard::Known;
        }
        if cursor > self.cursor + 1 {
            return Heard::Gap;
        }
        self.cursor = cursor;
        match &event {
            Event::Segment { segment } if segment.n < self.next => return Heard::Known,
            Event::Segment { segment } => self.next = segment.n + 1,
            Event::Status { status, ended_by } => self.ended = Some((*status, *ended_by)),
            _ => {}
        }
        Heard::Next(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(n: u64) -> Value {
        json!({
            "n": n, "source": "main", "speaker": "S1", "text": "yes", "start_ms": 0, "end_ms": 1,
            "at": "2026-05-02T09:00:00.000Z",
        })
    }

    fn told(cursor: u64, what: &Value) -> Notice {
        let mut params = json!({ "meeting_id": "m", "cursor": cursor });
        params.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        Notice { method: "meeting.event".into(), params }
    }

    fn said(cursor: u64, n: u64) -> Notice {
        told(cursor, &json!({ "type": "segment", "segment": segment(n) }))
    }

    #[test]
    fn each_segment_is_handed_out_once_and_in_order() {
        let mut trail = MeetingTrail::of("m");
        assert!(
            matches!(trail.hear(&said(1, 0)), Heard::Next(Event::Segment { segment }) if segment.n == 0)
        );
        assert_eq!(trail.hear(&said(1, 0)), Heard::Known);
        assert_eq!(trail.hear(&said(3, 2)), Heard::Gap);
        assert_eq!(trail.hear(&said(2, 0)), Heard::Known, "a page had it");
        assert!(matches!(trail.hear(&said(3, 1)), Heard::Next(_)));
        let other = Notice { method: "voice.event".into(), ..said(4, 2) };
        assert_eq!(trail.hear(&other), Heard::Known);
    }

    #[test]
    fn an_end_and_what_nobody_knows_are_heard() {
        let mut trail = MeetingTrail::of("m");
        assert_eq!(trail.hear(&told(1, &json!({ "type": "new" }))), Heard::Next(Event::Other));
        assert_eq!(trail.ended(), None);
        let end = json!({ "type": "status", "status": "ended", "ended_by": "limit" });
        trail.hear(&told(2, &end));
        assert_eq!(trail.ended(), Some((Status::Ended, Some(EndedBy::Limit))));
    }
}
