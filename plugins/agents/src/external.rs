//! Runs of external agents: begun for a connection, audited, ended with whoever waits for them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use carport_agents_external::{
    BadAdapter, End, Ended, Externals, Ground, Invocation, Outcome, Saying, Stopper,
};
use carport_agents_process::{Rules, SpawnError, own_environment};
use carport_core::{Clock, Guarded, Result, RpcError, StartContext, Tasks, mask_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use crate::{
    chat::{Chats, EVENT_BYTES, RunRoute},
    config::Config,
    journal::Journal,
    shim,
};

/// How a run of an external agent came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvokeResult {
    /// The answer, at most 1 MiB.
    pub answer: String,
    /// Whether there was more of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The agent's own name for its session, to go on with it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// How many turns it took; 1 if the agent does not tell.
    pub turns: u32,
    /// How many tools it called.
    pub tool_calls: u32,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What it cost, in US dollars, if the agent tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_cost_usd: Option<f64>,
    /// How many attachments were not handed over: no image, too large, outside the roots, or nothing
    /// that this agent takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_attachments: Option<usize>,
    /// Whether the task failed.
    pub is_error: bool,
    /// Why it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is asked for, ready to be run.
pub(crate) struct Job {
    pub(crate) adapter_id: String,
    pub(crate) invocation: Invocation,
    pub(crate) dropped_attachments: Option<usize>,
    /// The parameters less the task, for the audit file.
    pub(crate) options: Value,
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) stopper: Stopper,
}

/// Who waits for a run.
pub(crate) enum Waiting {
    Reply(oneshot::Sender<InvokeResult>),
    Chat(RunRoute),
}

/// External agents, and those that run.
pub(crate) struct ExternalRuns {
    pub(crate) externals: Externals,
    chats: Arc<Chats>,
    tasks: Tasks,
    journal: Journal,
    clock: Arc<dyn Clock>,
    running: Guarded<Running>,
}

#[derive(Default)]
struct Running {
    next: u64,
    stoppers: BTreeMap<u64, (String, Stopper)>,
    closed: bool,
}

/// One that runs.
pub(crate) struct Run {
    pub(crate) adapter_id: String,
    number: u64,
}

impl Run {
    /// What tells it from other runs of its adapter.
    pub(crate) fn address(&self) -> String {
        format!("{}#{}", self.adapter_id, self.number)
    }
}

impl ExternalRuns {
    pub(crate) fn new(
        cx: &StartContext<'_>,
        config: &Config,
        rules: &Arc<Rules>,
        chats: Arc<Chats>,
    ) -> Result<Self> {
        let ground = Ground {
            shim: shim(config)?,
            rules: rules.clone(),
            inherit: config.inherit_env.into(),
            environment: own_environment(),
            directory: private_directory(cx)?,
            ask_limit: Duration::from_secs(config.external_ask_secs.clamp(1, 60).into()),
            clock: cx.clock(),
        };
        let most = config.external_max.clamp(1, 256) as usize;
        let bad = |error: BadAdapter| RpcError::internal(format!("configuration: {error}"));
        let externals = Externals::new(ground, config.external.clone(), most).map_err(bad)?;
        let journal = cx.state_dir("journals")?.join("external-agents.jsonl");
        let (tasks, clock) = (cx.tasks(), cx.clock());
        let journal = Journal::open(journal, &tasks);
        Ok(Self { externals, chats, tasks, journal, clock, running: Guarded::default() })
    }

    /// Begins a run. It goes on by itself until it ends or its stopper is used.
    pub(crate) fn begin(self: &Arc<Self>, job: Job, waiting: Waiting) -> Result<()> {
        let number = {
            let mut running = self.running.lock();
            if running.closed {
                return Err(RpcError::conflict("the daemon is shutting down"));
            }
            running.next += 1;
            let number = running.next;
            running.stoppers.insert(number, (job.adapter_id.clone(), job.stopper.clone()));
            number
        };
        let own = self.clone();
        self.tasks.spawn("external-agent", async move {
            own.run(job, waiting).await;
            own.running.lock().stoppers.remove(&number);
        });
        Ok(())
    }

    /// Those that run, the oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let running = self.running.lock();
        let run = |(number, (adapter_id, _)): (&u64, &(String, Stopper))| Run {
            adapter_id: adapter_id.clone(),
            number: *number,
        };
        running.stoppers.iter().map(run).collect()
    }

    /// Stops every run and waits until none is left.
    pub(crate) async fn close(&self) {
        let stoppers = {
            let mut running = self.running.lock();
            running.closed = true;
            std::mem::take(&mut running.stoppers)
        };
        stoppers.values().for_each(|(_, stopper)| stopper.stop());
        self.externals.idle().await;
    }

    async fn run(&self, job: Job, waiting: Waiting) {
        let Job { adapter_id, invocation, dropped_attachments, options, slot, stopper } = job;
        let (task, began) = (invocation.values.task.clone(), Instant::now());
        let hear = |saying| {
            if let Waiting::Chat(route) = &waiting {
                let (kind, members) = event(saying);
                self.chats.say(route, kind, members);
            }
        };
        let ended = self.externals.run(&adapter_id, invocation, &stopper, hear).await;
        let stopped = matches!(&ended, Ok(Ended { end: End::Stopped, .. }));
        let result = result(ended, began.elapsed(), dropped_attachments);
        self.journal.write(&self.audited(&adapter_id, &task, &options, &result)).await;
        // Who hears of the end may begin the next one.
        drop(slot);
        match waiting {
            // Whoever waited may be gone.
            Waiting::Reply(reply) => drop(reply.send(result)),
            Waiting::Chat(route) => {
                let (kind, members) = ending(&result, stopped);
                self.chats.say(&route, kind, members);
            }
        }
    }

    /// The line of the audit file, masked as what is shown for an approval.
    fn audited(
        &self,
        adapter_id: &str,
        task: &str,
        options: &Value,
        result: &InvokeResult,
    ) -> Value {
        let text = |text: &str| mask_text(text, usize::MAX);
        let object = |value: &Value| -> Value {
            serde_json::from_str(&text(&value.to_string())).unwrap_or_default()
        };
        let shown = InvokeResult {
            answer: text(&result.answer),
            error: result.error.as_deref().map(text),
            ..result.clone()
        };
        json!({
            "ts": self.clock.now(), "adapter_id": adapter_id, "task": text(task),
            "options": object(options), "result": object(&json!(shown)),
        })
    }
}

/// An empty directory for files that live as long as a run. What an earlier daemon left goes.
fn private_directory(cx: &StartContext<'_>) -> Result<PathBuf> {
    let place = cx.state_dir("run/external")?;
    std::fs::remove_dir_all(place).map_err(RpcError::internal)?;
    cx.state_dir("run/external")
}

fn result(
    ended: Result<Ended, SpawnError>,
    took: Duration,
    dropped_attachments: Option<usize>,
) -> InvokeResult {
    let (outcome, error) = match ended {
        Ok(ended) => (ended.outcome.clone(), ended.outcome.error),
        Err(error) => (Outcome { turns: Some(0), ..Outcome::default() }, Some(error.to_string())),
    };
    InvokeResult {
        answer: outcome.answer,
        truncated: outcome.truncated,
        session_id: outcome.session_id,
        turns: outcome.turns.unwrap_or(1),
        tool_calls: outcome.tool_calls,
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        total_cost_usd: outcome.total_cost_usd,
        dropped_attachments,
        is_error: error.is_some(),
        error,
    }
}

/// What a run says, as an event of its chat.
fn event(saying: Saying) -> (&'static str, Map<String, Value>) {
    match saying {
        Saying::Token(text) => ("token", Map::from_iter([("delta".to_owned(), text.into())])),
        Saying::ToolCall { tool, params } => {
            let params = params.map(|it| ("params".to_owned(), it));
            let tool = ("tool".to_owned(), tool.into());
            ("tool_call", Map::from_iter([tool].into_iter().chain(params)))
        }
    }
}

/// The last event of a run's chat: what came out of it, the agent's session under a name of its own.
fn ending(result: &InvokeResult, stopped: bool) -> (&'static str, Map<String, Value>) {
    let (kind, finish_reason) = match (stopped, result.is_error) {
        (true, _) => ("done", "cancelled"),
        (false, true) => ("error", "error"),
        (false, false) => ("done", "stop"),
    };
    let Value::Object(mut members) = json!(result) else { return (kind, Map::new()) };
    let renamed = [("answer", "text"), ("session_id", "external_session_id")];
    for (from, to) in renamed {
        if let Some(value) = members.remove(from) {
            members.insert(to.into(), value);
        }
    }
    members.insert("finish_reason".into(), finish_reason.into());
    shorten(&mut members);
    (kind, members)
}

/// Cuts the end of the text off until the members are as large as an event may be. Escapes make up to
/// six bytes of one.
fn shorten(members: &mut Map<String, Value>) {
    let surplus = |members: &_| json!(members).to_string().len().saturating_sub(EVENT_BYTES);
    if surplus(members) == 0 {
        return;
    }
    members.insert("truncated".into(), true.into());
    let mut surplus = surplus(members);
    let Some(Value::String(text)) = members.get_mut("text") else { return };
    while surplus > 0
        && let Some(letter) = text.pop()
    {
        let encoded = match letter {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..' ' => 6,
            _ => letter.len_utf8(),
        };
        surplus = surplus.saturating_sub(encoded);
    }
}
