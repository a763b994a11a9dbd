//! A test host with an engine that knows two tools, and an executor that does as it is told.

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2a_api::{
    A2A_EXECUTOR, End, Ending, Executor, Turn, Updates,
    types::{Artifact, Message, Part},
};
use carport_core::{
    Identity, Result, RpcError, Session,
    testing::{TestClient, TestHost, TestHostBuilder},
};
use carport_engine_api::{ENGINE, Engine, EngineRuntime, HostTool, Observed, Scope};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::judge;

/// An engine with the tools `echo` and `fail`; anything else it rejects.
pub(crate) struct FakeEngine;

#[async_trait]
impl Engine for FakeEngine {
    async fn open(&self, _: &str, _: Identity) -> Result<Arc<dyn EngineRuntime>> {
        Ok(Arc::new(FakeRuntime))
    }

    async fn observe(&self, _: &Arc<Session>, _: Observed) -> Result<()> {
        Ok(())
    }
}

struct FakeRuntime;

#[async_trait]
impl EngineRuntime for FakeRuntime {
    fn register(&self, _: Arc<dyn HostTool>) -> Result<()> {
        Ok(())
    }

    async fn register_basics(&self, _: &[String]) -> Result<()> {
        Ok(())
    }

    fn unregister(&self, _: &str) -> bool {
        false
    }

    fn tools(&self) -> Vec<Value> {
        vec![json!({ "name": "echo", "description": "Says it again." })]
    }

    async fn execute(&self, proposal: Value, scope: Option<Scope>) -> Result<Value> {
        assert_eq!(proposal["source"], "a2a");
        let action = &proposal["actions"][0];
        assert_eq!(action["type"], "tool_call");
        let result = match action["tool"].as_str() {
            Some("echo") => json!({ "status": "succeeded", "output": action["parameters"]["say"] }),
            Some("whoami") => {
                let caller = scope.and_then(|it| it.caller_id);
                json!({ "status": "succeeded", "output": caller })
            }
            Some("fail") => json!({ "status": "failed", "error": "it broke" }),
            Some("broken") => return Err(RpcError::invalid_params("actions[0]", "is bad")),
            _ => json!({ "status": "rejected", "error": "no such tool" }),
        };
        Ok(json!({ "results": [result] }))
    }

    fn cancel(&self, _: &str) -> bool {
        false
    }
}

/// Does what the first text of a message says.
pub(crate) struct Obedient {
    /// `wait` goes on when there is a permit.
    pub(crate) go: Semaphore,
    /// A turn has come to a `wait`.
    pub(crate) waits: Semaphore,
    /// A turn was dropped before its end.
    pub(crate) dropped: Arc<Notify>,
}

impl Default for Obedient {
    fn default() -> Self {
        Self { go: Semaphore::new(0), waits: Semaphore::new(0), dropped: Arc::default() }
    }
}

struct Dropped(Option<Arc<Notify>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.notify_one();
        }
    }
}

#[async_trait]
impl Executor for Obedient {
    async fn answer(&self, message: &Message, _: &str) -> Option<Vec<Part>> {
        let text = message.first_text()?;
        text.strip_prefix("answer ").map(|rest| vec![Part::text(rest)])
    }

    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        let mut guard = Dropped(Some(self.dropped.clone()));
        let text = turn.message.first_text().unwrap_or_default().to_owned();
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if word.starts_with("wait") {
            self.waits.add_permits(1);
            self.go.acquire().await.unwrap().forget();
        }
        guard.0 = None;
        match word {
            "ask" | "wait-and-ask" => Ending::saying(End::InputRequired, "what?"),
            "wait-and-fail" => Ending::saying(End::Failed, "no"),
            "panic" => panic!("as it was told"),
            "make" => {
                let artifact = Artifact::of("a", Part::text(rest));
                let kept = updates.artifact(artifact, false, true).await;
                Ending::saying(End::Completed, format!("{}", kept.is_ok()))
            }
            "wait-and-chunk" => {
                for made in 0..rest.parse::<usize>().unwrap() {
                    if made == 200 {
                        self.waits.add_permits(1);
                        self.go.acquire().await.unwrap().forget();
                    }
                    let artifact = Artifact::of("a", Part::text("x"));
                    updates.artifact(artifact, true, false).await.unwrap();
                }
                self.waits.add_permits(1);
                Ending::saying(End::Completed, "all")
            }
            "drop-and-ask" => {
                for n in 0..3 {
                    let made = Artifact::of("a", Part::text(format!("{n}")));
                    let dropped = updates.artifact(made, true, false).now_or_never();
                    assert!(dropped.is_none(), "it is on its way to the disk");
                }
                Ending::saying(End::InputRequired, "what?")
            }
            "flood" => {
                let mut made = 0;
                let chunk = || Artifact::of("a", Part::text("x".repeat(1 << 20)));
                while updates.artifact(chunk(), true, false).await.is_ok() {
                    made += 1;
                }
                Ending::saying(End::Completed, format!("{made}"))
            }
            _ => Ending::saying(End::Completed, format!("did {text} as {}", turn.owner)),
        }
    }
}

/// A host whose tasks go to the engine.
pub(crate) fn with_engine() -> TestHostBuilder {
    TestHost::builder().config(|config| {
        config.provide(&ENGINE, Arc::new(FakeEngine) as Arc<dyn Engine>);
    })
}

/// A host whose tasks do as they are told.
pub(crate) fn with_obedient() -> (TestHostBuilder, Arc<Obedient>) {
    let obedient = Arc::new(Obedient::default());
    let executor = obedient.clone();
    let builder = with_engine().config(|config| {
        config.provide(&A2A_EXECUTOR, executor as Arc<dyn Executor>);
    });
    (builder, obedient)
}

/// Parameters of `SendMessage` with one text.
pub(crate) fn say(text: &str) -> Value {
    json!({ "message": message(json!({ "text": text })) })
}

/// A message with one part.
pub(crate) fn message(part: Value) -> Value {
    json!({ "messageId": "m", "role": "ROLE_USER", "parts": [part] })
}

/// Parameters that go on with a task.
pub(crate) fn go_on(task: &str, text: &str) -> Value {
    let mut params = say(text);
    params["message"]["taskId"] = task.into();
    params
}

/// The same, answered at once.
pub(crate) fn at_once(mut params: Value) -> Value {
    params["configuration"]["returnImmediately"] = true.into();
    params
}

/// Sends a message and answers with its task.
pub(crate) async fn send(client: &mut TestClient, params: Value) -> Value {
    let mut result = client.raw("SendMessage", params).await.expect("is taken");
    judge::result("SendMessage", &result);
    result["task"].take()
}

/// The state of a task, without its prefix.
pub(crate) fn state(task: &Value) -> &str {
    let state = task["status"]["state"].as_str().expect("a state");
    state.strip_prefix("TASK_STATE_").expect("a state of v1.0")
}

/// The text that a task says.
pub(crate) fn words(task: &Value) -> &str {
    task["status"]["message"]["parts"][0]["text"].as_str().unwrap_or_default()
}
