//! What becomes of a row whose asker is gone, or whose decision is being recorded.

use std::future::Future;

use tokio::sync::Semaphore;

use super::*;
use crate::{
    contract::{access::Identity, clock::SystemClock, metrics::Counter, session::Origin},
    wire::outbox::OutboxLimits,
};

fn gate() -> ApprovalGate {
    let clock = Arc::new(SystemClock);
    let events = HostEvents::new("boot", clock.clone(), 100);
    ApprovalGate::new(ApprovalSettings::default(), clock, events, Gauge::default())
}

fn session(serial: u64) -> Arc<Session> {
    let (limits, drops) = (OutboxLimits::default(), Counter::default());
    Session::new(serial, Origin::InProcess, limits, drops).into()
}

fn new(context: Value, when_over: WhenOver) -> NewApproval {
    NewApproval {
        action: "lab.experiment".into(),
        title: "t".into(),
        description: None,
        agent_id: None,
        context,
        expires_in: Duration::from_secs(60),
        when_over,
    }
}

fn nothing() -> WhenOver {
    Arc::new(|_| Box::pin(std::future::ready(Ok(()))))
}

/// Records once it is let, or fails.
fn waits(recorded: &Arc<Semaphore>, fails: bool) -> WhenOver {
    let recorded = recorded.clone();
    Arc::new(move |decision| {
        let recorded = recorded.clone();
        Box::pin(async move {
            if decision.is_some() {
                recorded.acquire().await.unwrap().forget();
            }
            if fails { Err(RpcError::internal("the disk is gone")) } else { Ok(()) }
        })
    })
}

fn status(gate: &ApprovalGate) -> ApprovalStatus {
    gate.list(true, 1)[0].status
}

/// The connection may end between its call and the row.
#[tokio::test]
async fn a_row_of_a_connection_that_has_ended_is_cancelled_at_once() {
    let (gate, asker) = (gate(), session(1));
    asker.hang_up();
    gate.session_gone(&asker);
    Approvals::raise(&gate, "lab", &asker, new(json!({}), nothing())).unwrap();
    assert_eq!(status(&gate), ApprovalStatus::Cancelled);
}

#[tokio::test]
async fn a_plugins_context_has_the_bound_of_any_other() {
    let context = json!({ "a": "x".repeat(20_000) });
    let error = Approvals::raise(&gate(), "lab", &session(1), new(context, nothing()));
    assert_eq!(error.unwrap_err().field(), Some("context"));
}

#[tokio::test]
async fn a_decision_counts_once_it_is_recorded_whoever_waits_for_it() {
    for fails in [false, true] {
        let (gate, asker, recorded) = (gate(), session(1), Arc::new(Semaphore::new(0)));
        let row = new(json!({}), waits(&recorded, fails));
        let id = Approvals::raise(&gate, "lab", &asker, row).unwrap();
        let person = Caller::new(session(2), Identity::Host);
        {
            let mut given_up = std::pin::pin!(gate.decide(&id, &person, true, None));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(given_up.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(status(&gate), ApprovalStatus::Pending);
        let again = gate.decide(&id, &person, false, None).await.unwrap_err();
        assert_eq!(again.code, codes::CONFLICT);
        // What comes meanwhile is put off: it counts if nothing was recorded.
        gate.session_gone(&asker);
        assert_eq!(status(&gate), ApprovalStatus::Pending);
        recorded.add_permits(1);
        while status(&gate) == ApprovalStatus::Pending {
            tokio::task::yield_now().await;
        }
        let end = if fails { ApprovalStatus::Cancelled } else { ApprovalStatus::Approved };
        assert_eq!(status(&gate), end);
    }
}
