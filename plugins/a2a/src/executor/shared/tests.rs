//! What becomes of turns when the listener stops, and when the connection ends.

use carport_a2a_api::{
    Over,
    types::{Artifact, Message, Part, Task, Version, read::read},
};
use carport_agents_api::{Agent, Change, Chat};
use carport_core::{Guarded, Identity, ManifestRole, codes, testing::LoneSession};
use carport_engine_api::{HostTool, Observed, Scope};
use serde_json::json;
use tokio::sync::{Notify, broadcast};

use super::*;

/// An engine whose one runtime answers with `result` when it is told to go on.
#[derive(Default)]
struct Scripted {
    begun: Notify,
    go: Notify,
    result: Guarded<Value>,
    executed: Guarded<usize>,
}

struct Lent(Arc<Scripted>);

#[async_trait]
impl Engine for Lent {
    async fn open(&self, _: &str, _: Identity) -> Result<Arc<dyn EngineRuntime>> {
        Err(RpcError::internal("nobody opens one here"))
    }

    async fn of_session(&self, _: &Arc<Session>) -> Result<Arc<dyn EngineRuntime>> {
        Ok(Arc::new(Self(self.0.clone())))
    }

    async fn observe(&self, _: &Arc<Session>, _: Observed) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl EngineRuntime for Lent {
    fn register(&self, _: Arc<dyn HostTool>) -> Result<()> {
        Ok(())
    }

    fn unregister(&self, _: &str) -> bool {
        false
    }

    fn tools(&self) -> Vec<Value> {
        Vec::new()
    }

    async fn execute(&self, _: Value, _: Option<Scope>) -> Result<Value> {
        *self.0.executed.lock() += 1;
        self.0.begun.notify_one();
        self.0.go.notified().await;
        Ok(json!({ "results": [*self.0.result.lock()] }))
    }

    fn cancel(&self, _: &str) -> bool {
        false
    }
}

/// Says that whoever it asks is gone, when it is told to go on.
struct Nobody(Arc<Scripted>);

#[async_trait]
impl Agents for Nobody {
    fn list(&self) -> Vec<Agent> {
        Vec::new()
    }

    fn attached(&self, _: &str) -> Option<String> {
        None
    }

    fn role(&self) -> (Option<String>, ManifestRole) {
        (None, ManifestRole::None)
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        broadcast::channel(1).1
    }

    async fn chat(&self, turn: carport_agents_api::Turn) -> Result<Chat> {
        assert!(matches!(turn.target, Target::Client(_)));
        self.0.begun.notify_one();
        self.0.go.notified().await;
        Err(RpcError::new(codes::GONE, "it did not take the chat"))
    }
}

struct Kept;

#[async_trait]
impl Updates for Kept {
    async fn artifact(&self, _: Artifact, _: bool, _: bool) -> std::result::Result<(), Over> {
        Ok(())
    }

    async fn says(&self, _: Vec<Part>) -> std::result::Result<(), Over> {
        Ok(())
    }
}

fn turn(part: &Value) -> Turn {
    let message = json!({ "messageId": "m", "role": "ROLE_USER", "parts": [part] });
    let message: Message = read(message, Version::V1).unwrap();
    let task = json!({ "id": "t", "contextId": "c",
        "status": { "state": "TASK_STATE_WORKING", "timestamp": "2026-01-01T00:00:00.000Z" } });
    let task: Task = read(task, Version::V1).unwrap();
    Turn { task, message, owner: "anonymous".into() }
}

fn tool() -> Turn {
    turn(&json!({ "data": { "tool": "t" } }))
}

async fn scene() -> (LoneSession, Arc<Scripted>, Arc<Shared>) {
    let (session, scripted) = (LoneSession::new(1), Arc::new(Scripted::default()));
    *scripted.result.lock() = json!({ "status": "succeeded", "output": 1 });
    let agents = Some(Arc::new(Nobody(scripted.clone())) as Arc<dyn Agents>);
    let sharing = Sharing { engine: Arc::new(Lent(scripted.clone())), agents, drawing: None };
    let own = session.call(|caller| caller.session().clone());
    let shared = Arc::new(sharing.of(&own).await.unwrap());
    assert!(
        shared.is_of(&own) && !shared.is_of(&LoneSession::new(2).call(|it| it.session().clone()))
    );
    (session, scripted, shared)
}

/// Begins a turn, does this while it runs, and has it go on.
async fn meanwhile(
    scripted: &Scripted,
    shared: &Arc<Shared>,
    turn: Turn,
    happens: impl FnOnce(),
) -> Ending {
    let working = shared.turn(turn, &Kept);
    let happening = async {
        scripted.begun.notified().await;
        happens();
        scripted.go.notify_one();
    };
    tokio::join!(working, happening).0
}

fn failed(why: &str) -> Ending {
    Ending::saying(End::Failed, why)
}

#[tokio::test]
async fn what_waited_for_its_turn_is_done_by_nobody_once_the_listener_or_the_connection_is_gone() {
    let (_session, scripted, shared) = scene().await;
    shared.stop();
    assert_eq!(shared.turn(tool(), &Kept).await, failed(STOPPED));
    let (session, other, left) = scene().await;
    session.hang_up();
    assert_eq!(left.turn(tool(), &Kept).await, failed(LEFT));
    assert_eq!((*scripted.executed.lock(), *other.executed.lock()), (0, 0));
}

#[tokio::test]
async fn a_turn_under_way_outlives_the_listener() {
    let (_session, scripted, shared) = scene().await;
    let ending = meanwhile(&scripted, &shared, tool(), || shared.stop()).await;
    assert_eq!(ending, Ending::saying(End::Completed, ""));
}

#[tokio::test]
async fn a_turn_under_way_fails_with_its_connection_unless_all_was_done() {
    for (status, error) in [
        ("failed", "stopped"),
        ("skipped", "stopped"),
        ("rejected", "supervision gate: the connection ended"),
    ] {
        let (session, scripted, shared) = scene().await;
        *scripted.result.lock() = json!({ "status": status, "error": error });
        let ending = meanwhile(&scripted, &shared, tool(), || session.hang_up()).await;
        assert_eq!(ending, failed(LEFT), "{status}");
    }
    let (session, scripted, shared) = scene().await;
    let ending = meanwhile(&scripted, &shared, tool(), || session.hang_up()).await;
    assert_eq!(ending, Ending::saying(End::Completed, ""));
    let (session, scripted, shared) = scene().await;
    *scripted.result.lock() = json!({ "status": "rejected", "error": "policy 'no': not here" });
    let ending = meanwhile(&scripted, &shared, tool(), || session.hang_up()).await;
    assert_eq!(ending, Ending::saying(End::Rejected, "policy 'no': not here"), "the reason stays");
}

/// Waits until so many turns have begun, then gives every other task its chance.
async fn begun(scripted: &Scripted, wanted: usize) {
    while *scripted.executed.lock() < wanted {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*scripted.executed.lock(), wanted);
}

#[tokio::test]
async fn so_many_turns_are_done_at_once_and_who_waits_hears_of_a_stop() {
    let (_session, scripted, shared) = scene().await;
    let mut turns = tokio::task::JoinSet::new();
    for _ in 0..TURNS + 2 {
        let shared = shared.clone();
        turns.spawn(async move { shared.turn(tool(), &Kept).await });
    }
    begun(&scripted, TURNS).await;
    scripted.go.notify_one();
    assert_eq!(turns.join_next().await.unwrap().unwrap().end, End::Completed);
    begun(&scripted, TURNS + 1).await;
    shared.stop();
    assert_eq!(turns.join_next().await.unwrap().unwrap(), failed(STOPPED));
    assert_eq!(turns.len(), TURNS, "the others go on");
}

#[tokio::test]
async fn words_that_a_connection_left_unanswered_are_not_acknowledged() {
    let words = || turn(&json!({ "text": "hello" }));
    let (session, scripted, shared) = scene().await;
    let ending = meanwhile(&scripted, &shared, words(), || session.hang_up()).await;
    assert_eq!(ending, failed(LEFT));
    let (_session, scripted, shared) = scene().await;
    let silent = meanwhile(&scripted, &shared, words(), || {}).await;
    assert_eq!(silent, Ending::saying(End::Completed, "Acknowledged."));
}
