//! The two tracks of a turn: what is sent of them, and in which order.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use carport_core::{Result, RpcError};
use carport_inference_api::Pieces;
use carport_voice_api::TurnEvent;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::Running;

/// How long an answer of the slow track waits for the fast one to end.
const HOLD: Duration = Duration::from_secs(5);

/// What a turn took, for its record.
#[derive(Debug, Default)]
struct Times {
    fast_ms: Option<u64>,
    sidecar_ms: Option<u64>,
}

/// What `work` comes to; nothing if it panics. Whoever waits for the end of a turn waits for one that
/// models of another plugin broke, too.
async fn unless_it_panics<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        polled.map_or(Poll::Ready(None), |it| it.map(Some))
    })
    .await
}

impl Running {
    /// Runs the turn to its one ending event.
    pub(super) async fn run(&self) {
        let mut cancelled = self.turn.cancelled.subscribe();
        let mut times = Times::default();
        let turn_id = self.turn.id;
        let ended = tokio::select! {
            biased;
            _ = cancelled.wait_for(|it| *it) => Some("cancelled"),
            ended = unless_it_panics(self.take(&mut times)) => ended,
        };
        match ended {
            Some("cancelled") => {
                self.tell(TurnEvent::Cancelled { turn_id }).await;
            }
            Some(_) => {}
            None => {
                let error = "whoever runs the models panicked".into();
                self.tell(TurnEvent::Error { turn_id, error }).await;
            }
        }
        let ended = ended.unwrap_or("panicked");
        tracing::info!(
            turn_id,
            ended,
            kind = self.kind.map_or("none", |kind| kind.word()),
            first_delta_ms = self.first_delta_ms.get(),
            fast_ms = times.fast_ms,
            sidecar_ms = times.sidecar_ms,
            total_ms = self.ms(),
            "a turn ended"
        );
    }

    async fn take(&self, times: &mut Times) -> &'static str {
        let turn_id = self.turn.id;
        if let Some(kind) = self.kind {
            let (kind, phrase) = (kind.word().to_owned(), self.phrase.clone());
            if !self.tell(TurnEvent::Bridge { turn_id, kind, phrase }).await {
                return "slow reader";
            }
            let answer = self.sidecar().await;
            times.sidecar_ms = Some(self.ms());
            return self.end(answer, times).await;
        }
        let mut fast = pin!(self.fast());
        let mut slow = pin!(self.sidecar());
        let answer = tokio::select! {
            biased;
            () = &mut fast => {
                times.fast_ms = Some(self.ms());
                None
            }
            answer = &mut slow => Some(answer),
        };
        let answer = match answer {
            None => slow.await,
            Some(answer) => {
                times.sidecar_ms = Some(self.ms());
                let until = Instant::now() + HOLD;
                tokio::select! {
                    biased;
                    () = &mut fast => {}
                    () = sleep_until(until) => self.fast_done().await,
                }
                times.fast_ms = Some(self.ms());
                answer
            }
        };
        times.sidecar_ms.get_or_insert(self.ms());
        self.end(answer, times).await
    }

    /// The fast track, its `fast_done` included.
    async fn fast(&self) {
        let turn_id = self.turn.id;
        if let Ok(Pieces { mut text }) = self.inference.stream(self.request(true)).await {
            while let Some(Ok(text)) = text.recv().await {
                self.first_delta_ms.get_or_init(|| self.ms());
                if !self.tell(TurnEvent::FastDelta { turn_id, text }).await {
                    break;
                }
            }
        }
        self.fast_done().await;
    }

    async fn fast_done(&self) {
        let (turn_id, first_delta_ms) = (self.turn.id, self.first_delta_ms.get().copied());
        self.tell(TurnEvent::FastDone { turn_id, first_delta_ms }).await;
    }

    async fn sidecar(&self) -> Result<String> {
        let limit = self.new.sidecar_limit;
        let answer = timeout(limit, self.inference.complete(self.request(false))).await;
        answer.unwrap_or_else(|_| {
            Err(RpcError::internal(format!("no answer within {} ms", limit.as_millis())))
        })
    }

    async fn end(&self, answer: Result<String>, times: &Times) -> &'static str {
        let turn_id = self.turn.id;
        match answer {
            Ok(text) => {
                let latency_ms = times.sidecar_ms.unwrap_or_default();
                self.tell(TurnEvent::Sidecar { turn_id, text, latency_ms }).await;
                "answered"
            }
            Err(error) => {
                self.tell(TurnEvent::Error { turn_id, error: error.message }).await;
                "failed"
            }
        }
    }
}
