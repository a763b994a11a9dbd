//! Calls that go on after their action succeeded: who waits for their answers, and who hears their chunks.

use std::{collections::HashMap, sync::Arc};

use carport_core::{Notification, Result, Session, Tasks};
use carport_engine_api::{HostTool, ToolCall};
use carport_engine_journal::{Kind, NewEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::{
    call::{Abandoned, ExecuteTool, call_host, cut},
    handles::{Cancelled, Ended, Pushed, Subject, ToolPollResult, ToolStreamChunk},
};
use crate::{hub::Hub, runtime::Runtime};

/// A chunk of a detached call, as it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolStreamEvent {
    /// The call.
    pub handle: String,
    /// The chunk.
    pub chunk: ToolStreamChunk,
}

impl Notification for ToolStreamEvent {
    const NAME: &'static str = "tools.stream.event";
}

/// Who waits for what: told why to stop, if the client is to hear of it.
#[derive(Debug, Default)]
pub(crate) struct Detached(HashMap<String, oneshot::Sender<Option<&'static str>>>);

impl Runtime {
    /// Begins a detached call: gives it a name and says so in the journal.
    pub(crate) async fn start_handle(&self, subject: Subject) -> Result<String> {
        self.sweep_handles().await;
        let handle = format!("th-{}", uuid::Uuid::now_v7());
        self.handles.lock().start(handle.clone(), subject.clone(), self.clock.now())?;
        let data = json!({ "handle": handle, "tool": subject.tool });
        self.journal.append(about(Kind::ToolStreamStarted, &subject, data)).await;
        Ok(handle)
    }

    /// Takes a chunk; `false` if the call is unknown or has ended.
    pub(crate) async fn push_chunk(&self, handle: &str, chunk: ToolStreamChunk) -> bool {
        let chunk = chunk.bounded();
        let pushed = {
            let mut handles = self.handles.lock();
            let event = ToolStreamEvent { handle: handle.to_owned(), chunk: chunk.clone() };
            let pushed = handles.push(handle, chunk, self.clock.now());
            if pushed != Pushed::Refused {
                self.streams.notify(&(), &event);
            }
            pushed
        };
        match pushed {
            Pushed::Refused => false,
            Pushed::Taken => true,
            Pushed::Last(ended) => {
                self.handle_ended(ended, None).await;
                true
            }
        }
    }

    pub(crate) async fn poll_handle(&self, handle: &str) -> Option<ToolPollResult> {
        self.sweep_handles().await;
        self.handles.lock().poll(handle)
    }

    /// Seals a running call as cancelled; `false` only if it is unknown.
    pub(crate) async fn cancel_handle(&self, handle: &str) -> bool {
        let cancelled = self.handles.lock().cancel(handle, self.clock.now());
        match cancelled {
            Cancelled::Unknown => return false,
            Cancelled::Before => {}
            Cancelled::Now(ended) => self.handle_ended(ended, Some("cancelled")).await,
        }
        true
    }

    /// Lets go of handles whose time is over.
    pub(crate) async fn sweep_handles(&self) {
        let ended = self.handles.lock().sweep(self.clock.now());
        for ended in ended {
            self.handle_ended(ended, Some("timeout")).await;
        }
    }

    /// The runtime ends: nobody waits for anything any more.
    pub(crate) async fn end_handles(&self) {
        let waiting = std::mem::take(&mut *self.detached.lock());
        for (handle, stop) in waiting.0 {
            // Whoever waited may have ended already.
            let _ = stop.send(None);
            let cancelled = self.handles.lock().cancel(&handle, self.clock.now());
            if let Cancelled::Now(ended) = cancelled {
                self.handle_ended(ended, None).await;
            }
        }
    }

    async fn handle_ended(&self, ended: Ended, tell: Option<&'static str>) {
        if let Some(stop) = self.detached.lock().0.remove(&ended.handle) {
            // Whoever waited may have ended already.
            let _ = stop.send(tell);
        }
        let data =
            json!({ "handle": ended.handle, "status": ended.status, "chunks": ended.chunks });
        self.journal.append(about(Kind::ToolStreamEnded, &ended.subject, data)).await;
    }

    fn await_end(&self, handle: &str) -> oneshot::Receiver<Option<&'static str>> {
        let (stop, stopped) = oneshot::channel();
        self.detached.lock().0.insert(handle.to_owned(), stop);
        stopped
    }
}

fn about(kind: Kind, subject: &Subject, data: Value) -> NewEvent {
    NewEvent::new(kind, data).of_proposal(&subject.proposal_id).of_action(&subject.action_id)
}

/// Asks the client for a detached call. Returns once the request is queued; `false` if the connection
/// ended before. Dropped before that, it forgets the call.
pub(crate) async fn ask_detached(
    hub: &Hub,
    runtime: &Arc<Runtime>,
    session: &Arc<Session>,
    mut ask: ExecuteTool,
    handle: &str,
) -> bool {
    let (queued, is_queued) = oneshot::channel();
    let mut stopped = runtime.await_end(handle);
    let (runtime, session, handle) = (runtime.clone(), session.clone(), handle.to_owned());
    let tasks = hub.tasks.clone();
    let mut unqueued = Unqueued { runtime: runtime.clone(), tasks, handle: Some(handle.clone()) };
    hub.tasks.spawn("detached", async move {
        let request = tokio::select! {
            request = session.open_request() => request,
            _ = &mut stopped => return,
        };
        let Ok(request) = request else { return };
        ask.request_id = request.id();
        tokio::select! {
            () = request.send(&ask) => {}
            _ = &mut stopped => return,
        }
        let mut open = Abandoned::new(&session, &ask, "cancelled", None);
        if queued.send(()).is_err() {
            return;
        }
        let why = tokio::select! {
            answer = request.answer::<ExecuteTool>() => {
                take_answer(&runtime, &handle, answer).await;
                // Accepted: the call goes on, and its end comes from elsewhere.
                stopped.await
            }
            why = &mut stopped => why,
        };
        match why {
            Ok(Some(reason)) => open.because(reason),
            Ok(None) => open.answered(),
            // It was sent and then forgotten.
            Err(_) => {}
        }
    });
    let is_queued = is_queued.await.is_ok();
    if is_queued {
        unqueued.handle = None;
    }
    is_queued
}

/// A call that did not reach its client is forgotten, and the journal says so.
struct Unqueued {
    runtime: Arc<Runtime>,
    tasks: Tasks,
    handle: Option<String>,
}

impl Drop for Unqueued {
    fn drop(&mut self) {
        let Some(handle) = self.handle.take() else { return };
        let forgotten = self.runtime.handles.lock().forget(&handle);
        let Some(ended) = forgotten else { return };
        // Without a reason: if the request went out all the same, its task cancels it.
        drop(self.runtime.detached.lock().0.remove(&handle));
        let runtime = self.runtime.clone();
        let ending = async move { runtime.handle_ended(ended, None).await };
        self.tasks.spawn("detached-end", ending);
    }
}

/// `{ "accepted": true }` announces chunks; any other answer is the end.
async fn take_answer(runtime: &Runtime, handle: &str, answer: Result<Result<Value>>) {
    let chunk = match answer {
        Ok(Ok(result)) if result == json!({ "accepted": true }) => return,
        Ok(Ok(result)) => ToolStreamChunk::Done { result: Some(result) },
        Ok(Err(error)) | Err(error) => {
            ToolStreamChunk::Error { message: cut(&error.message).to_owned() }
        }
    };
    runtime.push_chunk(handle, chunk).await;
}

/// Runs a tool of the daemon on its own.
pub(crate) fn run_detached(
    hub: &Hub,
    runtime: &Arc<Runtime>,
    tool: Arc<dyn HostTool>,
    parameters: Map<String, Value>,
    call: ToolCall,
    handle: &str,
) {
    let stopped = runtime.await_end(handle);
    let (runtime, handle) = (runtime.clone(), handle.to_owned());
    hub.tasks.spawn("detached", async move {
        let chunk = tokio::select! {
            done = call_host(&*tool, parameters, call) => match done {
                Ok(result) => ToolStreamChunk::Done { result: Some(result) },
                Err(failure) => ToolStreamChunk::Error { message: failure.error },
            },
            _ = stopped => return,
        };
        runtime.push_chunk(&handle, chunk).await;
    });
}
