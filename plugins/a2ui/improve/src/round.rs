//! One report on its way through the guards.

use std::{cell::OnceCell, collections::HashSet};

use crate::{
    advice::Advice,
    check::holds,
    loops::{Learned, Patch, Verdict},
    memory::Memory,
    propose::{Aim, Case, Proposal, Strategy},
    report::{Decision, DecisionKind, Finding, Mode, Reason},
    ring::Turn,
    view::View,
};

/// Bytes of envelopes in the advice on one report, but for the last of them; what is left waits for the next.
const MOST_TOLD: usize = 256 << 10;

/// One report on its way through the guards.
pub(crate) struct Round<'r, 'a> {
    memory: &'r mut Memory,
    view: &'r View<'a>,
    client: &'a str,
    /// What somebody is at and what that lies in; `None` if it may be anything.
    held: OnceCell<Option<HashSet<&'a str>>>,
    /// The first guard in their order that something did not pass.
    reason: Reason,
    advice: Vec<Advice>,
    told: usize,
    learned: Vec<Learned>,
}

impl<'r, 'a> Round<'r, 'a> {
    pub(crate) fn new(memory: &'r mut Memory, view: &'r View<'a>, client: &'a str) -> Self {
        let (reason, held) = (Reason::NoFinding, OnceCell::new());
        let (advice, told, learned) = (Vec::new(), 0, Vec::new());
        Self { memory, view, client, held, reason, advice, told, learned }
    }

    /// What is to be done.
    pub(crate) fn run(mut self) -> Verdict {
        let mut patch = self.judge();
        if patch.is_none() {
            // While something has to be taken back and cannot be yet, nothing is added to it.
            if self.reason != Reason::Focused {
                patch = self.patch();
            }
            self.advise();
        }
        let Self { memory, reason, advice, learned, .. } = self;
        let (kind, reason) = match (&patch, advice.is_empty()) {
            (Some(_), _) => (DecisionKind::Patch, None),
            (None, false) => {
                (DecisionKind::Advise, Some(reason).filter(|it| *it != Reason::NoFinding))
            }
            (None, true) => (reason.kind(), Some(reason)),
        };
        let strategy = patch.as_ref().map(|it| it.strategy);
        let budget_left = memory.budget;
        let decision = Decision { kind, reason, strategy, revision: None, budget_left };
        Verdict { decision, patch, advice, learned }
    }

    /// Holds the report against the patches that are on trial, the newest first: one that made the surface
    /// worse is taken back, and older ones are then judged without it.
    fn judge(&mut self) -> Option<Patch> {
        let (report, surface) = (self.view.input.report, self.view.input.surface);
        let score = report.score();
        while let Some(mut trial) = self.memory.trials.take(report) {
            if !trial.is_worse_by(score) {
                self.learned.extend(trial.learned(surface));
                continue;
            }
            self.memory.blacklist.set(&(trial.strategy, &trial.target));
            let Some(envelope) = trial.revert(surface) else { continue };
            if self.is_held(&trial.touched) {
                self.reason = Reason::Focused;
                trial.is_worse = true;
                self.memory.trials.push(trial);
                return None;
            }
            let (strategy, findings) = (trial.strategy, Vec::new());
            return Some(Patch { envelope, strategy, findings, is_revert: true, proposal: None });
        }
        None
    }

    /// The first patch that every guard lets pass.
    fn patch(&mut self) -> Option<Patch> {
        let view = self.view;
        for strategy in Strategy::ALL {
            for finding in view.findings.iter().copied().filter(|it| strategy.takes(&it.code)) {
                let case = Case { view, finding };
                let Some(aim) = case.aim(strategy) else { continue };
                match self.guard(strategy, &case, &aim) {
                    Ok(proposal) if view.input.mode == Mode::Advise => {
                        let envelope = proposal.envelope(&view.input.surface.id);
                        self.told += envelope.to_string().len();
                        self.tell(Advice::instead(finding, strategy.word(), envelope));
                        if self.told > MOST_TOLD {
                            return None;
                        }
                    }
                    Ok(proposal) => {
                        return Some(Patch {
                            envelope: proposal.envelope(&view.input.surface.id),
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

    /// Asks each guard in its order. What a patch would be is written only once the others have let it pass.
    fn guard(
        &mut self,
        strategy: Strategy,
        case: &Case<'_, '_>,
        aim: &Aim,
    ) -> Result<Proposal, Reason> {
        let (input, finding) = (self.view.input, case.finding);
        let (now, surface) = (input.now, input.surface);
        if !holds(input, finding) {
            return Err(Reason::NoFinding);
        }
        if !self.is_confirmed(finding) {
            return Err(Reason::Unconfirmed);
        }
        if self.is_held(&aim.touched) {
            return Err(Reason::Focused);
        }
        if strategy == Strategy::StackRow {
            let row = surface.components.get(finding.component());
            if !row.is_some_and(|it| self.memory.viewers.all_see_wide(&it.id, now)) {
                self.tell(Advice::viewport(finding));
                return Err(Reason::ViewportConflict);
            }
        }
        if self.memory.budget == 0 {
            return Err(Reason::Budget);
        }
        let is_told = input.mode == Mode::Advise
            && self.memory.advised.has(&Advice::key(&finding.code, "", finding));
        if is_told {
            return Err(Reason::NoFinding);
        }
        let may_seed = aim.target.path().is_none_or(|path| self.memory.may_seed(path));
        if !may_seed || self.memory.blacklist.has(&(strategy, &aim.target)) {
            return Err(Reason::Blacklisted);
        }
        if let Some(turn) = self.memory.waits(&aim.target, now) {
            return Err(self.refused(turn, finding));
        }
        let proposal = case.propose(strategy).ok_or(Reason::NoFinding)?;
        let current = aim.target.id().and_then(|id| surface.components.get(id));
        if current.is_some_and(|it| it.value == *proposal.state()) {
            self.memory.blacklist.set(&(strategy, &aim.target));
            return Err(Reason::NoEffect);
        }
        match self.memory.turn(&aim.target, proposal.state(), now) {
            Turn::Free => Ok(proposal),
            turn => Err(self.refused(turn, finding)),
        }
    }

    fn refused(&mut self, turn: Turn, finding: &Finding) -> Reason {
        if turn != Turn::Contested {
            return Reason::Cooldown;
        }
        self.tell(Advice::contested(finding));
        Reason::Contested
    }

    fn is_confirmed(&self, finding: &Finding) -> bool {
        let sight = self.view.sight(finding);
        let viewers = &self.memory.viewers;
        sight.is_some_and(|it| viewers.is_confirmed(self.client, &it, self.view.input.now))
    }

    /// Whether somebody is at one of the components or at what it draws.
    fn is_held(&self, ids: &[String]) -> bool {
        let held = self.held.get_or_init(|| self.memory.viewers.held(self.view));
        held.as_ref().is_none_or(|held| ids.iter().any(|id| held.contains(id.as_str())))
    }

    /// Advice on what no strategy takes.
    fn advise(&mut self) {
        let view = self.view;
        for finding in view.findings.iter().copied() {
            let case = Case { view, finding };
            let mended = Strategy::ALL
                .into_iter()
                .any(|it| it.takes(&finding.code) && case.aim(it).is_some());
            let Some(advice) = Advice::of(finding).filter(|_| !mended) else { continue };
            if self.is_confirmed(finding) && holds(view.input, finding) {
                self.tell(advice);
            }
        }
    }

    /// Tells something once.
    fn tell(&mut self, advice: Advice) {
        let key = advice.own_key();
        if !self.memory.advised.has(&key) {
            self.memory.advised.set(&key);
            self.advice.push(advice);
        }
    }
}
