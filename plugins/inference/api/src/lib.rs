//! What other plugins may ask of whoever runs models: a completion, whole or streamed, and who is ready.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Result, ServiceKey, Session};
use tokio::sync::mpsc;

/// The key of the service.
pub const INFERENCE: ServiceKey<dyn Inference> = ServiceKey::named("inference");

/// What is asked of a model.
#[derive(Clone, Default)]
pub struct Request {
    /// What the model is told to be, if anything.
    pub system: Option<String>,
    /// What the person says, 1 byte to 64 KiB.
    pub prompt: String,
    /// The id of the model that is asked, `NAME/model`: that one or its error, never a substitute. The
    /// service chooses if absent.
    pub model: Option<String>,
    /// Only models that count as fast are taken.
    pub prefer_fast: bool,
    /// The most tokens of the answer; the service's own limit if absent.
    pub max_tokens: Option<u32>,
    /// The connection whose memory gives the context for the prompt; no context if absent.
    pub remembers: Option<Arc<Session>>,
}

/// A model's answer that comes in pieces. Dropping it cancels the call.
pub struct Pieces {
    /// The text in order; an error is the last item, and the end of the channel is the end of the answer.
    pub text: mpsc::Receiver<Result<String>>,
}

/// Models, as other plugins see them.
#[async_trait]
pub trait Inference: Send + Sync {
    /// Whether a model is there that such a request could go to, without asking any model.
    fn is_ready(&self, prefer_fast: bool) -> bool;

    /// Asks for the whole answer. Dropping the future cancels the call.
    ///
    /// # Errors
    /// No model is there, or the one that was asked failed.
    async fn complete(&self, request: Request) -> Result<String>;

    /// Asks for the answer in pieces.
    ///
    /// # Errors
    /// No model is there. What goes wrong later is in the pieces.
    async fn stream(&self, request: Request) -> Result<Pieces>;
}
