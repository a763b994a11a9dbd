//! What happens between the raising of a row and its id.

use carport_core::{Durability, SystemClock, testing::LoneSession};
use carport_engine_journal::Journals;

use super::*;

/// A list in which something happens before it hands out an id.
#[derive(Default)]
struct Slow {
    meanwhile: Guarded<Option<Box<dyn FnOnce() + Send>>>,
    withdrawn: Guarded<Vec<String>>,
}

impl Approvals for Slow {
    fn raise(&self, _: &str, _: &Session, _: NewApproval) -> Result<String> {
        let meanwhile = self.meanwhile.lock().take();
        meanwhile.into_iter().for_each(|it| it());
        Ok("ap-1".into())
    }

    fn withdraw(&self, id: &str) {
        self.withdrawn.lock().push(id.to_owned());
    }
}

#[tokio::test]
async fn a_row_that_is_decided_before_it_has_an_id_is_withdrawn() {
    for (tier, expected) in [(Tier::FullAccess, vec!["ap-1"]), (Tier::SandboxEdit, vec![])] {
        let root = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let ledger = Ledger::open(root.path().join("l.jsonl"), Durability::Process).unwrap();
        let list = Arc::new(Slow::default());
        let inbox = Arc::new(Inbox::new(list.clone(), Arc::new(ledger), clock.clone()));
        let (journals, _writer) = Journals::new(root.path().into(), Durability::Process, clock);
        let journal = journals.open("c-1").await.unwrap();
        let action: Action = serde_json::from_value(
            json!({ "id": "a", "type": "tool_call", "tool": "deploy", "parameters": {} }),
        )
        .unwrap();
        let row =
            inbox.ledger.evaluate(&action, &action.parameters, Tier::ReadOnly, inbox.clock.now());
        let record = ApprovalRecord {
            fingerprint: row.fingerprint.clone(),
            decision: Approval::Approved,
            required_tier: tier,
            reviewer: "host:c".into(),
            reason: None,
            evidence: None,
            at: inbox.clock.now(),
            expires_at: None,
        };
        let elsewhere = inbox.clone();
        *list.meanwhile.lock() = Some(Box::new(move || elsewhere.withdraw(&record)));
        LoneSession::new(1).call(|caller| {
            let asker = Asker { session: caller.session(), agent: None, journal: &journal };
            inbox.raise(&asker, &action, &action.parameters, &row);
        });
        assert_eq!(*list.withdrawn.lock(), expected);
    }
}
