//! What is said becomes memory, behind the file: in order, once each, and nobody waits for it.

use std::{sync::Arc, time::Duration};

use carport_core::{Result, codes};
use carport_meetings_record::{Meeting, Segment};
use carport_memory_api::{GraphRef, Memory, NewFact, Turn};
use tokio::time::{Instant, sleep};

use crate::{
    event::WarningCode,
    hall::Hall,
    live::{Live, Stage},
};

/// Turns of a graph.
const MOST_TURNS: usize = 2000;
/// Bytes of a turn's text and speaker.
const MOST_TEXT: usize = 4 << 10;
const MOST_SPEAKER: usize = 64;
/// Bytes of the fact of a summary.
const MOST_FACT: usize = 2 << 10;
/// When listeners are told that the memory is late.
const LATE: Duration = Duration::from_secs(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Hands over what is said until the meeting is over.
pub(crate) async fn keep_up(hall: Arc<Hall>, live: Arc<Live>, graph: GraphRef) {
    let mut stage = live.stage.subscribe();
    let mut behind = None;
    loop {
        if let Some(turn) = next(&live) {
            let behind = behind.get_or_insert_with(Behind::now);
            if !hand_over(&hall, &live, &graph, turn, behind).await {
                live.state.lock().to_ingest.clear();
                break;
            }
            continue;
        }
        behind = None;
        // Everything is there; is anything to come?
        if *stage.borrow_and_update() >= Stage::Complete {
            break;
        }
        tokio::select! {
            () = live.ingestible.notified() => {}
            _ = stage.changed() => {}
        }
    }
    live.remembered.send_replace(true);
}

/// Since when the memory has not had everything, and whether that was told.
struct Behind {
    since: Instant,
    told: bool,
}

impl Behind {
    fn now() -> Self {
        Self { since: Instant::now(), told: false }
    }

    /// Tells once that it takes long.
    fn tell(&mut self, hall: &Hall, live: &Live) {
        if !self.told && self.since.elapsed() >= LATE {
            self.told = true;
            let message = "the memory takes longer than 30 s; nothing is lost";
            live.warn(&hall.followers, WarningCode::IngestLate, None, message);
        }
    }
}

/// Hands over what a dead daemon may have kept from the memory: as many turns of the end as a graph holds.
/// Those that are there already stay as they are.
pub(crate) async fn catch_up(
    memory: &dyn Memory,
    graph: &GraphRef,
    meeting: &Meeting,
    segments: &[Segment],
) -> Result<()> {
    for segment in held(segments) {
        memory.ingest(graph, turn(meeting, segment)).await?;
    }
    Ok(())
}

/// Those of which a graph can hold the turns: to hand over older ones would push newer ones out.
pub(crate) fn held(segments: &[Segment]) -> &[Segment] {
    &segments[segments.len().saturating_sub(MOST_TURNS)..]
}

/// What the memory is to have next. A correction that comes later puts its number in again.
fn next(live: &Live) -> Option<Turn> {
    let mut state = live.state.lock();
    let n = state.to_ingest.pop_front()?;
    let ledger = &state.ledger;
    ledger.segments().get(usize::try_from(n).ok()?).map(|it| turn(ledger.meeting(), it))
}

/// Tries until the memory has it; `false` if the graph is gone, or nobody waits any more.
async fn hand_over(
    hall: &Hall,
    live: &Live,
    graph: &GraphRef,
    turn: Turn,
    behind: &mut Behind,
) -> bool {
    let mut pause = PAUSE;
    loop {
        behind.tell(hall, live);
        let trying = hall.memory.ingest(graph, turn.clone());
        tokio::pin!(trying);
        let outcome = loop {
            tokio::select! {
                biased;
                // What is over may be deleted, and nothing of it is to come back.
                () = live.reached(Stage::Over) => {
                    tracing::error!(meeting = live.id, "the memory has not got all of a meeting");
                    return false;
                }
                outcome = &mut trying => break outcome,
                () = sleep(LATE.saturating_sub(behind.since.elapsed())), if !behind.told => {
                    behind.tell(hall, live);
                }
            }
        };
        match outcome {
            Ok(()) => return true,
            Err(error) if error.code == codes::NOT_FOUND => return false,
            Err(error) if error.code == codes::INVALID_PARAMS => {
                tracing::error!(meeting = live.id, %error, "a turn is not what the memory takes");
                return true;
            }
            Err(error) => {
                tracing::debug!(meeting = live.id, %error, "the memory does not take a turn yet")
            }
        }
        tokio::select! {
            () = live.reached(Stage::Over) => {}
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn turn(meeting: &Meeting, segment: &Segment) -> Turn {
    Turn {
        key: format!("meeting:{}:{}", meeting.id, segment.n),
        speaker: cut(meeting.shown_as(&segment.speaker), MOST_SPEAKER),
        text: cut(&segment.text, MOST_TEXT),
        at: segment.at,
        origin: origin(&meeting.id),
    }
}

/// Takes a meeting's turns and fact out of a graph that may be gone.
pub(crate) async fn forget(memory: &dyn Memory, graph: &GraphRef, id: &str) -> Result<()> {
    let origin = origin(id);
    let fact = memory.forget(graph, &origin, &fact_id(id)).await.map(drop);
    let turns = memory.forget_turns(graph, &origin).await.map(drop);
    for outcome in [fact, turns] {
        match outcome {
            Err(error) if error.code == codes::UNAVAILABLE => {
                tracing::warn!(meeting = id, %error, "a removed meeting is still in the memory");
            }
            Err(error) if error.code != codes::NOT_FOUND => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What the memory knows a meeting's turns and fact by.
pub(crate) fn origin(id: &str) -> String {
    format!("meeting:{id}")
}

/// The id of the fact of a meeting's summary.
pub(crate) fn fact_id(id: &str) -> String {
    format!("meeting-{id}")
}

/// The fact of a meeting's summary.
pub(crate) fn fact(meeting: &Meeting, summary: &str) -> NewFact {
    NewFact {
        fact_id: Some(fact_id(&meeting.id)),
        kind: "meeting".into(),
        source: origin(&meeting.id),
        tags: vec!["meeting".into()],
        ..NewFact::new(format!("meeting {}", meeting.called()), cut(summary, MOST_FACT))
    }
}

fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}
