//! People and programs that watch proposals before they run, and decide about them. Fails closed.

pub(crate) mod desk;

use std::{collections::HashMap, sync::Arc, time::Duration};

use carport_core::{Caller, Guarded, Notification, Result, Session, Subscribers, Time};
use carport_engine_model::{
    ActionProposal, ActionType, Decision, Reversibility, Tier, digest_object,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};

pub use self::desk::SupervisionFilter;
use self::desk::{Desk, IntentDecision, Undecidable};
use crate::{permission::ledger::Ledger, proposal::scope::ScopeShown};

/// Bytes of JSON of one list of intents.
const MAX_PENDING: usize = 8 << 20;
/// Names of parameters that are told of an action, bytes of each, and bytes of all of an intent.
const MAX_KEYS: usize = 256;
const MAX_KEY: usize = 256;
const MAX_ALL_KEYS: usize = 256 << 10;

/// A proposal that waits for a supervisor: its shape and digests, never a parameter's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SupervisionIntent {
    /// Names it in `supervision.decide`.
    pub id: String,
    /// The proposal.
    pub proposal_id: String,
    /// Who proposes.
    pub source: String,
    /// The connection that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeShown>,
    /// The worst that its actions declare.
    pub reversibility: Reversibility,
    /// When it began to wait.
    pub created_at: Time,
    /// In the order of the proposal.
    pub actions: Vec<IntentAction>,
}

/// An action of a waiting proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IntentAction {
    /// The action.
    pub id: String,
    /// What it does.
    pub action_type: ActionType,
    /// The tool of a tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// As it declares.
    pub reversibility: Reversibility,
    /// The names of its parameters: the first 256, each cut to 256 bytes, and 256 KiB of all actions.
    pub parameter_keys: Vec<String>,
    /// SHA-256 of their canonical JSON.
    pub parameters_digest: String,
}

impl Notification for SupervisionIntent {
    const NAME: &'static str = "supervision.intent";
}

/// What the gate says of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nobody watches it, or somebody allowed it: the intent and the decider.
    Allowed(Option<Decided>),
    Denied {
        reason: String,
        decided: Option<Decided>,
    },
    /// It needs a person's approval, as without permission.
    Escalated {
        reason: String,
        decided: Decided,
    },
}

/// Who decided what about which intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) intent_id: String,
    pub(crate) decision: &'static str,
    pub(crate) by: String,
}

/// Everybody who supervises, and everything that waits.
pub(crate) struct Supervision {
    desk: Arc<Guarded<Desk>>,
    listeners: Subscribers<u64>,
    patience: Duration,
    required: bool,
}

impl Supervision {
    pub(crate) fn new(patience: Duration, required: bool) -> Self {
        Self { desk: Arc::default(), listeners: Subscribers::default(), patience, required }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Watches from now on; the same connection again replaces its filter. Returns how many watch.
    pub(crate) fn subscribe(&self, caller: &Caller, filter: SupervisionFilter) -> Result<usize> {
        let mut desk = self.desk.lock();
        let serial = caller.session().serial();
        self.listeners.subscribe(serial, caller)?;
        Ok(desk.watch(serial, filter))
    }

    /// Watches no more. What waited for this connection alone is denied.
    pub(crate) fn leave(&self, session: &Session) -> bool {
        let mut desk = self.desk.lock();
        self.listeners.unsubscribe(&session.serial(), session);
        desk.leave(session.serial())
    }

    /// What waits, oldest first, without the connection's own.
    pub(crate) fn pending(&self, session: &Session) -> Vec<SupervisionIntent> {
        let waiting = self.desk.lock().pending(session.serial());
        within(&waiting, MAX_PENDING)
    }

    /// The first decision counts.
    pub(crate) fn decide(
        &self,
        session: &Session,
        intent: &str,
        decision: IntentDecision,
    ) -> Result<(), Undecidable> {
        self.desk.lock().decide(intent, session.serial(), session.id(), decision)
    }

    /// Whether a proposal of this connection is watched by anybody else; costs nothing without
    /// supervisors.
    fn watchers(&self, seen: &Seen<'_>) -> Vec<u64> {
        self.desk.lock().watchers(seen)
    }

    /// Waits until a proposal with these decisions, one for each action, may run.
    pub(crate) async fn admit(
        &self,
        seen: &Seen<'_>,
        rows: &[Decision],
        ledger: &Ledger,
        now: Time,
    ) -> Admission {
        let watchers = self.watchers(seen);
        if watchers.is_empty() {
            return match self.required {
                false => Admission::Allowed(None),
                true => denied("nobody supervises this proposal, and the daemon requires it"),
            };
        }
        let required: HashMap<&str, Tier> =
            rows.iter().map(|row| (row.fingerprint.as_str(), row.required)).collect();
        let fingerprints: Vec<_> = required.keys().copied().collect();
        let approved = |it: &str, since| ledger.approves(it, required[it], since, now);
        if self.desk.lock().escalated_before(&fingerprints, approved) {
            return Admission::Allowed(None);
        }
        let intent = Arc::new(seen.intent(now));
        let id = intent.id.clone();
        let Ok(mut waiting) = self.park(seen, &intent) else {
            return denied("too many proposals wait for supervisors");
        };
        // Given up, it no longer waits.
        let gone = Gone { desk: self.desk.clone(), id: id.clone() };
        let decided = match timeout(self.patience, &mut waiting).await {
            Ok(decided) => Ok(decided),
            Err(late) => {
                drop(gone);
                // A decision of the last instant is in the channel by now, and counts.
                waiting.try_recv().map(Ok).map_err(|_| late)
            }
        };
        match decided {
            Ok(Ok((IntentDecision::Allow, by))) => {
                Admission::Allowed(Some(Decided { intent_id: id, decision: "allow", by }))
            }
            Ok(Ok((IntentDecision::Deny { reason }, by))) => Admission::Denied {
                reason: format!("denied by a supervisor: {reason}"),
                decided: Some(Decided { intent_id: id, decision: "deny", by }),
            },
            Ok(Ok((IntentDecision::Escalate { reason }, by))) => {
                self.desk.lock().escalate(&fingerprints, ledger.position());
                let decided = Decided { intent_id: id, decision: "escalate", by };
                Admission::Escalated { reason, decided }
            }
            Ok(Err(_)) => denied("the last supervisor that watched it left"),
            Err(_) => denied("no supervisor decided in time"),
        }
    }

    /// Parks an intent and tells those who watch it, in one step.
    fn park(
        &self,
        seen: &Seen<'_>,
        intent: &Arc<SupervisionIntent>,
    ) -> Result<oneshot::Receiver<(IntentDecision, String)>, desk::Crowded> {
        let mut desk = self.desk.lock();
        let watchers = desk.watchers(seen);
        let waiting = desk.park(intent.clone(), seen.serial, &watchers)?;
        for watcher in watchers {
            self.listeners.notify(&watcher, &**intent);
        }
        Ok(waiting)
    }
}

fn denied(reason: &str) -> Admission {
    Admission::Denied { reason: reason.into(), decided: None }
}

/// The first of these intents, as far as they fit into so many bytes of JSON.
fn within(intents: &[Arc<SupervisionIntent>], mut room: usize) -> Vec<SupervisionIntent> {
    let mut fits = |intent: &Arc<SupervisionIntent>| {
        let bytes = serde_json::to_vec(intent.as_ref()).map_or(usize::MAX, |json| json.len());
        let left = room.checked_sub(bytes.saturating_add(1));
        left.inspect(|left| room = *left).is_some()
    };
    let fitting = intents.iter().take_while(|intent| fits(intent));
    fitting.map(|intent| intent.as_ref().clone()).collect()
}

/// Names, cut and counted so that an intent stays small whatever is proposed.
fn keys_within<'a>(keys: impl Iterator<Item = &'a String>, room: &mut usize) -> Vec<String> {
    let cut = keys.take(MAX_KEYS).map(|key| &key[..key.floor_char_boundary(MAX_KEY)]);
    let fitting = cut.map_while(|key| {
        *room = room.checked_sub(key.len() + 3)?;
        Some(key.to_owned())
    });
    fitting.collect()
}

struct Gone {
    desk: Arc<Guarded<Desk>>,
    id: String,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.desk.lock().expire(&self.id);
    }
}

/// A proposal as the gate sees it.
pub(crate) struct Seen<'a> {
    pub(crate) proposal: &'a ActionProposal,
    /// The connection that submitted it, if one did.
    pub(crate) serial: Option<u64>,
    pub(crate) session_id: &'a str,
    pub(crate) scope: Option<ScopeShown>,
}

impl Seen<'_> {
    fn intent(&self, created_at: Time) -> SupervisionIntent {
        let mut room = MAX_ALL_KEYS;
        let actions = self.proposal.actions.iter().map(|action| IntentAction {
            id: action.id.clone(),
            action_type: action.kind,
            tool: action.called_tool().map(str::to_owned),
            reversibility: action.reversibility,
            parameter_keys: keys_within(action.parameters.keys(), &mut room),
            parameters_digest: digest_object(&action.parameters),
        });
        SupervisionIntent {
            id: format!("in-{}", uuid::Uuid::now_v7()),
            proposal_id: self.proposal.id.clone(),
            source: self.proposal.source.clone(),
            session_id: Some(self.session_id.to_owned()),
            scope: self.scope.clone(),
            reversibility: self.proposal.declared_rollback_contract(),
            created_at,
            actions: actions.collect(),
        }
    }
}
