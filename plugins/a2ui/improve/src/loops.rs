//! The loops of all surfaces: what they are told, and what they answer.

use std::collections::{HashMap, VecDeque};

use carport_a2ui_surfaces::{Limits, Outcome, Surface};
use carport_a2ui_validate::{Catalog, Message};
use carport_core::Time;
use serde_json::Value;

use crate::{
    advice::Advice,
    memory::{BUDGET, Memory},
    propose::{Proposal, Strategy},
    report::{Decision, DecisionKind, Finding, Mode, Reason, Report},
    round::Round,
    trial::Trial,
    view::View,
};

/// Reports of one session on one surface in a second.
const REPORTS_A_SECOND: usize = 4;
/// Pairs of session and surface that are counted; beyond it those that are quiet are forgotten.
const MOST_COUNTED: usize = 1024;
/// Milliseconds in which reports are counted.
const SECOND: i64 = 1000;
/// Bytes of what is remembered of reports, for all surfaces.
pub(crate) const MOST_BYTES: usize = 4 << 20;

/// The loops of all surfaces.
#[derive(Default)]
pub struct Loops {
    surfaces: HashMap<String, Memory>,
    reports: HashMap<(String, String), VecDeque<Time>>,
    /// When those that are quiet were last forgotten.
    swept: Time,
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
    /// The limits of the store.
    pub limits: &'a Limits,
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
    /// What earlier patches have shown.
    pub learned: Vec<Learned>,
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
    pub(crate) proposal: Option<Proposal>,
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
        let is_recent = |at: &Time| (0..SECOND).contains(&(*now - **at).num_milliseconds());
        // Not with each report: so many may be of this very second.
        if self.reports.len() >= MOST_COUNTED && !is_recent(&self.swept) {
            self.reports.retain(|_, times| times.back().is_some_and(is_recent));
            self.swept = now;
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
        let nothing = |reason| Verdict {
            decision: self.nothing(id, reason),
            patch: None,
            advice: Vec::new(),
            learned: Vec::new(),
        };
        if input.mode == Mode::Off {
            return nothing(Some(Reason::Off));
        }
        let Some((revision, client, _)) = input.report.complete() else { return nothing(None) };
        // Nobody can have drawn what is not there yet.
        if !(input.surface.structure_revision..=input.surface.revision).contains(&revision) {
            return nothing(Some(Reason::Stale));
        }
        let view = View::new(input);
        let memory = self.surfaces.entry(id.clone()).or_default();
        memory.heard = input.now;
        memory.viewers.sees(client, &view);
        let verdict = Round::new(memory, &view, client).run();
        self.make_room(id);
        verdict
    }

    /// The patch took effect: it counts, and its worth is not known yet. Returns what is left of the budget.
    pub fn patched(&mut self, outcome: &Outcome, patch: &Patch, report: &Report) -> u32 {
        let memory = self.surfaces.entry(outcome.surface_id.clone()).or_default();
        let Some(proposal) = patch.proposal.as_ref().filter(|_| !patch.is_revert) else {
            return memory.budget;
        };
        memory.budget = memory.budget.saturating_sub(1);
        memory.patched(outcome);
        if let Proposal::Data { path, value, .. } = proposal {
            memory.seeds(path, value);
        }
        if patch.strategy == Strategy::HeadingLevels {
            // A heading is decided once.
            memory.blacklist.set(&(patch.strategy, proposal.target()));
        }
        if let Some(trial) = Trial::new(outcome, patch, proposal, report) {
            memory.trials.push(trial);
        }
        let budget_left = memory.budget;
        self.make_room(&outcome.surface_id);
        budget_left
    }

    /// About how many bytes are remembered of reports.
    pub(crate) fn bytes(&self) -> usize {
        self.surfaces.values().map(Memory::bytes).sum()
    }

    /// Keeps what is remembered of reports small: the surface that was not reported on for longest is
    /// forgotten first.
    fn make_room(&mut self, id: &str) {
        let mut all = self.bytes();
        while all > MOST_BYTES {
            let others =
                self.surfaces.iter_mut().filter(|(name, it)| *name != id && it.bytes() > 0);
            let Some((_, quiet)) = others.min_by_key(|(_, it)| it.heard) else { return };
            all -= quiet.bytes();
            quiet.forget_reports();
        }
    }

    /// The store refused the patch: it is not tried again.
    pub fn refused(&mut self, surface_id: &str, patch: &Patch) {
        let memory = self.surfaces.entry(surface_id.to_owned()).or_default();
        if let Some(proposal) = &patch.proposal {
            memory.blacklist.set(&(patch.strategy, proposal.target()));
        }
    }
}
