//! Whether an action may run: what the ledger says of it, else what was granted against what it needs.

use std::fmt;

use carport_core::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    proposal::{Action, Reversibility},
    tier::Tier,
};

/// A line of the ledger: what a reviewer decided about one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRecord {
    /// The operation: see [`Operation::fingerprint`](crate::Operation::fingerprint).
    pub fingerprint: String,
    /// Yes or no.
    pub decision: Approval,
    /// Up to which tier it holds. Below the tier that is needed it has no effect.
    pub required_tier: Tier,
    /// Who decided, as the daemon knows it.
    pub reviewer: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// When.
    pub at: Time,
    /// From when on it counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Yes.
    Approved,
    /// No.
    Rejected,
}

/// What reviewers have decided, by operation.
pub trait Ledger {
    /// The record that decides about an operation that needs `required`: see [`newest_live`].
    fn newest(&self, fingerprint: &str, required: Tier, now: Time) -> Option<&ApprovalRecord>;
}

/// What becomes of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may run.
    Allow,
    /// Not until a reviewer approves.
    NeedsApproval,
    /// A reviewer rejected it.
    Deny,
}

/// The row of an action in `permission.evaluate`. Displays as the text of a refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The action.
    pub action_id: String,
    /// What it would do.
    pub fingerprint: String,
    /// What becomes of it.
    pub decision: Verdict,
    /// The tier that it needs.
    pub required: Tier,
    /// By its names.
    pub reversibility: Reversibility,
    /// The tier that was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Tier>,
    /// Why, unless it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ApprovalRecord {
    /// Whether it still counts.
    pub fn is_live(&self, now: Time) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Up to which required tier it decides: a rejection always does, an approval below the tier that is
    /// needed has no effect.
    pub fn reach(&self) -> Tier {
        match self.decision {
            Approval::Approved => self.required_tier,
            Approval::Rejected => Tier::FullAccess,
        }
    }
}

/// The newest of the records of one operation, given from the oldest to the newest, that still counts and
/// decides about what needs `required`.
pub fn newest_live<'a>(
    records: impl DoubleEndedIterator<Item = &'a ApprovalRecord>,
    required: Tier,
    now: Time,
) -> Option<&'a ApprovalRecord> {
    records.rev().find(|record| record.is_live(now) && record.reach() >= required)
}

/// The rule, from its first line to its last: the record rejects; the record approves up to the required
/// tier or above; full access always needs approval; the required tier was granted.
pub fn decide(record: Option<&ApprovalRecord>, granted: Tier, required: Tier) -> Verdict {
    match record {
        Some(record) if record.decision == Approval::Rejected => Verdict::Deny,
        Some(record) if record.required_tier >= required => Verdict::Allow,
        _ if required == Tier::FullAccess => Verdict::NeedsApproval,
        _ if required <= granted => Verdict::Allow,
        _ => Verdict::NeedsApproval,
    }
}

impl Action {
    /// [`decide`] about this action with these parameters, its own or filled in.
    pub fn evaluate_with(
        &self,
        parameters: &Map<String, Value>,
        ledger: &dyn Ledger,
        granted: Tier,
        now: Time,
    ) -> Decision {
        let operation = self.with_parameters(parameters);
        let (fingerprint, required) = (operation.fingerprint(), operation.required_tier());
        let record = ledger.newest(&fingerprint, required, now);
        let decision = decide(record, granted, required);
        let reason = match decision {
            Verdict::Allow => None,
            Verdict::NeedsApproval => Some("no reviewer has approved this operation".to_owned()),
            Verdict::Deny => record.map(|record| match &record.reason {
                Some(reason) => format!("rejected by {}: {reason}", record.reviewer),
                None => format!("rejected by {}", record.reviewer),
            }),
        };
        Decision {
            action_id: self.id.clone(),
            fingerprint,
            decision,
            required,
            reversibility: operation.reversibility(),
            granted: Some(granted),
            reason,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = self.required.name();
        let granted = self.granted.map_or("nothing", Tier::name);
        write!(f, "permission: '{}' requires {required}, granted {granted}", self.action_id)?;
        if let Some(reason) = &self.reason {
            write!(f, "; {reason}")?;
        }
        write!(f, "; fingerprint {}", self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    const TIERS: [Tier; 3] = [Tier::ReadOnly, Tier::SandboxEdit, Tier::FullAccess];

    struct Lines(Vec<ApprovalRecord>);

    impl Ledger for Lines {
        fn newest(&self, fingerprint: &str, tier: Tier, now: Time) -> Option<&ApprovalRecord> {
            newest_live(self.0.iter().filter(|it| it.fingerprint == fingerprint), tier, now)
        }
    }

    fn record(decision: Approval, required_tier: Tier, expires: Option<i64>) -> ApprovalRecord {
        let at = |seconds| Time::from(*Time::default() + TimeDelta::seconds(seconds));
        ApprovalRecord {
            fingerprint: "f".into(),
            decision,
            required_tier,
            reviewer: "host:c-1".into(),
            reason: None,
            evidence: None,
            at: Time::default(),
            expires_at: expires.map(at),
        }
    }

    /// Every tier against every tier, for each kind of record.
    #[test]
    fn the_ledger_comes_first_and_full_access_never_runs_without_it() {
        for granted in TIERS {
            for required in TIERS {
                let expected = match required {
                    Tier::FullAccess => Verdict::NeedsApproval,
                    _ if required <= granted => Verdict::Allow,
                    _ => Verdict::NeedsApproval,
                };
                assert_eq!(decide(None, granted, required), expected);
                for tier in TIERS {
                    let no = record(Approval::Rejected, tier, None);
                    assert_eq!(decide(Some(&no), granted, required), Verdict::Deny);
                    let yes = record(Approval::Approved, tier, None);
                    let expected = if tier >= required { Verdict::Allow } else { expected };
                    assert_eq!(decide(Some(&yes), granted, required), expected);
                }
            }
        }
    }

    #[test]
    fn the_newest_record_that_has_not_expired_counts() {
        let yes = record(Approval::Approved, Tier::FullAccess, None);
        let no = record(Approval::Rejected, Tier::FullAccess, Some(10));
        let now = |seconds| Time::from(*Time::default() + TimeDelta::seconds(seconds));
        let records = [yes, no];
        let newest = |at| newest_live(records.iter(), Tier::ReadOnly, now(at));
        assert_eq!(newest(9), Some(&records[1]));
        assert_eq!(newest(10), Some(&records[0]));
        let reversed = newest_live(records.iter().rev(), Tier::ReadOnly, now(9));
        assert_eq!(reversed, Some(&records[0]));
    }

    /// A later approval below the tier that is needed neither undoes a rejection nor hides an approval.
    #[test]
    fn an_approval_below_the_required_tier_has_no_effect() {
        for before in [Approval::Approved, Approval::Rejected] {
            let low = record(Approval::Approved, Tier::SandboxEdit, None);
            let records = [record(before, Tier::FullAccess, None), low];
            let newest = |tier| newest_live(records.iter(), tier, Time::default());
            assert_eq!(newest(Tier::FullAccess), Some(&records[0]));
            assert_eq!(newest(Tier::SandboxEdit), Some(&records[1]));
        }
    }

    #[test]
    fn a_row_says_what_a_refusal_says() {
        let call =
            json!({ "type": "tool_call", "tool": "deploy", "parameters": { "a": "s3cret" } });
        let action = crate::tests::action(call);
        let mut no = record(Approval::Rejected, Tier::FullAccess, None);
        no.fingerprint = crate::fingerprint(&action);
        no.reason = Some("not today".into());
        let row = action.evaluate_with(
            &action.parameters,
            &Lines(vec![no]),
            Tier::FullAccess,
            Time::default(),
        );
        assert_eq!((row.decision, row.required), (Verdict::Deny, Tier::FullAccess));
        let text = row.to_string();
        for part in [&*row.fingerprint, "full_access, granted full_access", "host:c-1: not today"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("s3cret"));
        let other = Map::from_iter([("a".into(), "other".into())]);
        let row = action.evaluate_with(&other, &Lines(vec![]), Tier::FullAccess, Time::default());
        assert_eq!(row.decision, Verdict::NeedsApproval);
        let harmless = json!({ "type": "state_read", "parameters": { "key": "k" } });
        let harmless = crate::tests::action(harmless);
        let row = harmless.evaluate_with(
            &harmless.parameters,
            &Lines(vec![]),
            Tier::ReadOnly,
            Time::default(),
        );
        assert_eq!((row.decision, row.reason), (Verdict::Allow, None));
    }
}
