//! Meetings: who said what, on disk as it is said, remembered and summed up.

mod config;
mod event;
mod hall;
mod live;
mod methods;
mod opening;
mod queue;
mod remembering;
mod shelf;
mod summing;
mod writer;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use carport_core::{
    Counter, DiskSync, Durability, Guarded, Plugin, Result, RpcError, Session, StartContext,
    Subscribers, blocking_io,
};
use carport_inference_api::INFERENCE;
use carport_meetings_record::EndedBy;
use carport_memory_api::MEMORY;
use carport_voice_api::VOICE;
use futures_util::future::join_all;
use tokio::time::timeout;

pub use config::{Config, ForeignRoot, SummaryMode};
pub use event::{MeetingEvent, WarningCode, What};
pub use methods::*;

use crate::{hall::Hall, live::Stage, shelf::Shelf};

carport_core::plugin!(Meetings {
    methods: [
        StartMeeting,
        StopMeeting,
        ListMeetings,
        GetMeeting,
        AppendText,
        NameLabel,
        FollowMeeting,
        UnfollowMeeting,
        DeleteMeeting,
    ],
    notifications: [MeetingEvent],
});

/// How often writes reach the disk under `durability = "interval"`.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How long meetings may take over their end: of a connection that went, and of the daemon.
const LEAVING: Duration = Duration::from_secs(9);
const STOPPING: Duration = Duration::from_secs(5);

/// The plugin.
pub struct Meetings {
    hall: Arc<Hall>,
}

impl Plugin for Meetings {
    const ID: &'static str = "meetings";
    const NAMESPACES: &'static [&'static str] = &["meeting"];
    const REQUIRES: &'static [&'static str] = &[VOICE.name(), MEMORY.name()];
    const OPTIONAL: &'static [&'static str] = &[INFERENCE.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        config.check()?;
        let disk = DiskSync::new(cx.durability());
        let shelf = Arc::new(Shelf::new(cx.state_dir("meetings")?, disk.clone()));
        let left = shelf.clone();
        blocking_io(move || left.recover()).await.map_err(|error| broken(&error))?;
        if cx.durability() == Durability::Interval {
            cx.tasks().spawn("sync", async move {
                loop {
                    tokio::time::sleep(SYNC_EVERY).await;
                    disk.sync("a transcript").await;
                }
            });
        }
        let listed =
            |root: &PathBuf| Arc::new(Shelf::new(root.clone(), DiskSync::new(Durability::Process)));
        let hall = Arc::new(Hall {
            listed: config.roots.iter().map(listed).collect(),
            config,
            clock: cx.clock(),
            tasks: cx.tasks(),
            shelf,
            voice: cx.require(&VOICE)?,
            memory: cx.require(&MEMORY)?,
            inference: cx.find(&INFERENCE),
            followers: Subscribers::default(),
            stopping: cx.stopping(),
            live: Guarded::default(),
            changing: Guarded::default(),
            passing: Guarded::default(),
            ignored: cx.metrics().register(
                "meetings_ignored",
                "Segments of streams in which nothing was said",
                Counter::default(),
            ),
        });
        Ok(Self { hall })
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        let by = if *self.hall.stopping.borrow() { EndedBy::Shutdown } else { EndedBy::Disconnect };
        let own =
            self.hall.all().into_iter().filter(|it| it.serial == session.serial() && !it.outlives);
        self.end(own.collect(), by, Stage::Complete, LEAVING).await;
        self.hall.pass(session);
    }

    fn shutdown_limit(&self) -> Duration {
        STOPPING + Duration::from_secs(1)
    }

    async fn shutdown(&self) {
        self.end(self.hall.all(), EndedBy::Shutdown, Stage::Over, STOPPING).await;
    }
}

impl Meetings {
    /// Ends meetings, and waits until they are so far.
    async fn end(
        &self,
        meetings: Vec<Arc<live::Live>>,
        by: EndedBy,
        stage: Stage,
        limit: Duration,
    ) {
        for live in &meetings {
            self.hall.end(live, by);
        }
        let _ = timeout(limit, join_all(meetings.iter().map(|it| it.reached(stage)))).await;
    }
}

/// What a caller hears of a failing disk: retrying may help once it works again.
pub(crate) fn broken(error: &io::Error) -> RpcError {
    tracing::error!(%error, "a meeting's files failed");
    failed("a meeting's files").with("reason", error.kind().to_string())
}

/// What could not be used.
pub(crate) fn failed(what: &str) -> RpcError {
    let why = format!("{what} could not be read or written; see to the disk of the state root");
    RpcError::internal(why).with("retryable", true)
}
