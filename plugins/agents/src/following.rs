//! Logs that connections follow: a task each, which a slow connection never holds up.

use std::{collections::BTreeMap, sync::Arc};

use carport_agents_process::logs::{LogLine, Stream, Streams};
use carport_core::{Caller, Guarded, Notification, Result, RpcError, Session, Tasks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        oneshot,
    },
    task::AbortHandle,
};

/// How many logs one connection follows.
const MAX_LOGS: usize = 16;

/// An agent printed a line, and this connection follows its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentLogLine {
    /// The agent.
    pub id: String,
    /// Where it printed it.
    pub stream: Stream,
    /// Without its end, cut at 64 KiB.
    pub line: String,
    /// Counts the lines of the stream; a gap shows some that this connection was too slow for.
    pub cursor: u64,
}

impl Notification for AgentLogLine {
    const NAME: &'static str = "agents.log";
}

/// The logs that one connection follows, by agent.
#[derive(Default)]
struct Following(Guarded<BTreeMap<String, Followed>>);

/// A log that is followed.
struct Followed {
    /// Whether it still is. Each line is told under this lock: none comes after the end.
    live: Arc<Guarded<bool>>,
    task: AbortHandle,
}

impl Followed {
    fn end(self) {
        *self.live.lock() = false;
        self.task.abort();
    }
}

/// Tells the caller of these lines. What it followed of the same agent before has to have [`end`]ed
/// before these lines began: else it would hear some twice. It hears the first one after the reply to
/// its call.
pub(crate) fn begin(
    tasks: &Tasks,
    caller: &Caller,
    id: &str,
    streams: Streams,
    lines: broadcast::Receiver<Arc<LogLine>>,
) -> Result<()> {
    let following = caller.session().slot::<Following>();
    let mut following = following.0.lock();
    following.retain(|_, it| !it.task.is_finished());
    if following.len() >= MAX_LOGS && !following.contains_key(id) {
        return Err(RpcError::limit("logs that one connection follows", MAX_LOGS as u64));
    }
    let (replied, reply) = oneshot::channel();
    let (session, name) = (caller.session().clone(), id.to_owned());
    let live = Arc::new(Guarded::new(true));
    let told = live.clone();
    let task = tasks.spawn("follow-log", async move {
        // A call that failed after all drops the sender.
        if reply.await.is_ok() {
            tell(&session, &name, streams, lines, &told).await;
        }
    });
    // Of another call that came at the same time.
    if let Some(former) = following.insert(id.to_owned(), Followed { live, task }) {
        former.end();
    }
    caller.after_reply(move || {
        // The task may have been ended meanwhile.
        let _ = replied.send(());
    });
    Ok(())
}

async fn tell(
    session: &Session,
    id: &str,
    streams: Streams,
    mut lines: broadcast::Receiver<Arc<LogLine>>,
    live: &Guarded<bool>,
) {
    loop {
        match lines.recv().await {
            Ok(line) if streams.includes(line.stream) => {
                let (id, text) = (id.to_owned(), line.text.clone());
                let live = live.lock();
                if !*live {
                    return;
                }
                // A connection without room loses the line; the next cursor shows it.
                session.notify(&AgentLogLine {
                    id,
                    stream: line.stream,
                    line: text,
                    cursor: line.number,
                });
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// Follows no longer, and tells no line more; `false` if the connection did not.
pub(crate) fn end(session: &Session, id: &str) -> bool {
    let followed = session.slot::<Following>().0.lock().remove(id);
    followed.is_some_and(|followed| {
        let lives = !followed.task.is_finished();
        followed.end();
        lives
    })
}

/// The connection ended.
pub(crate) fn end_all(session: &Session) {
    let following = std::mem::take(&mut *session.slot::<Following>().0.lock());
    following.into_values().for_each(Followed::end);
}
