//! What texts mean, as an encoder says, worked out beside everything else.
//!
//! No write waits for it: a task looks for facts whose meaning is not known yet, a few at a time, and until it
//! has come to one that is found by words. What it finds out is in memory only and goes with the graph.

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use carport_memory_graph::{Fact, Meaning};

use crate::store::{Kept, Store};

/// How often is looked for facts whose meaning is not known.
pub(crate) const CATCH_UP_EVERY: Duration = Duration::from_millis(200);
/// Facts that are worked out at once, so that a query need not wait long for its turn.
const BATCH: usize = 16;

/// Makes directions of texts. It may take its time.
pub(crate) trait Encoder: Send + Sync {
    /// One vector for each text, all of one width.
    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String>;
}

#[cfg(feature = "embeddings")]
impl Encoder for carport_memory_embed::Embedder {
    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        self.embed(texts).map_err(|error| error.to_string())
    }
}

#[cfg(feature = "embeddings")]
fn read(directory: &Path) -> Result<Arc<dyn Encoder>, String> {
    match carport_memory_embed::Embedder::open(directory) {
        Ok(embedder) => Ok(Arc::new(embedder)),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(not(feature = "embeddings"))]
fn read(_: &Path) -> Result<Arc<dyn Encoder>, String> {
    Err("this build has no embeddings; build it with the feature `embeddings`".into())
}

/// The encoder in a directory. `None`, with the reason in the log, if there is none that works.
pub(crate) async fn open(directory: Option<&Path>) -> Option<Arc<dyn Encoder>> {
    let directory = directory?.to_owned();
    let shown = directory.display().to_string();
    match blocking(move || read(&directory)).await {
        Ok(encoder) => {
            tracing::info!(directory = shown, "facts are also found by what they mean");
            Some(encoder)
        }
        Err(reason) => {
            tracing::warn!(
                directory = shown,
                reason,
                "`memory.embeddings` cannot be used, and facts are found by words alone; have it name a \
                 directory with the config.json, tokenizer.json and model.safetensors of a BERT sentence \
                 encoder, or remove it"
            );
            None
        }
    }
}

/// What a question means; `None` without an encoder, or if that fails.
pub(crate) async fn of(encoder: Option<&Arc<dyn Encoder>>, text: &str) -> Option<Meaning> {
    let encoder = encoder.filter(|_| !text.is_empty())?.clone();
    let text = text.to_owned();
    match blocking(move || encoder.encode(&[&text])).await {
        Ok(vectors) => Meaning::of(vectors.first()?),
        Err(reason) => {
            tracing::warn!(reason, "what a query means cannot be told; its words are");
            None
        }
    }
}

/// Works out what the facts of the loaded graphs mean, in turns, until all is known.
///
/// # Errors
/// The encoder fails. It would again.
pub(crate) async fn catch_up(store: &Store, encoder: &Arc<dyn Encoder>) -> Result<(), String> {
    loop {
        let mut is_done = true;
        for kept in store.all() {
            is_done &= !catch_up_some(&kept, encoder).await?;
        }
        if is_done {
            return Ok(());
        }
    }
}

/// Works a few facts out; `false` if there are none, or no memory is left for them.
async fn catch_up_some(kept: &Kept, encoder: &Arc<dyn Encoder>) -> Result<bool, String> {
    let now = kept.snapshot();
    if now.understood() == now.facts_in_all() || kept.bytes() >= kept.limits().bytes {
        return Ok(false);
    }
    let facts = now.without_meaning(BATCH);
    let texts: Vec<String> = facts.iter().map(|(_, fact)| text(fact)).collect();
    let encoder = encoder.clone();
    let vectors =
        blocking(move || encoder.encode(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    let mut meanings = Vec::with_capacity(facts.len());
    for ((at, fact), vector) in facts.into_iter().zip(vectors.await?) {
        let meaning = Meaning::of(&vector).ok_or("a vector is no direction")?;
        meanings.push((at, fact, meaning));
    }
    let is_some = !meanings.is_empty();
    kept.understand(&meanings);
    Ok(is_some)
}

/// What is said of a fact to the encoder.
fn text(fact: &Fact) -> String {
    format!("{}: {}", fact.subject, fact.body)
}

/// Runs on a thread that may take its time. A panic is an error.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(error.to_string()))
}
