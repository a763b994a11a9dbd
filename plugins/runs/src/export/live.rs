//! The live export: each record becomes a span and goes to a collector over HTTP, without anybody waiting.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use carport_core::{Counter, Result, RpcError, StartContext, Time};
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks},
};
use tokio::sync::mpsc;

use super::span::{Attribute, SCOPE, SERVICE, Span, of_run, of_turn};
use crate::{
    Config,
    record::{Line, RunRecord, RunStarted},
};

/// Records that may wait for the exporter, and their bytes.
const WAITING: usize = 8192;
const WAITING_BYTES: usize = 32 << 20;
/// Spans in one request.
const BATCH: usize = 512;

/// Where records go that are exported live. It never waits: what finds no room is dropped and counted.
pub(crate) struct Feed {
    to: mpsc::Sender<Exported>,
    /// Bytes of lines that wait.
    waiting: Arc<AtomicUsize>,
    dropped: Counter,
}

/// A record of a run, on its way to the exporter.
struct Exported {
    run: Arc<RunStarted>,
    line: Line,
    /// When the turn before it was accepted, or when the run started.
    since: Time,
}

impl Feed {
    /// Starts the exporter if the operator named a collector.
    pub(crate) fn start(cx: &StartContext<'_>, config: &Config) -> Result<Option<Self>> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        if !endpoint.starts_with("http://") {
            let why = "`runs.otlp_endpoint` must begin with `http://`: this build has no TLS client; \
                       let a collector on this machine forward to a remote one";
            return Err(RpcError::unavailable("OTLP over TLS", why));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build();
        let mut exporter = exporter.map_err(|error| {
            RpcError::internal(format!("`runs.otlp_endpoint` = `{endpoint}`: {error}"))
        })?;
        exporter.set_resource(&Resource::builder_empty().with_service_name(SERVICE).build());
        let help = "Records of runs that were not exported over OTLP";
        let dropped = cx.metrics().register("runs_otlp_dropped", help, Counter::default());
        let (to, from) = mpsc::channel(WAITING);
        let waiting = Arc::new(AtomicUsize::new(0));
        cx.tasks().spawn("otlp", send_all(from, waiting.clone(), exporter, dropped.clone()));
        Ok(Some(Self { to, waiting, dropped }))
    }

    pub(crate) fn send(&self, run: Arc<RunStarted>, line: Line, since: Time) {
        let bytes = line.text().len();
        let fits = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= WAITING_BYTES;
        if !fits || self.to.try_send(Exported { run, line, since }).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.inc();
        }
    }
}

async fn send_all(
    mut from: mpsc::Receiver<Exported>,
    bytes: Arc<AtomicUsize>,
    exporter: SpanExporter,
    dropped: Counter,
) {
    let scope =
        InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
    let mut waiting = Vec::new();
    while from.recv_many(&mut waiting, BATCH).await > 0 {
        let taken = waiting.iter().map(|it| it.line.text().len()).sum();
        let spans: Vec<_> = waiting.drain(..).filter_map(|it| span(&it)).collect();
        bytes.fetch_sub(taken, Ordering::Relaxed);
        let count = spans.len() as u64;
        let spans = spans.into_iter().map(|span| data(span, &scope)).collect();
        if let Err(error) = exporter.export(spans).await {
            dropped.inc_by(count);
            tracing::warn!(%error, spans = count, "spans of runs did not reach the collector");
        }
    }
}

fn span(exported: &Exported) -> Option<Span> {
    let Exported { run, line, since } = exported;
    match RunRecord::read(line.text()).ok()? {
        RunRecord::Started(_) => None,
        RunRecord::Turn(turn) => Some(of_turn(run, &turn, *since)),
        RunRecord::Ended(ended) => Some(of_run(run, Some(&ended))),
    }
}

fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let value = |(key, value)| match value {
        Attribute::Text(it) => KeyValue::new(key, it),
        Attribute::Int(it) => KeyValue::new(key, it),
        Attribute::Flag(it) => KeyValue::new(key, it),
    };
    let context = SpanContext::new(
        TraceId::from_bytes(span.trace_id),
        SpanId::from_bytes(span.span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: span.name.into(),
        start_time: (*span.start).into(),
        end_time: (*span.end.unwrap_or(span.start)).into(),
        attributes: span.attributes.into_iter().map(value).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: match span.went_well {
            None => Status::Unset,
            Some(true) => Status::Ok,
            Some(false) => Status::error("the agent or its tool says so"),
        },
        instrumentation_scope: scope.clone(),
    }
}
