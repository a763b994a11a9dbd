//! Who watches what, and which proposals wait for a decision. Pure: no clock, no socket.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use carport_core::RpcError;
use carport_engine_model::Reversibility;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Seen, SupervisionIntent};

/// Intents that may wait.
const MAX_INTENTS: usize = 256;
/// Escalated operations that are remembered; those beyond wait for a supervisor once more.
const MAX_ESCALATED: usize = 4096;

/// Which proposals a supervisor watches: all parts that are given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SupervisionFilter {
    /// Those that call any of these tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<String>>,
    /// Those of these connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Vec<String>>,
    /// Those that declare this or worse; an unknown word counts as the worst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_reversibility: Option<String>,
}

/// What a supervisor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntentDecision {
    /// It may pass this gate.
    Allow,
    /// It may not.
    Deny {
        /// Why.
        reason: String,
    },
    /// A person with the host role has to approve its operations.
    Escalate {
        /// Why.
        reason: String,
    },
}

/// Why a decision does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecidable {
    #[error("supervision intent that waits")]
    Unknown,
    #[error("a connection does not decide its own proposals")]
    Own,
}

impl From<Undecidable> for RpcError {
    fn from(why: Undecidable) -> Self {
        match why {
            Undecidable::Unknown => Self::not_found(why),
            Undecidable::Own => Self::forbidden(why),
        }
    }
}

/// Too many intents wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crowded;

/// The state of supervision.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// By the serial number of the connection.
    supervisors: BTreeMap<u64, SupervisionFilter>,
    /// By the number of their arrival.
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
    /// Where the ledger was when an operation was last escalated.
    escalated: HashMap<String, u64>,
    /// Escalations, oldest first.
    escalations: VecDeque<(String, u64)>,
}

#[derive(Debug)]
struct Waiting {
    intent: Arc<SupervisionIntent>,
    asker: Option<u64>,
    /// Who was told and is still there.
    watchers: HashSet<u64>,
    decided: oneshot::Sender<(IntentDecision, String)>,
}

impl SupervisionFilter {
    fn wants(&self, seen: &Seen<'_>) -> bool {
        let any = |list: &Option<Vec<String>>, is: &dyn Fn(&str) -> bool| {
            list.as_ref().is_none_or(|list| list.iter().any(|it| is(it)))
        };
        let calls = |tool: &str| {
            seen.proposal.actions.iter().any(|action| action.called_tool() == Some(tool))
        };
        let bad_enough = self.min_reversibility.as_deref().is_none_or(|word| {
            let least = match word {
                "reversible" => Reversibility::Reversible,
                "compensable" => Reversibility::Compensable,
                _ => Reversibility::Irreversible,
            };
            seen.proposal.declared_rollback_contract() >= least
        });
        any(&self.tools, &calls) && any(&self.sessions, &|id| id == seen.session_id) && bad_enough
    }
}

impl Desk {
    /// Adds a supervisor or replaces its filter; returns how many there are.
    pub(crate) fn watch(&mut self, serial: u64, filter: SupervisionFilter) -> usize {
        self.supervisors.insert(serial, filter);
        self.supervisors.len()
    }

    /// Removes a supervisor. What it was the last to watch is denied: its waiting ends.
    pub(crate) fn leave(&mut self, serial: u64) -> bool {
        self.waiting.retain(|_, it| !it.watchers.remove(&serial) || !it.watchers.is_empty());
        self.supervisors.remove(&serial).is_some()
    }

    /// Who watches a proposal; never the connection that submitted it.
    pub(crate) fn watchers(&self, seen: &Seen<'_>) -> Vec<u64> {
        let others = self.supervisors.iter().filter(|(serial, _)| Some(**serial) != seen.serial);
        others.filter(|(_, filter)| filter.wants(seen)).map(|(serial, _)| *serial).collect()
    }

    /// Lets an intent wait for one of its watchers. Without any its waiting ends at once.
    pub(crate) fn park(
        &mut self,
        intent: Arc<SupervisionIntent>,
        asker: Option<u64>,
        watchers: &[u64],
    ) -> Result<oneshot::Receiver<(IntentDecision, String)>, Crowded> {
        if self.waiting.len() >= MAX_INTENTS {
            return Err(Crowded);
        }
        let (decided, waiting) = oneshot::channel();
        if !watchers.is_empty() {
            self.next += 1;
            let watchers = watchers.iter().copied().collect();
            self.waiting.insert(self.next, Waiting { intent, asker, watchers, decided });
        }
        Ok(waiting)
    }

    pub(crate) fn pending(&self, serial: u64) -> Vec<Arc<SupervisionIntent>> {
        let others = self.waiting.values().filter(|it| it.asker != Some(serial));
        others.map(|it| it.intent.clone()).collect()
    }

    /// The first decision counts; one that comes after the waiting is over finds nothing.
    pub(crate) fn decide(
        &mut self,
        id: &str,
        serial: u64,
        by: &str,
        decision: IntentDecision,
    ) -> Result<(), Undecidable> {
        let number = self.number(id).ok_or(Undecidable::Unknown)?;
        if self.waiting.get(&number).is_some_and(|it| it.asker == Some(serial)) {
            return Err(Undecidable::Own);
        }
        let waiting = self.waiting.remove(&number).ok_or(Undecidable::Unknown)?;
        waiting.decided.send((decision, by.to_owned())).map_err(|_| Undecidable::Unknown)
    }

    /// The waiting is over.
    pub(crate) fn expire(&mut self, id: &str) {
        if let Some(number) = self.number(id) {
            self.waiting.remove(&number);
        }
    }

    fn number(&self, id: &str) -> Option<u64> {
        self.waiting.iter().find(|(_, it)| it.intent.id == id).map(|(number, _)| *number)
    }

    /// Remembers operations that a supervisor referred to a person while the ledger was at `position`.
    pub(crate) fn escalate(&mut self, fingerprints: &[&str], position: u64) {
        for fingerprint in fingerprints {
            self.escalated.insert((*fingerprint).to_owned(), position);
            self.escalations.push_back(((*fingerprint).to_owned(), position));
        }
        while self.escalations.len() > MAX_ESCALATED {
            if let Some((oldest, its)) = self.escalations.pop_front()
                && self.escalated.get(&oldest) == Some(&its)
            {
                self.escalated.remove(&oldest);
            }
        }
    }

    /// Whether every operation was referred to a person, who approved it after that.
    pub(crate) fn escalated_before(
        &self,
        fingerprints: &[&str],
        approved_since: impl Fn(&str, u64) -> bool,
    ) -> bool {
        let passes = |it: &&str| self.escalated.get(*it).is_some_and(|at| approved_since(it, *at));
        !fingerprints.is_empty() && fingerprints.iter().all(passes)
    }
}

#[cfg(test)]
mod tests {
    use carport_engine_model::ActionProposal;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn proposal(action: &Value) -> ActionProposal {
        serde_json::from_value(json!({ "id": "p", "actions": [action] })).unwrap()
    }

    fn seen(proposal: &ActionProposal) -> Seen<'_> {
        Seen { proposal, serial: Some(1), session_id: "c-1", scope: None }
    }

    fn filter(value: Value) -> SupervisionFilter {
        serde_json::from_value(value).unwrap()
    }

    fn parked(
        desk: &mut Desk,
        id: &str,
        watchers: &[u64],
    ) -> oneshot::Receiver<(IntentDecision, String)> {
        let proposal = proposal(&json!({ "id": "a", "type": "tool_call", "tool": "t" }));
        let mut intent = seen(&proposal).intent(carport_core::Time::default());
        intent.id = id.into();
        desk.park(Arc::new(intent), Some(1), watchers).unwrap()
    }

    #[test]
    fn every_part_of_a_filter_that_is_given_must_match() {
        let proposal = proposal(
            &json!({ "id": "a", "type": "tool_call", "tool": "t", "reversibility": "compensable" }),
        );
        for (part, wanted) in [
            (json!({}), true),
            (json!({ "tools": ["x", "t"] }), true),
            (json!({ "tools": [] }), false),
            (json!({ "sessions": ["c-1"] }), true),
            (json!({ "sessions": ["c-2"], "tools": ["t"] }), false),
            (json!({ "min_reversibility": "reversible" }), true),
            (json!({ "min_reversibility": "compensable" }), true),
            (json!({ "min_reversibility": "irreversible" }), false),
            (json!({ "min_reversibility": "whatever" }), false),
        ] {
            assert_eq!(filter(part.clone()).wants(&seen(&proposal)), wanted, "{part}");
        }
    }

    #[test]
    fn the_submitter_neither_watches_nor_decides() {
        let mut desk = Desk::default();
        let proposal = proposal(&json!({ "id": "a", "type": "tool_call", "tool": "t" }));
        desk.watch(1, SupervisionFilter::default());
        assert!(desk.watchers(&seen(&proposal)).is_empty());
        desk.watch(2, SupervisionFilter::default());
        assert_eq!(desk.watchers(&seen(&proposal)), [2]);
        let mut waiting = parked(&mut desk, "i", &[2]);
        assert_eq!(desk.decide("i", 1, "c-1", IntentDecision::Allow), Err(Undecidable::Own));
        assert!(desk.pending(1).is_empty() && desk.pending(2).len() == 1);
        desk.decide("i", 2, "c-2", IntentDecision::Allow).unwrap();
        assert_eq!(waiting.try_recv().unwrap().0, IntentDecision::Allow);
        assert_eq!(desk.decide("i", 2, "c-2", IntentDecision::Allow), Err(Undecidable::Unknown));
    }

    #[test]
    fn what_waits_stays_small_whatever_is_proposed() {
        let keys: serde_json::Map<_, _> =
            (0..2000).map(|n| (format!("{n}{}", "ü".repeat(1000)), json!(1))).collect();
        let actions: Vec<_> = (0..20)
            .map(|n| json!({ "id": format!("a{n}"), "type": "tool_call", "tool": "t", "parameters": keys }))
            .collect();
        let proposal: ActionProposal =
            serde_json::from_value(json!({ "id": "p", "actions": actions })).unwrap();
        let intent = Arc::new(seen(&proposal).intent(carport_core::Time::default()));
        assert_eq!(intent.actions[0].parameter_keys.len(), 256);
        let bytes = serde_json::to_vec(&*intent).unwrap().len();
        assert!(bytes < 300 << 10, "{bytes}");
        let many = vec![intent; 5];
        assert_eq!(super::super::within(&many, 3 * (bytes + 1)).len(), 3);
        assert_eq!(super::super::within(&many, 3 * bytes).len(), 2);
    }

    #[test]
    fn so_many_wait() {
        let mut desk = Desk::default();
        let waiting: Vec<_> =
            (0..MAX_INTENTS).map(|n| parked(&mut desk, &n.to_string(), &[2])).collect();
        let proposal = proposal(&json!({ "id": "a", "type": "tool_call", "tool": "t" }));
        let intent = seen(&proposal).intent(carport_core::Time::default());
        assert_eq!(desk.park(Arc::new(intent), None, &[2]).unwrap_err(), Crowded);
        drop(waiting);
    }

    proptest! {
        /// Whoever leaves, in whatever order: an intent waits as long as one of its watchers is
        /// there, and never ends with an allowance that nobody gave.
        #[test]
        fn leaving_never_releases(
            watchers in prop::collection::btree_set(2u64..6, 1..4),
            leaving in prop::collection::vec(2u64..6, 0..6),
        ) {
            let mut desk = Desk::default();
            for serial in 2..6 {
                desk.watch(serial, SupervisionFilter::default());
            }
            let list: Vec<_> = watchers.iter().copied().collect();
            let mut waiting = parked(&mut desk, "i", &list);
            let mut left = watchers;
            for serial in leaving {
                desk.leave(serial);
                left.remove(&serial);
                prop_assert_eq!(desk.pending(9).is_empty(), left.is_empty());
            }
            let closed = matches!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed));
            prop_assert_eq!(closed, left.is_empty());
        }
    }
}
