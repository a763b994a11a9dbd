//! Completion checks of chats: kept in a file and passed on. The daemon never runs one.

pub(crate) mod suggest;

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use carport_core::{Clock, Guarded, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use uuid::Uuid;

use crate::{chat::Goal, files, keeping::blocking};

/// How many goals are kept.
const MAX_GOALS: usize = 1000;

/// Where a goal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GoalStatus {
    /// Set.
    Active,
    /// An agent works on it; read back from the file as `active`.
    Running,
    /// The chat ended and the check had succeeded.
    Met,
    /// The chat ended without an evaluation.
    Unevaluated,
    /// The chat ended with an error.
    Error,
}

/// A goal and how it fares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoalState {
    /// The chat.
    pub session_id: String,
    /// A command that succeeds once the goal is met.
    pub check: String,
    /// How often the agent may try.
    pub max_iterations: u32,
    /// Where it stands.
    pub status: GoalStatus,
    /// Which try was evaluated last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_iteration: Option<u64>,
    /// Whether it was met then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_met: Option<bool>,
    /// Whether evidence was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_grounded: Option<bool>,
    /// Why, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_reason: Option<String>,
    /// The kind of the event that ended the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_kind: Option<String>,
    /// What the chat ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal_message: Option<String>,
    /// When it last changed, in Unix seconds.
    pub updated_at: i64,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

type Table = BTreeMap<String, GoalState>;

/// Goals by chat as they are to be; `None` where there is to be none.
type Delta = BTreeMap<String, Option<GoalState>>;

/// Every goal. The file has a change that somebody asked for before it is seen; how far an agent has
/// come is seen at once and written soon after.
pub(crate) struct Goals {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    kept: Arc<Guarded<Kept>>,
    /// One writer at a time. Its guard goes with the write, so that a caller who leaves cannot let
    /// another write overtake it.
    writing: Arc<Mutex<()>>,
    unwritten: Notify,
}

#[derive(Default)]
struct Kept {
    table: Arc<Table>,
    /// Whether the file lacks something of the table.
    is_ahead: bool,
}

/// What a change did, for whoever may have to take it back.
pub(crate) struct Undo {
    before: Delta,
    after: Delta,
}

impl Goal {
    /// The same goal with its check trimmed, if it is in bounds.
    pub(crate) fn checked(&self, field: &str) -> Result<Self> {
        let check = self.check.trim();
        bounds::bytes(&format!("{field}check"), check, 1..=4096)?;
        bounds::within(&format!("{field}max_iterations"), self.max_iterations, 1..=50)?;
        Ok(Self { check: check.to_owned(), max_iterations: self.max_iterations })
    }
}

impl Goals {
    /// Reads the file; one that cannot be read stops the boot with its path.
    pub(crate) fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self> {
        let table = read(&path)
            .map_err(|error| RpcError::internal(format!("{}: {error}", path.display())))?;
        let kept = Guarded::new(Kept { table: Arc::new(table), is_ahead: false });
        let (writing, unwritten) = (Arc::default(), Notify::new());
        Ok(Self { path, clock, kept: Arc::new(kept), writing, unwritten })
    }

    fn table(&self) -> Arc<Table> {
        self.kept.lock().table.clone()
    }

    pub(crate) fn get(&self, session_id: &str) -> Option<GoalState> {
        self.table().get(session_id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<GoalState> {
        self.table().values().cloned().collect()
    }

    /// The goal that goes with a chat that brings none of its own.
    pub(crate) fn standing(&self, session_id: &str) -> Option<Goal> {
        let state = self.get(session_id)?;
        Some(Goal { check: state.check, max_iterations: state.max_iterations })
    }

    /// Sets the goal of a chat, if `may` lets it when its turn has come. A full table gives up the
    /// oldest goal whose work is over and whose chat does not run.
    pub(crate) async fn set(
        &self,
        session_id: &str,
        goal: Goal,
        may: impl FnOnce() -> Result<()> + Send,
        runs: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<(GoalState, Undo)> {
        let state = GoalState {
            session_id: session_id.to_owned(),
            check: goal.check,
            max_iterations: goal.max_iterations,
            status: GoalStatus::Active,
            last_iteration: None,
            last_met: None,
            last_grounded: None,
            last_reason: None,
            terminal_kind: None,
            terminal_message: None,
            updated_at: self.clock.now().timestamp(),
            other: Map::new(),
        };
        let plan = |table: &Table| {
            may()?;
            let mut delta = Delta::from([(session_id.to_owned(), Some(state.clone()))]);
            if table.len() >= MAX_GOALS && !table.contains_key(session_id) {
                let over = table.values().filter(|it| it.is_over() && !runs(&it.session_id));
                let oldest = over.min_by_key(|it| it.updated_at);
                let full = || {
                    let error = RpcError::limit("goals", MAX_GOALS as u64);
                    error.with("got", table.len() + 1)
                };
                delta.insert(oldest.ok_or_else(full)?.session_id.clone(), None);
            }
            Ok(delta)
        };
        Ok((state.clone(), self.change(plan).await?))
    }

    /// Takes a change back, as far as nobody has changed the same goals since.
    pub(crate) async fn undo(&self, Undo { before, after }: Undo) -> Result<()> {
        let plan = |table: &Table| {
            let mut delta = before;
            delta.retain(|id, _| table.get(id) == after.get(id).and_then(Option::as_ref));
            Ok(delta)
        };
        self.change(plan).await.map(drop)
    }

    /// Forgets those that `which` picks when its turn has come; answers how many.
    pub(crate) async fn clear(
        &self,
        which: impl Fn(&str) -> Result<bool> + Send + Sync,
    ) -> Result<usize> {
        let plan = |table: &Table| {
            let mut delta = Delta::new();
            for id in table.keys() {
                if which(id)? {
                    delta.insert(id.clone(), None);
                }
            }
            Ok(delta)
        };
        Ok(self.change(plan).await?.after.len())
    }

    /// An event of a chat passed by: its goal follows. Never waits; [`Self::keep_written`] writes it.
    pub(crate) fn heard(&self, session_id: &str, kind: &str, members: &Map<String, Value>) {
        if !matches!(kind, "goal_evaluated" | "done" | "error") {
            return;
        }
        let mut kept = self.kept.lock();
        if !kept.table.contains_key(session_id) {
            return;
        }
        if let Some(state) = Arc::make_mut(&mut kept.table).get_mut(session_id) {
            state.follow(kind, members, self.clock.now().timestamp());
        }
        kept.is_ahead = true;
        self.unwritten.notify_one();
    }

    /// Writes what was heard, for as long as the host runs.
    pub(crate) async fn keep_written(&self) {
        loop {
            self.unwritten.notified().await;
            self.flush().await;
        }
    }

    /// Writes what the file lacks, if anything.
    pub(crate) async fn flush(&self) {
        if !self.kept.lock().is_ahead {
            return;
        }
        if let Err(error) = self.write(self.writing.clone().lock_owned().await, Delta::new()).await
        {
            tracing::error!(%error, "the goals of chats were not written");
        }
    }

    /// Writes the table with what `plan` makes of it, and shows it then.
    async fn change(&self, plan: impl FnOnce(&Table) -> Result<Delta> + Send) -> Result<Undo> {
        let writer = self.writing.clone().lock_owned().await;
        let table = self.table();
        let after = plan(&table)?;
        let before = after.keys().map(|id| (id.clone(), table.get(id).cloned())).collect();
        if !after.is_empty() {
            self.write(writer, after.clone()).await?;
        }
        Ok(Undo { before, after })
    }

    async fn write(&self, writer: OwnedMutexGuard<()>, delta: Delta) -> Result<()> {
        let (kept, path) = (self.kept.clone(), self.path.clone());
        let write = move || {
            let _writer = writer;
            let mut table = {
                let mut kept = kept.lock();
                kept.is_ahead = false;
                kept.table.clone()
            };
            apply(&delta, &mut table);
            let written = serde_json::to_vec_pretty(&*table).map_err(io::Error::from);
            let written = written.and_then(|bytes| files::replace(&path, &bytes));
            let mut kept = kept.lock();
            match &written {
                // What was heard meanwhile stays.
                Ok(()) => apply(&delta, &mut kept.table),
                Err(_) => kept.is_ahead = true,
            }
            written
        };
        blocking(write).await?.map_err(RpcError::internal)
    }
}

fn apply(delta: &Delta, table: &mut Arc<Table>) {
    if delta.is_empty() {
        return;
    }
    let table = Arc::make_mut(table);
    for (id, state) in delta {
        match state {
            Some(state) => drop(table.insert(id.clone(), state.clone())),
            None => drop(table.remove(id)),
        }
    }
}

impl GoalState {
    /// Whether nobody works on it any more: it ended, or its chat had an id that the daemon made up
    /// and that nobody comes back to.
    fn is_over(&self) -> bool {
        let is_minted =
            self.session_id.strip_prefix("chat-").is_some_and(|it| Uuid::try_parse(it).is_ok());
        let ended = [GoalStatus::Met, GoalStatus::Unevaluated, GoalStatus::Error];
        is_minted || ended.contains(&self.status)
    }

    fn follow(&mut self, kind: &str, members: &Map<String, Value>, now: i64) {
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        let flag = |name: &str| members.get(name).and_then(Value::as_bool);
        self.updated_at = now;
        self.status = match kind {
            "goal_evaluated" => {
                self.last_iteration = members.get("iteration").and_then(Value::as_u64);
                self.last_met = flag("met");
                self.last_grounded = flag("grounded");
                self.last_reason = text("reason").map(|it| cut(&it));
                (self.terminal_kind, self.terminal_message) = (None, None);
                GoalStatus::Running
            }
            // Whoever broke the work off did not say that it is done.
            "done" if text("finish_reason").as_deref() == Some("cancelled") => GoalStatus::Active,
            "done" if flag("goal_unevaluated") == Some(true) => GoalStatus::Unevaluated,
            "done" => GoalStatus::Met,
            _ => GoalStatus::Error,
        };
        if kind != "goal_evaluated" {
            self.terminal_kind = Some(kind.to_owned());
            let message = if kind == "done" { text("finish_reason") } else { text("error") };
            self.terminal_message = message.or_else(|| text("delta")).map(|it| cut(&it));
        }
    }
}

/// What the file keeps of an agent's words: 1024 bytes at most.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(1024)].to_owned()
}

fn read(path: &PathBuf) -> io::Result<Table> {
    let mut table: Table = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Table::new(),
        Err(error) => return Err(error),
    };
    for state in table.values_mut().filter(|it| it.status == GoalStatus::Running) {
        state.status = GoalStatus::Active;
    }
    Ok(table)
}

#[cfg(test)]
mod tests;
