//! What the checks look at, worked out once.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{Terms, ToolBook, checks::Check};
use crate::{
    fault::Fault,
    order::Order,
    proposal::{Action, ActionProposal, MAX_ACTIONS},
    reference::references,
    set::Set,
    simulate::Written,
};

/// Findings of one check; it stops there.
pub(crate) const MAX_FINDINGS: usize = 1000;

pub(crate) struct Scene<'a> {
    pub(crate) proposal: &'a ActionProposal,
    pub(crate) state: &'a Map<String, Value>,
    pub(crate) tools: &'a dyn ToolBook,
    pub(crate) terms: Terms<'a>,
    pub(crate) ids: HashSet<&'a str>,
    /// Unless actions wait for each other.
    pub(crate) order: Option<Order>,
    pub(crate) circle: Option<Fault>,
    /// Whom each action comes after, directly or not.
    pub(crate) ancestors: Vec<Set>,
    /// Who writes a key and what, in the order of the list.
    pub(crate) writers: BTreeMap<String, Vec<(usize, Written<'a>)>>,
    /// Actions with parameters that depend on outputs.
    pub(crate) referring: Vec<usize>,
}

/// What one check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Action and message.
    pub(crate) issues: Vec<(String, String)>,
    pub(crate) conflicts: Vec<(String, String, String)>,
}

impl Findings {
    /// Adds a finding; false once there is no room for more.
    pub(crate) fn add(&mut self, action_id: &str, message: impl Into<String>) -> bool {
        self.issues.push((action_id.to_owned(), message.into()));
        self.issues.len() < MAX_FINDINGS
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        proposal: &'a ActionProposal,
        state: &'a Map<String, Value>,
        tools: &'a dyn ToolBook,
        terms: Terms<'a>,
    ) -> Self {
        let mut scene = Self {
            proposal,
            state,
            tools,
            terms,
            ids: proposal.ids(),
            order: None,
            circle: None,
            ancestors: Vec::new(),
            writers: BTreeMap::new(),
            referring: Vec::new(),
        };
        if proposal.actions.len() <= MAX_ACTIONS {
            scene.work_out();
        }
        scene
    }

    fn work_out(&mut self) {
        let proposal = self.proposal;
        match Order::of(&proposal.actions, &|key| self.state.contains_key(key)) {
            Ok(order) => {
                self.ancestors = order.ancestors();
                self.order = Some(order);
            }
            Err(circle) => self.circle = Some(circle),
        }
        for (at, action) in proposal.actions.iter().enumerate() {
            for (key, value) in Written::by(action, &|id| self.ids.contains(id)) {
                self.writers.entry(key.into_owned()).or_default().push((at, value));
            }
            if !references(&action.parameters, &|id| self.ids.contains(id)).is_empty() {
                self.referring.push(at);
            }
        }
    }

    /// Too many actions are looked at no further, and some checks need an order.
    pub(crate) fn allows(&self, check: &Check) -> bool {
        let few = self.proposal.actions.len() <= MAX_ACTIONS;
        check.whole || (few && (self.order.is_some() || !check.ordered))
    }

    /// The actions, as long as somebody waits for the answer.
    pub(crate) fn actions(&self) -> impl Iterator<Item = (usize, &'a Action)> {
        let stop = self.terms.stop;
        self.proposal.actions.iter().enumerate().take_while(move |_| !stop())
    }
}
