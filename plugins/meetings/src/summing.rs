//! Makes the summary of a meeting that is over, and keeps it.

use std::{sync::Arc, time::Duration};

use carport_core::{Result, RpcError, blocking_io, codes};
use carport_inference_api::{Inference, Request};
use carport_meetings_record::{Meeting, Segment, SummaryInfo, SummaryKind};
use carport_meetings_summary as summary;
use carport_memory_api::GraphRef;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::timeout;

use crate::{config::SummaryMode, hall::Hall, live::Made, remembering, shelf::Kept};

/// All that a model may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of transcript that fit into one request with what is said around them; any model's window holds it.
const PART: usize = 24 << 10;
/// Tokens of notes and of a summary.
const NOTES: u32 = 600;
const MINUTES: u32 = 1200;

/// What came of it.
pub(crate) struct Summed {
    /// The summary without its title; `None` if none is wanted. Empty if nothing was said.
    pub(crate) made: Option<Made>,
    /// Why no model made it, though one should have.
    pub(crate) failure: Option<String>,
}

impl Hall {
    /// Makes a summary of what readers see, and keeps it: the file, the record, the fact.
    pub(crate) async fn sum_up(
        &self,
        meeting: &mut Meeting,
        segments: Vec<Segment>,
        graph: Option<&GraphRef>,
        may_ask: bool,
    ) -> Summed {
        if self.config.summary == SummaryMode::Off {
            return Summed { made: None, failure: None };
        }
        if segments.is_empty() {
            return Summed { made: Some((String::new(), SummaryKind::Extractive)), failure: None };
        }
        let segments = Arc::new(segments);
        let (sections, kind, mut failure) = self.sections(&segments, may_ask).await;
        let document = summary::document(meeting, &sections);
        let text = summary::without_title(&document).to_owned();
        meeting.summary = Some(SummaryInfo { kind, at: self.clock.now() });
        let (shelf, id) = (self.shelf.clone(), meeting.id.clone());
        let kept = Kept::new(meeting.clone(), graph);
        let put = blocking_io(move || {
            shelf.put_summary(&id, &document)?;
            shelf.rewrite(&kept)
        });
        if let Err(error) = put.await {
            tracing::error!(meeting = meeting.id, %error, "a summary cannot be written");
            failure = Some(format!("the summary could not be written: {}", error.kind()));
            meeting.summary = None;
            return Summed { made: None, failure };
        }
        if let Some(graph) = graph.filter(|_| meeting.ingest) {
            self.remember(graph, meeting, &text).await;
        }
        Summed { made: Some((text, kind)), failure }
    }

    async fn sections(
        &self,
        segments: &Arc<Vec<Segment>>,
        may_ask: bool,
    ) -> (String, SummaryKind, Option<String>) {
        let model =
            self.inference.as_ref().filter(|_| may_ask && self.config.summary == SummaryMode::Auto);
        let mut failure = None;
        if let Some(model) = model.filter(|it| it.is_ready(false)) {
            let asked = Asked { model, of: &self.config.summary_model };
            let asked = tokio::select! {
                asked = timeout(PATIENCE, asked.sum_up(segments)) => asked
                    .unwrap_or_else(|_| Err(RpcError::new(codes::DEADLINE, "no answer within 120 s"))),
                () = self.runs_out(PATIENCE, Duration::ZERO) => {
                    Err(RpcError::new(codes::DEADLINE, "the daemon stops"))
                }
            };
            match asked {
                Ok(sections) => return (sections, SummaryKind::Model, None),
                Err(error) => {
                    failure = Some(format!("no model made the summary: {}", error.message))
                }
            }
        }
        let (segments, cues) = (segments.clone(), self.config.cues.clone());
        let made = tokio::task::spawn_blocking(move || summary::extractive(&segments, &cues)).await;
        (made.unwrap_or_default(), SummaryKind::Extractive, failure)
    }

    async fn remember(&self, graph: &GraphRef, meeting: &Meeting, text: &str) {
        match self.memory.add(graph, remembering::fact(meeting, text)).await {
            Ok(_) => {}
            // The graph of a connection that is gone.
            Err(error) if error.code == codes::NOT_FOUND => {}
            Err(error) => {
                tracing::error!(meeting = meeting.id, %error, "a summary is not in the memory")
            }
        }
    }
}

/// Whoever runs models, and which of them is asked.
struct Asked<'a> {
    model: &'a Arc<dyn Inference>,
    of: &'a Option<String>,
}

impl Asked<'_> {
    /// Has a model sum it up: what does not fit at once becomes notes first.
    async fn sum_up(&self, segments: &[Segment]) -> Result<String> {
        let mut lines = summary::lines(segments);
        let mut level = 0;
        let whole = loop {
            let parts = summary::cut(&lines, PART);
            if let [whole] = parts.as_slice() {
                break whole.clone();
            }
            if level == summary::MOST_LEVELS {
                return Err(RpcError::internal("the transcript is too long"));
            }
            level += 1;
            let all = parts.len();
            let ask = |(at, part): (usize, String)| {
                self.complete(summary::ask_for_notes(&part, at + 1, all), NOTES)
            };
            let notes = stream::iter(parts.into_iter().enumerate())
                .map(ask)
                .buffered(summary::MOST_AT_ONCE);
            lines = notes.map_ok(|it| summary::data(&it)).try_collect().await?;
        };
        let answer = self.complete(summary::ask_for_summary(&whole, level > 0), MINUTES).await?;
        summary::answer(&answer).ok_or_else(|| RpcError::internal("the model wrote no summary"))
    }

    async fn complete(&self, prompt: String, most: u32) -> Result<String> {
        let (system, model) = (Some(summary::SYSTEM.to_owned()), self.of.clone());
        let request = Request { system, prompt, model, max_tokens: Some(most), ..<_>::default() };
        self.model.complete(request).await
    }
}
