//! The one notification of the plugin.

use carport_core::Notification;
use carport_meetings_record::{EndedBy, Participant, Segment, Status, SummaryKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something happened in a meeting that this connection follows, or that it started and that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeetingEvent {
    /// The meeting.
    pub meeting_id: String,
    /// One more than that of the event before; a hole means that something was dropped.
    pub cursor: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened in a meeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// Somebody said something, and it is in the file.
    Segment {
        /// What was said.
        segment: Segment,
    },
    /// It was somebody else who said it.
    SegmentRevised {
        /// The segment as it is now.
        segment: Segment,
    },
    /// Somebody appeared, or got a name.
    Participant {
        /// Who.
        participant: Participant,
    },
    /// The meeting stands elsewhere.
    Status {
        /// Where.
        status: Status,
        /// What brought it there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended_by: Option<EndedBy>,
    },
    /// A summary was made.
    Summary {
        /// The summary without its title.
        summary: String,
        /// How it was made.
        kind: SummaryKind,
    },
    /// Something is not as it should be.
    Warning {
        /// What.
        code: WarningCode,
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// In words.
        message: String,
    },
}

/// What is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The memory is slow or fails.
    IngestLate,
    /// Sound found no room.
    Overrun,
    /// A model made no summary; the summary is of sentences.
    SummaryFailed,
    /// A source gives no sound any more.
    SourceLost,
}

impl Notification for MeetingEvent {
    const NAME: &'static str = "meeting.event";
}
