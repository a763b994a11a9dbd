//! The loop: from a report to a decision, guard by guard.

use std::collections::{HashMap, VecDeque};

use carport_a2ui_surfaces::{Outcome, Surface};
use carport_a2ui_validate::{Catalog, Message};
use carport_core::Time;
use serde_json::{Value, json};

use crate::{
    advice::Advice,
    check::holds,
    memory::{BUDGET, Memory, Trial, Undo, mark},
    propose::{Case, Proposal, Strategy},
    report::{Decision, DecisionKind, Finding, Mode, Reason, Report},
    ring::{Turn, hash},
    tree::is_within,
};

/// Reports of one session on one surface in a second.
const REPORTS_A_SECOND: usize = 4;
/// Pairs of session and surface that are counted; beyond it those that are quiet are forgotten.
const MOST_COUNTED: usize = 1024;
/// Different advice on one surface.
const MOST_ADVICE: usize = 256;

/// The loops of all surfaces.
#[derive(Default)]
pub struct Loops {
    surfaces: HashMap<String, Memory>,
    reports: HashMap<(String, String), VecDeque<Time>>,
}

/// What is decided on.
pub struct Input<'a> {
    /// The surface as it is.
    pub surface: &'a Surface,
    /// Its catalog.
    pub catalog: &'a Catalog,
    /// What a renderer reports.
    pub report: &'a Report,
    /// Now.
    pub now: Time,
    /// What may be done.
    pub mode: Mode,
}

/// What is to be done.
#[derive(Debug)]
pub struct Verdict {
    /// What is answered. Of a patch, before it is applied.
    pub decision: Decision,
    /// What to apply.
    pub patch: Option<Patch>,
    /// What to tell.
    pub advice: Vec<Advice>,
    /// What an earlier patch has shown.
    pub learned: Option<Learned>,
}

/// An envelope to apply, and what is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The envelope.
    pub envelope: Value,
    /// How it mends.
    pub strategy: Strategy,
    /// What it mends.
    pub findings: Vec<Finding>,
    /// Whether it takes an earlier one back.
    pub is_revert: bool,
    proposal: Option<Proposal>,
}

/// A patch that made a surface better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// How.
    pub strategy: Strategy,
    /// What was found.
    pub code: String,
    /// The type of the component.
    pub kind: String,
}

impl Loops {
    /// Follows a change. `surface` is what it is afterwards.
    pub fn observe(&mut self, outcome: &Outcome, own: bool, surface: Option<&Surface>) {
        match outcome.message {
            Message::Create => {
                drop(self.surfaces.insert(outcome.surface_id.clone(), Memory::default()))
            }
            Message::Delete => drop(self.surfaces.remove(&outcome.surface_id)),
            _ => {
                let memory = self.surfaces.entry(outcome.surface_id.clone()).or_default();
                memory.observe(outcome, own, surface);
            }
        }
    }

    /// Whether one more report of a session on a surface is looked at.
    pub fn admit(&mut self, session: &str, surface_id: &str, now: Time) -> bool {
        let is_recent = |at: &Time| (0..1000).contains(&(*now - **at).num_milliseconds());
        if self.reports.len() >= MOST_COUNTED {
            self.reports.retain(|_, times| times.back().is_some_and(is_recent));
        }
        let times = self.reports.entry((session.to_owned(), surface_id.to_owned())).or_default();
        times.retain(is_recent);
        let admitted = times.len() < REPORTS_A_SECOND;
        if admitted {
            times.push_back(now);
        }
        admitted
    }

    /// What is answered to a report that is not looked at, or that nothing can come of.
    pub fn nothing(&self, surface_id: &str, reason: Option<Reason>) -> Decision {
        let budget_left = self.surfaces.get(surface_id).map_or(BUDGET, |it| it.budget);
        let kind = reason.map_or(DecisionKind::None, Reason::kind);
        Decision { kind, reason, strategy: None, revision: None, budget_left }
    }

    /// Decides on a report.
    pub fn decide(&mut self, input: &Input<'_>) -> Verdict {
        let id = &input.surface.id;
        let nothing = |loops: &Self, reason| Verdict {
            decision: loops.nothing(id, reason),
            patch: None,
            advice: Vec::new(),
            learned: None,
        };
        if input.mode == Mode::Off {
            return nothing(self, Some(Reason::Off));
        }
        let Some((revision, client, _)) = input.report.complete() else {
            return nothing(self, None);
        };
        if revision < input.surface.structure_revision {
            return nothing(self, Some(Reason::Stale));
        }
        let memory = self.surfaces.entry(id.clone()).or_default();
        memory.sees(client, input.report, input.now);
        let (reverted, learned) = memory.judge(input);
        if let Some(patch) = reverted {
            let decision = decision(DecisionKind::Patch, None, Some(patch.strategy), memory.budget);
            return Verdict { decision, patch: Some(patch), advice: Vec::new(), learned };
        }
        let mut round =
            Round { memory, input, client, reason: Reason::NoFinding, advice: Vec::new() };
        let patch = round.patch();
        round.advise();
        let Round { memory, reason, advice, .. } = round;
        let decision = match (&patch, advice.is_empty()) {
            (Some(patch), _) => {
                decision(DecisionKind::Patch, None, Some(patch.strategy), memory.budget)
            }
            (None, false) => {
                let why = Some(reason).filter(|it| *it != Reason::NoFinding);
                decision(DecisionKind::Advise, why, None, memory.budget)
            }
            (None, true) => decision(reason.kind(), Some(reason), None, memory.budget),
        };
        Verdict { decision, patch, advice, learned }
    }

    /// The patch took effect: it counts, and its worth is not known yet. Returns what is left of the budget.
    pub fn patched(&mut self, outcome: &Outcome, patch: &Patch, report: &Report) -> u32 {
        let memory = self.surfaces.entry(outcome.surface_id.clone()).or_default();
        let Some(proposal) = patch.proposal.as_ref().filter(|_| !patch.is_revert) else {
            return memory.budget;
        };
        memory.budget = memory.budget.saturating_sub(1);
        let before = outcome.components.iter().filter_map(|it| it.0.as_ref());
        let undo = match proposal {
            Proposal::Components(after) => Undo::Components {
                before: before.clone().map(|it| it.value.clone()).collect(),
                after: after.clone(),
            },
            Proposal::Data { path, value } => {
                memory.seeds(path, value);
                Undo::Data { path: path.clone(), value: value.clone() }
            }
        };
        let (target, _) = proposal.target();
        if patch.strategy == Strategy::HeadingLevels {
            mark(&mut memory.decided_headings, target.clone());
        }
        if let Some((_, client, viewport)) = report.complete() {
            memory.trial = Some(Trial {
                client: client.to_owned(),
                viewport,
                score: report.score(),
                revision: outcome.revision,
                strategy: patch.strategy,
                target,
                code: patch.findings.first().map(|it| it.code.clone()).unwrap_or_default(),
                kind: before.map(|it| it.kind.clone()).next().unwrap_or_default(),
                undo,
            });
        }
        memory.budget
    }

    /// The store refused the patch: it is not tried again.
    pub fn refused(&mut self, surface_id: &str, patch: &Patch) {
        let memory = self.surfaces.entry(surface_id.to_owned()).or_default();
        if let Some(proposal) = &patch.proposal {
            mark(&mut memory.blacklist, (patch.strategy, proposal.target().0));
        }
    }
}

fn decision(
    kind: DecisionKind,
    reason: Option<Reason>,
    strategy: Option<Strategy>,
    budget_left: u32,
) -> Decision {
    Decision { kind, reason, strategy, revision: None, budget_left }
}

impl Memory {
    /// Holds a report against the patch that is on trial: takes it back if the surface got worse.
    fn judge(&mut self, input: &Input<'_>) -> (Option<Patch>, Option<Learned>) {
        let Some((revision, client, viewport)) = input.report.complete() else {
            return (None, None);
        };
        let is_its = |it: &Trial| {
            it.client == client && it.viewport.is_like(&viewport) && revision >= it.revision
        };
        if !self.trial.as_ref().is_some_and(is_its) {
            return (None, None);
        }
        let Some(trial) = self.trial.take() else { return (None, None) };
        if input.report.score() <= trial.score {
            let Trial { strategy, code, kind, .. } = trial;
            return (None, Some(Learned { strategy, code, kind }));
        }
        mark(&mut self.blacklist, (trial.strategy, trial.target));
        let surface = input.surface;
        let envelope = match trial.undo {
            Undo::Components { before, after } => {
                let is_there = |it: &Value| {
                    let entry = it["id"].as_str().and_then(|id| surface.components.get(id));
                    entry.is_some_and(|entry| entry.value == *it)
                };
                (!before.is_empty() && after.iter().all(is_there))
                    .then(|| Proposal::Components(before).envelope(&surface.id))
            }
            Undo::Data { path, value } => {
                let is_there = crate::check::bound(surface, &path) == Ok(Some(&value));
                is_there.then(|| {
                    let body = json!({ "surfaceId": surface.id, "path": path });
                    json!({ "version": carport_a2ui_surfaces::VERSION, "updateDataModel": body })
                })
            }
        };
        let revert = |envelope| Patch {
            envelope,
            strategy: trial.strategy,
            findings: Vec::new(),
            is_revert: true,
            proposal: None,
        };
        (envelope.map(revert), None)
    }
}

/// One report on its way through the guards.
struct Round<'a> {
    memory: &'a mut Memory,
    input: &'a Input<'a>,
    client: &'a str,
    /// The first guard in their order that something did not pass.
    reason: Reason,
    advice: Vec<Advice>,
}

impl<'a> Round<'a> {
    /// The first patch that every guard lets pass.
    fn patch(&mut self) -> Option<Patch> {
        for strategy in Strategy::ALL {
            for finding in self.input.report.findings().iter().filter(|it| strategy.takes(&it.code))
            {
                let Some(proposal) = self.case(finding).propose(strategy) else { continue };
                match self.guard(strategy, finding, &proposal) {
                    Ok(()) if self.input.mode == Mode::Advise => {
                        let envelope = proposal.envelope(&self.input.surface.id);
                        self.tell(Advice::instead(finding, strategy.word(), &envelope));
                    }
                    Ok(()) => {
                        return Some(Patch {
                            envelope: proposal.envelope(&self.input.surface.id),
                            strategy,
                            findings: vec![finding.clone()],
                            is_revert: false,
                            proposal: Some(proposal),
                        });
                    }
                    Err(reason) => self.reason = self.reason.min(reason),
                }
            }
        }
        None
    }

    fn case(&self, finding: &'a Finding) -> Case<'a> {
        let Input { surface, catalog, report, now, .. } = self.input;
        let quiet_ms = (**now - *surface.updated_at).num_milliseconds();
        Case { surface, catalog, report, finding, quiet_ms }
    }

    /// Asks each guard in its order.
    fn guard(
        &mut self,
        strategy: Strategy,
        finding: &Finding,
        proposal: &Proposal,
    ) -> Result<(), Reason> {
        let Input { surface, catalog, report, now, .. } = *self.input;
        let (target, state) = proposal.target();
        if !holds(surface, catalog, report, finding) {
            return Err(Reason::NoFinding);
        }
        if !self.memory.is_confirmed(self.client, &finding.code, finding.component(), now) {
            return Err(Reason::Unconfirmed);
        }
        if self.is_focused(finding.component()) {
            return Err(Reason::Focused);
        }
        if strategy == Strategy::StackRow && !self.memory.all_see_wide(finding.component(), now) {
            self.tell(Advice::viewport(finding));
            return Err(Reason::ViewportConflict);
        }
        if self.memory.budget == 0 {
            return Err(Reason::Budget);
        }
        if self.memory.blacklist.contains(&(strategy, target.clone()))
            || (strategy == Strategy::HeadingLevels
                && self.memory.decided_headings.contains(&target))
        {
            return Err(Reason::Blacklisted);
        }
        let current = surface.components.get(&target);
        if current.is_some_and(|it| it.value == *state) {
            mark(&mut self.memory.blacklist, (strategy, target));
            return Err(Reason::NoEffect);
        }
        let ring = self.memory.rings.entry(target.into()).or_default();
        match ring.turn(hash(state), now) {
            Turn::Free => Ok(()),
            Turn::Cooling => Err(Reason::Cooldown),
            Turn::Contested => {
                self.tell(Advice::contested(finding));
                Err(Reason::Contested)
            }
        }
    }

    /// Whether somebody is at the component or at what it draws.
    fn is_focused(&self, id: &str) -> bool {
        let Input { surface, report, .. } = self.input;
        let dirty = report.dirty_components.as_deref().unwrap_or_default();
        let somewhere = (report.focused == Some(true) && report.focus.is_none())
            || (report.dirty == Some(true) && dirty.is_empty());
        let at = report.focus.iter().chain(dirty);
        somewhere || at.into_iter().any(|it| is_within(surface, id, it))
    }

    /// Advice on what no strategy takes.
    fn advise(&mut self) {
        let Input { surface, catalog, report, now, .. } = *self.input;
        for finding in report.findings() {
            let mended = Strategy::ALL
                .into_iter()
                .any(|it| it.takes(&finding.code) && self.case(finding).propose(it).is_some());
            let Some(advice) = Advice::of(finding).filter(|_| !mended) else { continue };
            let confirmed =
                self.memory.is_confirmed(self.client, &finding.code, finding.component(), now);
            if confirmed && holds(surface, catalog, report, finding) {
                self.tell(advice);
            }
        }
    }

    /// Tells something once.
    fn tell(&mut self, advice: Advice) {
        if self.memory.advised.len() < MOST_ADVICE && self.memory.advised.insert(advice.key()) {
            self.advice.push(advice);
        }
    }
}
