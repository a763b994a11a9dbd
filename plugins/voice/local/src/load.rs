//! The models of this machine, each verified and loaded once and shared by all who use it.

use std::{path::Path, sync::Arc};

use carport_core::Guarded;
use rten::{Model, NodeId};

use crate::{Hibari, Locator, ModelError, Moonshine, Threads, VoiceEncoder};

/// What runs on this machine. Nothing is loaded before it is asked for.
pub struct Local {
    locator: Locator,
    threads: Arc<Threads>,
    recognizer: Once<Moonshine>,
    speech: Once<Hibari>,
    encoder: Once<VoiceEncoder>,
}

impl Local {
    /// Looks for models with this locator.
    pub fn new(locator: Locator) -> Self {
        let (threads, recognizer) = (Arc::default(), Once::default());
        Self { locator, threads, recognizer, speech: Once::default(), encoder: Once::default() }
    }

    /// Where models are looked for.
    pub fn locator(&self) -> &Locator {
        &self.locator
    }

    /// Speech to text. The first call reads 43 MB and takes a second or so.
    pub fn recognizer(&self) -> Result<Arc<Moonshine>, ModelError> {
        self.recognizer.get(|| {
            Moonshine::open(&self.locator.find(Moonshine::MODEL)?, Arc::clone(&self.threads))
        })
    }

    /// Text to speech.
    pub fn speech(&self) -> Result<Arc<Hibari>, ModelError> {
        self.speech
            .get(|| Hibari::open(&self.locator.find(Hibari::MODEL)?, Arc::clone(&self.threads)))
    }

    /// Voices to prints.
    pub fn encoder(&self) -> Result<Arc<VoiceEncoder>, ModelError> {
        self.encoder.get(|| {
            VoiceEncoder::open(&self.locator.find(VoiceEncoder::MODEL)?, Arc::clone(&self.threads))
        })
    }
}

/// Something that is made once. A failure is not kept: files may have come in the meantime.
pub struct Once<T>(Guarded<Option<Arc<T>>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Guarded::new(None))
    }
}

impl<T> Once<T> {
    /// What was made, or is made now. Files are read outside of the lock; should two make it at once, the first is kept.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        if let Some(made) = &*self.0.lock() {
            return Ok(Arc::clone(made));
        }
        let made = Arc::new(make()?);
        Ok(Arc::clone(self.0.lock().get_or_insert(made)))
    }
}

/// Loads one graph of a model.
pub(crate) fn graph(model: &str, directory: &Path, file: &str) -> Result<Model, ModelError> {
    let path = directory.join(file);
    Model::load_file(&path).map_err(|why| unusable(model, directory, file, why))
}

/// An input or output that the graph must have.
pub(crate) fn node(graph: &Model, name: &str) -> Result<NodeId, String> {
    graph.find_node(name).ok_or_else(|| format!("has no `{name}`"))
}

/// A file that is whole and still not what is needed.
pub(crate) fn unusable(
    model: &str,
    directory: &Path,
    file: &str,
    why: impl std::fmt::Display,
) -> ModelError {
    ModelError::Unusable { model: model.into(), file: directory.join(file), why: why.to_string() }
}
