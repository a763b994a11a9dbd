//! What a meeting is, how its transcript grows, is read back and is exported. Pure: no clock, no disk, no socket.
//!
//! A change of a live meeting is planned by its [`Ledger`], its line is written, and [`Ledger::apply`] does
//! it: nobody hears of a segment that is not in the file.

mod export;
mod ledger;
mod meeting;
mod segment;
mod transcript;

pub use export::{markdown, subrip, web_vtt};
pub use ledger::{Applied, Change, Heard, Ledger, MOST_PARTICIPANTS, NotTaken, UNKNOWN};
pub use meeting::{
    EndedBy, Meeting, Owner, Participant, Role, Source, Status, SummaryInfo, SummaryKind,
    WrongChange,
};
pub use segment::{Segment, spoken};
pub use transcript::{MOST_LINE, Page, Read, Wanted, line, page, read, recovered, size};
