//! A tool call: what stands for it, its attempts, and the pauses between them.

use std::{sync::Arc, time::Duration};

use carport_engine_api::{CONNECTION_ENDED, ToolCall};
use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{Action, InvocationMode, Refusal, digest};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::{batch::Batch, report::without_nulls};
use crate::{
    runtime::Runtime,
    tools::{
        call::{ExecuteTool, Failure, ask_client, call_host},
        detached::{ask_detached, run_detached},
        handles::{RUNNING_LIFE, Subject},
        registry::Tool,
    },
};

/// The pause before the second attempt; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a result of an idempotent action stands for the action.
const IDEMPOTENT_LIFE: TimeDelta = TimeDelta::minutes(10);

/// What came of an action.
pub(super) struct Outcome {
    pub(super) done: Result<Value, Failure>,
    pub(super) changes: Map<String, Value>,
    pub(super) attempts: u32,
    pub(super) cached: bool,
}

impl Outcome {
    pub(super) fn new(done: Result<Value, Failure>) -> Self {
        Self { done, changes: Map::new(), attempts: 0, cached: false }
    }
}

/// A call that rate limits have counted. Unless it is made, it is taken back.
pub(super) struct Counted {
    runtime: Arc<Runtime>,
    tool: Option<String>,
    at: Duration,
    by_rules: bool,
    by_tool: bool,
}

impl Counted {
    pub(super) fn new(runtime: &Arc<Runtime>, tool: Option<&str>) -> Self {
        let (runtime, tool) = (runtime.clone(), tool.map(str::to_owned));
        let at = runtime.ticks();
        Self { runtime, tool, at, by_rules: false, by_tool: false }
    }

    /// Counts with the operator's limits.
    pub(super) fn by_rules(&mut self) -> Result<(), Refusal> {
        let Some(tool) = &self.tool else { return Ok(()) };
        self.runtime.windows.lock().take(tool, self.at)?;
        self.by_rules = true;
        Ok(())
    }

    /// Counts with the tool's own limit; else says when to come back.
    pub(super) fn by_tool(&mut self) -> Result<(), String> {
        let Some(tool) = &self.tool else { return Ok(()) };
        let mut tools = self.runtime.tools.lock();
        let Some(window) = tools.window(tool) else { return Ok(()) };
        match window.take(self.at) {
            Ok(()) => {
                self.by_tool = true;
                Ok(())
            }
            Err(Some(wait)) => Err(format!("try again in {:.3} s", wait.as_secs_f64())),
            Err(None) => Err("no call is allowed".into()),
        }
    }

    /// The call is made.
    fn spend(&mut self) {
        (self.by_rules, self.by_tool) = (false, false);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some(tool) = &self.tool else { return };
        if self.by_rules {
            self.runtime.windows.lock().give_back(tool, self.at);
        }
        if self.by_tool
            && let Some(window) = self.runtime.tools.lock().window(tool)
        {
            window.give_back(self.at);
        }
    }
}

/// What a tool call is known by in the caches.
struct Keys {
    result: Option<(String, TimeDelta)>,
    idempotent: Option<String>,
}

impl Batch<'_> {
    /// Calls a tool: a cache answers, or the tool does, in as many attempts as the action allows.
    pub(super) async fn call(
        &self,
        action: &Action,
        tool: Arc<Tool>,
        parameters: &Map<String, Value>,
        counted: Counted,
    ) -> Outcome {
        if action.invocation_mode != InvocationMode::OneShot {
            return self.attempts(action, &tool, parameters, counted).await;
        }
        let keys = self.keys(action, &tool, parameters);
        if let Some(output) = self.cached(&keys) {
            return Outcome { cached: true, ..Outcome::new(Ok(output)) };
        }
        let outcome = self.attempts(action, &tool, parameters, counted).await;
        if let Ok(output) = &outcome.done {
            self.remember(keys, &tool, output);
        }
        outcome
    }

    async fn attempts(
        &self,
        action: &Action,
        tool: &Tool,
        parameters: &Map<String, Value>,
        mut counted: Counted,
    ) -> Outcome {
        let mut attempt = 1;
        loop {
            counted.spend();
            let done = match action.invocation_mode {
                InvocationMode::OneShot => {
                    let done = self.attempt(action, tool, parameters, attempt).await;
                    done.and_then(|output| keeps_promise(tool, output))
                }
                _ => self.detach(action, tool, parameters, attempt).await,
            };
            let failure = match done {
                Ok(output) => return Outcome { attempts: attempt, ..Outcome::new(Ok(output)) },
                Err(failure) => failure,
            };
            if !self.again(action, &failure, attempt).await {
                return Outcome { attempts: attempt, ..Outcome::new(Err(failure)) };
            }
            counted = Counted::new(&self.run.runtime, action.called_tool());
            if let Err(why) =
                counted.by_rules().map_err(|it| it.to_string()).and_then(|()| counted.by_tool())
            {
                let error = format!("{}; not tried again: {why}", failure.error);
                let failure = Failure::new(failure.class, error);
                return Outcome { attempts: attempt, ..Outcome::new(Err(failure)) };
            }
            attempt += 1;
            self.at_attempt(action, attempt);
        }
    }

    /// Does what an action on state does, in as many attempts as it allows: others may write meanwhile.
    pub(super) async fn state_attempts(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
    ) -> Outcome {
        let mut attempt = 1;
        loop {
            let done = self.on_state(action, parameters);
            if let Err(failure) = &done
                && self.again(action, failure, attempt).await
            {
                attempt += 1;
                self.at_attempt(action, attempt);
                continue;
            }
            return Outcome { attempts: attempt, ..Outcome::new(done) };
        }
    }

    /// After a failure, whether a further attempt is due; if so, it is announced and the pause is over.
    async fn again(&self, action: &Action, failure: &Failure, attempt: u32) -> bool {
        if attempt >= action.attempts() {
            return false;
        }
        self.note_retry(action, failure, attempt + 1).await;
        let pause = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16));
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        true
    }

    /// If the proposal is ended from outside, it is told at which attempt the action was.
    fn at_attempt(&self, action: &Action, attempt: u32) {
        let Some(at) = self.ids.get(action.id.as_str()) else { return };
        self.progress.lock().running.insert(*at, attempt);
    }

    async fn attempt(
        &self,
        action: &Action,
        tool: &Tool,
        parameters: &Map<String, Value>,
        attempt: u32,
    ) -> Result<Value, Failure> {
        let limit = self.limit(action);
        if let Some(host) = &tool.host {
            let call = self.host_call(action, attempt, limit);
            return call_host(&**host, parameters.clone(), call).await;
        }
        let Some(session) = &self.run.who.session else {
            return Err(Failure::new("tool_error", "no client is there to run the tool"));
        };
        let ask = self.request(action, parameters, attempt, None);
        match ask_client(session, ask, limit, &self.run.entered.halt).await {
            Some(answer) => answer,
            None => {
                // Nothing further starts.
                self.run.entered.halt.now(CONNECTION_ENDED);
                std::future::pending().await
            }
        }
    }

    /// How long one attempt may take.
    fn limit(&self, action: &Action) -> Duration {
        action.timeout_ms.map_or(self.run.hub.tool_timeout, Duration::from_millis)
    }

    fn host_call(&self, action: &Action, attempt: u32, timeout: Duration) -> ToolCall {
        let (proposal_id, action_id) = (self.proposal.id.clone(), action.id.clone());
        ToolCall { proposal_id, action_id, attempt, timeout }
    }

    fn request(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
        attempt: u32,
        handle: Option<&str>,
    ) -> ExecuteTool {
        let mode = match action.invocation_mode {
            InvocationMode::OneShot => None,
            InvocationMode::Streaming => Some("streaming"),
            InvocationMode::LongRunning => Some("long_running"),
        };
        ExecuteTool {
            action_id: action.id.clone(),
            tool: action.called_tool().unwrap_or_default().to_owned(),
            parameters: parameters.clone(),
            timeout_ms: action.timeout_ms,
            attempt,
            request_id: String::new(),
            session_id: self.run.runtime.id.clone(),
            proposal_id: self.proposal.id.clone(),
            run_id: self.run.run_id.clone(),
            caller_id: self.run.scope.caller_id.clone(),
            invocation_mode: mode.map(str::to_owned),
            handle: handle.map(str::to_owned),
        }
    }

    /// Begins a call that goes on after its action.
    async fn detach(
        &self,
        action: &Action,
        tool: &Tool,
        parameters: &Map<String, Value>,
        attempt: u32,
    ) -> Result<Value, Failure> {
        let (runtime, hub) = (&self.run.runtime, &self.run.hub);
        let subject = Subject {
            tool: tool.schema.name.clone(),
            action_id: action.id.clone(),
            proposal_id: self.proposal.id.clone(),
        };
        let handle = match runtime.start_handle(subject).await {
            Ok(handle) => handle,
            Err(full) => return Err(Failure::new("unknown", full.message)),
        };
        let output = json!({ "tool_handle": handle, "status": "running" });
        let limit = self.limit(action);
        let queued = match (&tool.host, &self.run.who.session) {
            (Some(host), _) => {
                let life = RUNNING_LIFE.to_std().unwrap_or(limit);
                let call = self.host_call(action, attempt, life);
                run_detached(hub, runtime, host.clone(), parameters.clone(), call, &handle);
                Ok(true)
            }
            (None, Some(session)) => {
                let ask = self.request(action, parameters, attempt, Some(&handle));
                let asking = ask_detached(hub, runtime, session, ask, &handle);
                tokio::time::timeout(limit, asking).await
            }
            (None, None) => Ok(false),
        };
        match queued {
            Ok(true) => Ok(output),
            Ok(false) => Err(Failure::new("tool_error", "no client is there to run the tool")),
            Err(_) => Err(Failure::timeout(limit)),
        }
    }

    fn keys(&self, action: &Action, tool: &Tool, parameters: &Map<String, Value>) -> Keys {
        let (name, tenant) = (&tool.schema.name, self.run.scope.tenant());
        let life = tool.cache_life().map(|secs| TimeDelta::seconds(secs as i64));
        let result = life.map(|life| (digest(&json!([name, parameters, tenant])), life));
        let whole = || json!([self.proposal.id, action.id, name, parameters, tenant]);
        Keys { result, idempotent: action.idempotent.then(|| digest(&whole())) }
    }

    fn cached(&self, keys: &Keys) -> Option<Value> {
        let (runtime, now) = (&self.run.runtime, self.run.hub.now());
        let result = keys.result.as_ref();
        let found = result.and_then(|(key, _)| runtime.results.lock().get(key, now));
        let again = keys.idempotent.as_ref();
        found.or_else(|| again.and_then(|key| runtime.idempotent.lock().get(key, now)))
    }

    /// Keeps a result, unless the tool changed while it ran.
    fn remember(&self, keys: Keys, called: &Arc<Tool>, output: &Value) {
        let (runtime, now) = (&self.run.runtime, self.run.hub.now());
        let tool = &called.schema.name;
        // Held over the caches: whoever changes a tool then forgets its results.
        let tools = runtime.tools.lock();
        if !tools.get(tool).is_some_and(|it| Arc::ptr_eq(&it, called)) {
            return;
        }
        if let Some((key, life)) = keys.result {
            runtime.results.lock().put(key, tool, output, now, life);
        }
        if let Some(key) = keys.idempotent {
            runtime.idempotent.lock().put(key, tool, output, now, IDEMPOTENT_LIFE);
        }
        drop(tools);
    }

    async fn note_retry(&self, action: &Action, failure: &Failure, attempt: u32) {
        let data = without_nulls(json!({
            "tool": action.called_tool(),
            "error": carport_core::mask_text(&failure.error, 512),
            "attempt": attempt,
        }));
        let event = NewEvent::new(Kind::ActionRetried, data);
        self.run.note(event.of_proposal(&self.proposal.id).of_action(&action.id)).await;
    }
}

/// A result that breaks what the tool promises is a failure.
fn keeps_promise(tool: &Tool, output: Value) -> Result<Value, Failure> {
    match tool.broken_promise(&output) {
        None => Ok(output),
        Some(why) => {
            let error = format!("the result does not fit the tool's `returns`: {why}");
            Err(Failure::new("validation", error))
        }
    }
}
