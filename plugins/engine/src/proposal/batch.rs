//! The actions of one proposal: who may start when, what a failure does to the others, and the way back.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    pin::Pin,
};

use carport_core::Guarded;
use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{
    Action, ActionProposal, ActionResult, Order, Status, Tier, digest_object,
};
use futures_util::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};
use serde_json::{Map, Value, json};

use super::{Run, early::Touch, gates::Refused, report::shown_keys};
use crate::state::Undo;

/// What the others hear once an action ended the proposal.
const ABORTED: &str = "skipped due to earlier abort";
/// Beyond so many actions, or keys of all actions, none starts before the levels below its own are
/// done: to find out would cost more than it saves.
const EARLY_ACTIONS: usize = 64;
const EARLY_KEYS: usize = 1024;
/// Bytes of JSON of filled-in parameters and outputs that one proposal may hold at once.
const MAX_HELD: usize = 64 << 20;
/// Bytes of JSON of filled-in parameters that are kept for the record of a run.
const MAX_RECORDED: usize = 256 << 10;

/// What is told of an action beside its result.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Its parameters, if references were filled in.
    pub(super) filled: Option<Map<String, Value>>,
    /// Their bytes of JSON.
    pub(super) filled_bytes: usize,
    /// A policy or a permission refused it.
    pub(super) by_policy: bool,
    /// What kind of failure it was.
    pub(super) class: Option<&'static str>,
}

impl Told {
    pub(super) fn parameters<'a>(&'a self, action: &'a Action) -> &'a Map<String, Value> {
        self.filled.as_ref().unwrap_or(&action.parameters)
    }
}

/// What became of every action.
pub(super) struct Executed {
    pub(super) results: Vec<ActionResult>,
    pub(super) told: Vec<Told>,
    pub(super) aborted: bool,
    pub(super) stopped: Option<&'static str>,
}

/// One proposal under way.
pub(super) struct Batch<'a> {
    pub(super) run: &'a Run,
    pub(super) proposal: &'a ActionProposal,
    pub(super) order: &'a Order,
    pub(super) ids: HashMap<&'a str, usize>,
    /// The tier that each action was admitted with.
    pub(super) admitted: Vec<Tier>,
    pub(super) progress: Guarded<Progress>,
}

#[derive(Default)]
pub(super) struct Progress {
    pub(super) results: Vec<Option<(ActionResult, Told)>>,
    /// By action, the attempt that it is at.
    pub(super) running: BTreeMap<usize, u32>,
    pub(super) aborted: bool,
    pub(super) undo: Undo,
    /// Bytes of filled-in parameters and outputs.
    held: usize,
}

impl Progress {
    pub(super) fn result(&self, at: usize) -> Option<&ActionResult> {
        self.results.get(at)?.as_ref().map(|(result, _)| result)
    }

    /// Counts bytes that are to be held.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), String> {
        let held = self.held.saturating_add(bytes);
        if held > MAX_HELD {
            return Err(format!(
                "filled-in parameters and outputs of the proposal exceed {MAX_HELD} bytes"
            ));
        }
        self.held = held;
        Ok(())
    }
}

type Acting<'b> = Pin<Box<dyn Future<Output = usize> + Send + 'b>>;

/// Runs a proposal that passed its gates. `corrected`: a rejection is to be followed by a correction.
pub(super) async fn execute(
    run: &Run,
    proposal: &ActionProposal,
    order: &Order,
    admitted: Vec<Tier>,
    corrected: bool,
) -> Executed {
    let count = proposal.actions.len();
    let ids = proposal.actions.iter().enumerate().map(|(at, action)| (action.id.as_str(), at));
    let results = (0..count).map(|_| None).collect();
    let progress = Guarded::new(Progress { results, ..Progress::default() });
    let batch = Batch { run, proposal, order, ids: ids.collect(), admitted, progress };
    let stopped = tokio::select! {
        biased;
        // Given up, open calls are cancelled as their futures are dropped.
        reason = run.entered.halt.wait() => Some(reason),
        driven = AssertUnwindSafe(batch.drive()).catch_unwind() => {
            // What ran so far is told and undone all the same.
            driven.is_err().then_some("it failed inside; the daemon's log says more")
        }
    };
    if let Some(reason) = stopped {
        batch.stop(reason).await;
    }
    batch.end(stopped, corrected).await
}

/// A proposal that a gate refused: every action is rejected, and nothing else happened.
pub(super) async fn refused(run: &Run, proposal: &ActionProposal, refused: Refused) -> Executed {
    let mut executed =
        Executed { results: Vec::new(), told: Vec::new(), aborted: false, stopped: None };
    executed.stopped = run.entered.halt.reason();
    for (action, error) in proposal.actions.iter().zip(refused.errors) {
        let result = run.ended(action, Status::Rejected, Some(error));
        let told = Told { by_policy: refused.by_permission, ..Told::default() };
        run.note_action(proposal, action, &result, &told).await;
        executed.results.push(result);
        executed.told.push(told);
    }
    executed
}

impl Run {
    /// The result of an action that did nothing.
    pub(super) fn ended(
        &self,
        action: &Action,
        status: Status,
        error: Option<String>,
    ) -> ActionResult {
        ActionResult {
            action_id: action.id.clone(),
            status,
            output: None,
            error,
            state_changes: Map::new(),
            duration_ms: 0.0,
            timestamp: self.hub.now(),
            attempts: 0,
            rolled_back: None,
            cached: None,
        }
    }
}

impl Batch<'_> {
    /// Starts each action as soon as it may start, until all have ended.
    async fn drive(&self) {
        let mut schedule = Schedule::new(self);
        let mut acting: FuturesUnordered<Acting<'_>> = FuturesUnordered::new();
        loop {
            for at in schedule.startable(self) {
                acting.push(Box::pin(async move {
                    self.act(at).await;
                    at
                }));
            }
            match acting.next().await {
                Some(at) => schedule.ended(at),
                None => return,
            }
        }
    }

    /// Keeps the end of an action, in the journal and for those after it.
    pub(super) async fn keep(&self, at: usize, result: ActionResult, mut told: Told) {
        let action = &self.proposal.actions[at];
        // At once: nothing may start while the journal is written.
        self.progress.lock().aborted |= result.status == Status::Failed;
        self.run.note_action(self.proposal, action, &result, &told).await;
        let let_go = self.shorten(&mut told);
        let mut progress = self.progress.lock();
        progress.held -= let_go;
        progress.running.remove(&at);
        progress.results[at] = Some((result, told));
    }

    /// Once an action has ended, only a run's record needs its parameters, and takes no large ones.
    /// Returns the bytes that were let go of.
    fn shorten(&self, told: &mut Told) -> usize {
        let Some(filled) = told.filled.take() else { return 0 };
        let recorded = self.run.run_id.is_some();
        if recorded && told.filled_bytes <= MAX_RECORDED {
            told.filled = Some(filled);
            return 0;
        }
        if recorded {
            let digest = digest_object(&filled);
            let short = [("digest", digest.into()), ("bytes", told.filled_bytes.into())];
            told.filled =
                Some(short.map(|(name, value)| (name.to_owned(), value)).into_iter().collect());
        }
        std::mem::take(&mut told.filled_bytes)
    }

    /// Whether an action ended the proposal.
    pub(super) fn is_aborted(&self) -> bool {
        self.progress.lock().aborted
    }

    /// An action that never started, because another ended the proposal.
    pub(super) async fn skip(&self, at: usize) {
        let action = &self.proposal.actions[at];
        let result = self.run.ended(action, Status::Skipped, Some(ABORTED.into()));
        self.keep(at, result, Told::default()).await;
    }

    /// The proposal was ended from outside: what ran has failed, the rest never starts.
    async fn stop(&self, reason: &'static str) {
        for (at, action) in self.proposal.actions.iter().enumerate() {
            let (done, attempts) = {
                let progress = self.progress.lock();
                (progress.results[at].is_some(), progress.running.get(&at).copied())
            };
            if done {
                continue;
            }
            let result = match attempts {
                Some(attempts) => {
                    let error = format!("stopped: {reason}");
                    let class = Told { class: Some("unknown"), ..Told::default() };
                    let ended = self.run.ended(action, Status::Failed, Some(error));
                    (ActionResult { attempts, ..ended }, class)
                }
                None => {
                    let error = format!("skipped: {reason}");
                    (self.run.ended(action, Status::Skipped, Some(error)), Told::default())
                }
            };
            self.keep(at, result.0, result.1).await;
        }
    }

    /// Undoes what an aborted proposal wrote, or one that is to be corrected, and hands out the results.
    async fn end(self, stopped: Option<&'static str>, corrected: bool) -> Executed {
        let (undo, aborted, rejected) = {
            let mut progress = self.progress.lock();
            let mut results = progress.results.iter().flatten();
            let rejected = results.any(|(result, _)| result.status == Status::Rejected);
            let aborted = progress.aborted || stopped.is_some();
            (std::mem::take(&mut progress.undo), aborted, rejected)
        };
        let undone = aborted || (corrected && rejected);
        if undone {
            let keys = self.run.runtime.state.lock().roll_back(self.run.scope.tenant(), undo);
            if !keys.is_empty() {
                let keys = shown_keys(&self.proposal.actions, keys.iter());
                let event = NewEvent::new(Kind::StateRolledBack, json!({ "keys": keys }));
                self.run.note(event.of_proposal(&self.proposal.id)).await;
            }
        }
        let ended = std::mem::take(&mut self.progress.lock().results);
        let (mut results, mut told) = (Vec::new(), Vec::new());
        for (result, its_told) in ended.into_iter().flatten() {
            results.push(if undone { taken_back(result) } else { result });
            told.push(its_told);
        }
        Executed { results, told, aborted, stopped }
    }
}

/// A result of a proposal whose state was rolled back.
fn taken_back(mut result: ActionResult) -> ActionResult {
    if result.status == Status::Succeeded {
        result.rolled_back = Some(true);
        result.state_changes = Map::new();
        let note = "state changes were rolled back; what tools did outside stays done";
        result.error = Some(note.into());
    }
    result
}

/// Which actions may start. An action starts once its predecessors have ended and the levels below its
/// own are done; sooner where that cannot change any result.
struct Schedule {
    level_of: Vec<usize>,
    /// Actions of each level that have not ended.
    unended: Vec<BTreeSet<usize>>,
    /// Predecessors of each action that have not ended.
    waits_for: Vec<usize>,
    followers: Vec<Vec<usize>>,
    /// Every predecessor has ended, and the action has not started.
    ready: BTreeSet<usize>,
    /// Empty if none may start early.
    touches: Vec<Touch>,
}

impl Schedule {
    fn new(batch: &Batch<'_>) -> Self {
        let count = batch.proposal.actions.len();
        let mut level_of = vec![0; count];
        for (level, members) in batch.order.levels().iter().enumerate() {
            members.iter().for_each(|at| level_of[*at] = level);
        }
        let mut followers = vec![Vec::new(); count];
        let mut waits_for = vec![0; count];
        for (at, waits) in waits_for.iter_mut().enumerate() {
            *waits = batch.order.after(at).len();
            batch.order.after(at).iter().for_each(|before| followers[*before].push(at));
        }
        let levels = batch.order.levels().iter();
        let mut touches = Vec::new();
        if count <= EARLY_ACTIONS {
            touches.extend(batch.proposal.actions.iter().map(Touch::of));
        }
        if touches.iter().map(Touch::keys).sum::<usize>() > EARLY_KEYS {
            touches.clear();
        }
        Self {
            level_of,
            unended: levels.map(|level| level.iter().copied().collect()).collect(),
            ready: (0..count).filter(|at| waits_for[*at] == 0).collect(),
            waits_for,
            followers,
            touches,
        }
    }

    /// Takes out whoever may start now, in the order of the list.
    fn startable(&mut self, batch: &Batch<'_>) -> Vec<usize> {
        let open = self.unended.iter().position(|level| !level.is_empty()).unwrap_or(0);
        let ready = self.ready.iter().copied();
        let may = |at: &usize| {
            let below = open..self.level_of[*at];
            below.is_empty() || (self.passes(*at, below) && batch.stands_alone(*at))
        };
        let started: Vec<_> = ready.filter(may).collect();
        self.ready.retain(|at| !started.contains(at));
        started
    }

    fn passes(&self, at: usize, levels: std::ops::Range<usize>) -> bool {
        let Some(touch) = self.touches.get(at) else { return false };
        let mut before = self.unended[levels].iter().flatten();
        before.all(|it| touch.may_pass(&self.touches[*it]))
    }

    fn ended(&mut self, at: usize) {
        self.unended[self.level_of[at]].remove(&at);
        for follower in &self.followers[at] {
            self.waits_for[*follower] -= 1;
            if self.waits_for[*follower] == 0 {
                self.ready.insert(*follower);
            }
        }
    }
}

impl Batch<'_> {
    /// Whether nothing that all actions share, policies, limits or cached results, decides about this
    /// one.
    fn stands_alone(&self, at: usize) -> bool {
        let runtime = &self.run.runtime;
        let policy_session = self.run.policy_session.as_deref();
        let tool = self.proposal.actions[at].called_tool();
        let tool = tool.and_then(|name| runtime.tools.lock().get(name));
        let shares =
            tool.is_some_and(|it| it.cache_life().is_some() || it.schema.rate_limit.is_some());
        !shares
            && runtime.policies.lock().is_empty(policy_session)
            && self.run.hub.rules.list().next().is_none()
    }
}
