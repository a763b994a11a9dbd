//! `carport voice models`: the models of the daemon's machine, and who listens and speaks.

use std::fmt::Display;

use carport_core::codes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    client::link::{CallError, Link},
    exit::Exit,
    output::{Cell, Output, Table, Tone},
};

/// Nothing is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Models {}

/// What a model is for, as the daemon calls it.
const USES: [&str; 3] = ["stt", "tts", "diarizer"];

/// A model, whose files were compared with their sums and loaded. What is not shown is kept for `--json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Model {
    #[serde(default, rename = "for")]
    purpose: String,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<Facts>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What its manifest says.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    id: String,
    license: String,
    bytes: u64,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A provider. What is not shown is kept for `--json`.
#[derive(Debug, Serialize, Deserialize)]
struct Provider {
    id: String,
    kind: String,
    ready: bool,
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    voices: Option<Vec<String>>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// All that is printed.
#[derive(Debug, Serialize)]
struct All {
    models: Vec<Model>,
    providers: Vec<Provider>,
}

pub(super) async fn run(link: &Link, output: Output) -> Result<(), Exit> {
    let mut models = Vec::new();
    for purpose in USES {
        models.push(model(link, purpose).await?);
    }
    let providers = link.ask("voice.providers.list", &json!({})).await?;
    let all = All { models, providers };
    if output.is_json() {
        return output.document(&all);
    }
    output.table(&models_table(&all.models), "there are no models")?;
    for model in all.models.iter().filter(|it| it.status != "ready") {
        output.line(Tone::Warn.paint(format_args!("{}: {}", model.purpose, model.detail)))?;
    }
    output.line("")?;
    output.table(&providers_table(&all.providers), "this daemon has no provider for voice")
}

/// Has the daemon look closely. One that cannot be used is a row like the others.
async fn model(link: &Link, purpose: &str) -> Result<Model, CallError> {
    let found = match link.ask("voice.prepare", &json!({ "what": purpose })).await {
        Err(CallError::Rpc(error)) if error.code == codes::UNAVAILABLE => {
            Model { status: "unusable".into(), detail: error.message, ..Model::default() }
        }
        found => found?,
    };
    Ok(Model { purpose: purpose.into(), ..found })
}

fn state(is_good: bool, words: impl Display) -> Cell {
    Cell::new(words).tone(if is_good { Tone::Good } else { Tone::Bad })
}

fn models_table(models: &[Model]) -> Table {
    let mut table = Table::new(["for", "model", "state", "size", "license", "where"]);
    for model in models {
        let facts = model.model.as_ref();
        let size = facts.map(|it| format!("{:.1} MB", it.bytes as f64 / 1e6));
        let is_ready = model.status == "ready";
        table.row([
            Cell::new(&model.purpose),
            Cell::new(facts.map_or("", |it| &it.id)).tone(Tone::Name),
            state(is_ready, if is_ready { "ready, sums are right" } else { &model.status }),
            Cell::number(size.unwrap_or_default()),
            Cell::new(facts.map_or("", |it| &it.license)),
            Cell::new(model.path.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn providers_table(providers: &[Provider]) -> Table {
    let mut table = Table::new(["kind", "provider", "state", "voices", "about"]);
    for provider in providers {
        table.row([
            Cell::new(&provider.kind),
            Cell::new(&provider.id).tone(Tone::Name),
            state(provider.ready, if provider.ready { "ready" } else { "not ready" }),
            Cell::new(provider.voices.as_deref().unwrap_or_default().join(", ")),
            Cell::new(provider.reason.as_deref().unwrap_or(&provider.description)),
        ]);
    }
    table
}
