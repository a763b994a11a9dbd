//! One trial: every action in its level, with tools that succeed by chance.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value};

use super::random::SplitMix64;
use crate::{
    operator::{Assertion, Operator},
    order::Order,
    proposal::{Action, ActionProposal, ActionType, FailureBehavior},
    reference::settled,
    simulate::{Written, may_hold},
};

/// A proposal made ready for many trials: state keys are numbers.
pub(crate) struct Plan<'a> {
    steps: Vec<Step<'a>>,
    levels: &'a [Vec<usize>],
    keys: Vec<Key<'a>>,
}

struct Key<'a> {
    name: Cow<'a, str>,
    initial: Option<&'a Value>,
}

struct Step<'a> {
    needs: &'a [usize],
    /// Keys that must be there.
    there: Vec<usize>,
    /// What must hold before it runs.
    conditions: Vec<Condition<'a>>,
    /// What must hold for it to succeed.
    asserts: Option<Condition<'a>>,
    writes: Vec<(usize, Written<'a>)>,
    /// Success rate and attempts of a tool call.
    tool: Option<(f64, u32)>,
    on_failure: FailureBehavior,
}

struct Condition<'a> {
    key: usize,
    operator: Cow<'a, str>,
    expected: Cow<'a, Value>,
}

/// Where the value of a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Initial,
    /// By this action, by the write of this number.
    Written(usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeded,
    Failed,
    Rejected,
    Skipped,
}

/// How a trial went.
pub(crate) struct Trial {
    /// Of each action, by its index.
    pub(crate) outcomes: Vec<Outcome>,
    /// Every action that writes succeeded, and nothing was rolled back.
    pub(crate) landed: bool,
    pub(crate) tool_calls: usize,
    /// The keys that were written, and by whom last; nothing after a rollback.
    pub(crate) written: BTreeMap<usize, Cell>,
}

/// What a cell holds.
pub(crate) enum Content<'a> {
    Absent,
    Value(&'a Value),
    Unknown,
}

#[derive(Default)]
struct Keys<'a> {
    numbers: BTreeMap<Cow<'a, str>, usize>,
}

impl<'a> Keys<'a> {
    fn number(&mut self, key: impl Into<Cow<'a, str>>) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(key.into()).or_insert(next)
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn new(
        proposal: &'a ActionProposal,
        order: &'a Order,
        state: &'a Map<String, Value>,
        rate: &dyn Fn(&str) -> f64,
        more_attempts: u32,
    ) -> Self {
        let ids = proposal.ids();
        let mut keys = Keys::default();
        let steps = proposal.actions.iter().enumerate();
        let steps = steps.map(|(at, action)| {
            let mut step = Step::new(action, &mut keys, &|id| ids.contains(id));
            step.needs = order.needs(at);
            step.tool = action
                .called_tool()
                .map(|tool| (rate(tool), action.attempts().saturating_add(more_attempts)));
            step
        });
        let steps = steps.collect();
        let mut named: Vec<_> = keys.numbers.into_iter().collect();
        named.sort_by_key(|(_, number)| *number);
        let keys = named.into_iter().map(|(name, _)| Key { initial: state.get(&*name), name });
        Self { steps, levels: order.levels(), keys: keys.collect() }
    }

    pub(crate) fn actions(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn key(&self, key: usize) -> &str {
        &self.keys[key].name
    }

    /// Every key that an action writes.
    pub(crate) fn written_keys(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().flat_map(|step| step.writes.iter().map(|(key, _)| *key))
    }

    pub(crate) fn content(&self, key: usize, cell: Cell) -> Content<'_> {
        match cell {
            Cell::Initial => self.keys[key].initial.map_or(Content::Absent, Content::Value),
            Cell::Written(step, write) => match &self.steps[step].writes[write].1 {
                Written::Value(value) => Content::Value(value),
                Written::Output | Written::Declared => Content::Unknown,
            },
        }
    }

    pub(crate) fn play(&self, random: &mut SplitMix64) -> Trial {
        let mut trial = Trial {
            outcomes: vec![Outcome::Skipped; self.steps.len()],
            landed: true,
            tool_calls: 0,
            written: BTreeMap::new(),
        };
        let mut aborted = false;
        for level in self.levels {
            // Those of a level that have started finish.
            for at in level {
                let outcome = self.step(*at, &mut trial, random);
                trial.outcomes[*at] = outcome;
                let step = &self.steps[*at];
                if outcome == Outcome::Succeeded {
                    let writes = step.writes.iter().enumerate();
                    trial.written.extend(writes.map(|(n, (key, _))| (*key, Cell::Written(*at, n))));
                }
                aborted |= outcome == Outcome::Failed;
            }
            if aborted {
                trial.written.clear();
                break;
            }
        }
        let succeeded = |at: usize| trial.outcomes[at] == Outcome::Succeeded;
        let mut writers = (0..self.steps.len()).filter(|at| !self.steps[*at].writes.is_empty());
        trial.landed = writers.all(|at| succeeded(at) && !aborted);
        trial
    }

    fn step(&self, at: usize, trial: &mut Trial, random: &mut SplitMix64) -> Outcome {
        let step = &self.steps[at];
        let needed = step.needs.iter().all(|it| trial.outcomes[*it] == Outcome::Succeeded);
        let there = |key: &usize| !matches!(self.now(*key, trial), Content::Absent);
        let ready = needed
            && step.there.iter().all(there)
            && step.conditions.iter().all(|it| self.holds(it, trial));
        if !ready {
            return Outcome::Rejected;
        }
        let succeeds = match step.tool {
            Some((rate, attempts)) => {
                trial.tool_calls += 1;
                within_attempts(random.unit(), rate, attempts)
            }
            None => step.asserts.as_ref().is_none_or(|it| self.holds(it, trial)),
        };
        match (succeeds, step.on_failure) {
            (true, _) => Outcome::Succeeded,
            (false, FailureBehavior::Skip) => Outcome::Skipped,
            (false, _) => Outcome::Failed,
        }
    }

    fn now(&self, key: usize, trial: &Trial) -> Content<'_> {
        self.content(key, trial.written.get(&key).copied().unwrap_or(Cell::Initial))
    }

    fn holds(&self, condition: &Condition<'_>, trial: &Trial) -> bool {
        let holds = |actual| {
            let operator = Operator::named(&condition.operator);
            operator.is_some_and(|operator| operator.holds(actual, &condition.expected))
        };
        match self.now(condition.key, trial) {
            Content::Absent => holds(None),
            Content::Value(value) => holds(Some(value)),
            Content::Unknown => may_hold(&condition.operator),
        }
    }
}

/// One draw decides all attempts: with `n` of them the chance is `1 - (1 - rate)^n`.
fn within_attempts(draw: f64, rate: f64, attempts: u32) -> bool {
    let mut all_fail = 1.0;
    (0..attempts).any(|_| {
        all_fail *= 1.0 - rate;
        draw < 1.0 - all_fail
    })
}

impl<'a> Step<'a> {
    fn new(action: &'a Action, keys: &mut Keys<'a>, is_action: &dyn Fn(&str) -> bool) -> Self {
        let there = action.state_dependencies.iter().map(|key| keys.number(key.as_str())).collect();
        let conditions = action.preconditions.iter().map(|condition| Condition {
            key: keys.number(condition.key.as_str()),
            operator: condition.operator.as_str().into(),
            expected: Cow::Borrowed(&condition.value),
        });
        let conditions = conditions.collect();
        let written = Written::by(action, is_action).map(|(key, it)| (keys.number(key), it));
        let writes = written.collect();
        Self {
            needs: &[],
            there,
            conditions,
            asserts: asserted(action, keys, is_action),
            writes,
            tool: None,
            on_failure: action.failure_behavior,
        }
    }
}

/// What an assertion compares; nothing where an output decides.
fn asserted<'a>(
    action: &'a Action,
    keys: &mut Keys<'a>,
    is_action: &dyn Fn(&str) -> bool,
) -> Option<Condition<'a>> {
    if action.kind != ActionType::Assertion {
        return None;
    }
    let parameters = settled(&action.parameters, is_action)?;
    let Assertion { key, operator, expected } = Assertion::of(&parameters)?;
    Some(Condition {
        key: keys.number(key.to_owned()),
        operator: Cow::Owned(operator.to_owned()),
        expected: Cow::Owned(expected.clone()),
    })
}
