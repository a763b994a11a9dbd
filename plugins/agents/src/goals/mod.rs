//! Completion checks of chats: kept in a file and passed on. The daemon never runs one.

pub(crate) mod suggest;

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use carport_core::{Clock, Guarded, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

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

/// Every goal. The file has a change before it is seen.
pub(crate) struct Goals {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    table: Guarded<Arc<Table>>,
    /// One writer at a time.
    writing: Mutex<()>,
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
        let table = Guarded::new(Arc::new(table));
        Ok(Self { path, clock, table, writing: Mutex::new(()) })
    }

    pub(crate) fn get(&self, session_id: &str) -> Option<GoalState> {
        self.table.lock().get(session_id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<GoalState> {
        self.table.lock().values().cloned().collect()
    }

    /// The goal that goes with a chat that brings none of its own.
    pub(crate) fn standing(&self, session_id: &str) -> Option<Goal> {
        let state = self.get(session_id)?;
        Some(Goal { check: state.check, max_iterations: state.max_iterations })
    }

    /// Sets the goal of a chat.
    pub(crate) async fn set(&self, session_id: &str, goal: Goal) -> Result<GoalState> {
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
        let kept = state.clone();
        self.change(move |table| {
            if table.len() >= MAX_GOALS && !table.contains_key(&kept.session_id) {
                return Err(RpcError::limit("goals", MAX_GOALS as u64));
            }
            table.insert(kept.session_id.clone(), kept);
            Ok(true)
        })
        .await?;
        Ok(state)
    }

    /// Forgets one goal; `false` if there is none.
    pub(crate) async fn clear(&self, session_id: &str) -> Result<bool> {
        self.change(|table| Ok(table.remove(session_id).is_some())).await
    }

    /// Forgets those that `which` picks; answers how many.
    pub(crate) async fn clear_all(
        &self,
        which: impl Fn(&str) -> bool + Send + Sync,
    ) -> Result<usize> {
        let mut cleared = 0;
        self.change(|table| {
            let before = table.len();
            table.retain(|id, _| !which(id));
            cleared = before - table.len();
            Ok(cleared > 0)
        })
        .await?;
        Ok(cleared)
    }

    /// An event of a chat passed by: its goal follows.
    pub(crate) async fn heard(
        &self,
        session_id: &str,
        kind: &str,
        members: &Map<String, Value>,
    ) -> Result<()> {
        if !matches!(kind, "goal_evaluated" | "done" | "error") || self.get(session_id).is_none() {
            return Ok(());
        }
        let now = self.clock.now().timestamp();
        let change = |table: &mut Table| {
            let state = table.get_mut(session_id);
            Ok(state.map(|state| state.follow(kind, members, now)).is_some())
        };
        self.change(change).await.map(drop)
    }

    /// Changes a copy, writes it, and shows it then. `change` says whether there is anything to write.
    async fn change(&self, change: impl FnOnce(&mut Table) -> Result<bool> + Send) -> Result<bool> {
        let _writer = self.writing.lock().await;
        let mut table = Table::clone(&self.table.lock().clone());
        if !change(&mut table)? {
            return Ok(false);
        }
        let (table, path) = (Arc::new(table), self.path.clone());
        let bytes = serde_json::to_vec_pretty(&*table).map_err(RpcError::internal)?;
        blocking(move || files::replace(&path, &bytes)).await?.map_err(RpcError::internal)?;
        *self.table.lock() = table;
        Ok(true)
    }
}

impl GoalState {
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
                GoalStatus::Running
            }
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
