//! The voice as other plugins have it.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Result, Time};
use carport_voice_api::{
    Accepted, NewStream, Opening, Provider, ProviderRow, Speech, SpeechOptions, Summary, Voice,
};

use crate::{
    hub::Hub,
    speech,
    stream::{Admission, HeldBack},
};

/// The service.
pub(crate) struct Service(pub(crate) Arc<Hub>);

impl Voice for Service {
    fn register(&self, provider: Provider) -> Result<()> {
        self.0.providers.register(provider)
    }

    fn providers(&self) -> Vec<ProviderRow> {
        self.0.providers.rows()
    }

    fn open(&self, new: NewStream) -> Result<Arc<dyn carport_voice_api::Stream>> {
        let may_hear = new.owner.as_ref().is_none_or(|owner| self.0.may_hear(&owner.identity()));
        let stream = Admission::check(&self.0, new, may_hear)?.open(&self.0)?;
        Ok(Arc::new(Handle(HeldBack(stream))))
    }

    fn speak(&self, text: String, options: SpeechOptions) -> Result<Speech> {
        Ok(speech::make(&self.0, text, &options)?.into_speech())
    }
}

/// A stream that another plugin holds.
struct Handle(HeldBack);

#[async_trait]
impl carport_voice_api::Stream for Handle {
    fn opening(&self) -> Opening {
        self.0.opening.clone()
    }

    fn began(&self) -> Option<Time> {
        self.0.began()
    }

    fn go_live(&self) {
        self.0.go_live();
    }

    fn push(&self, pcm: &[u8]) -> Result<Accepted> {
        self.0.push(pcm)
    }

    fn flush(&self) -> Result<Option<u64>> {
        self.0.flush()
    }

    async fn stop(&self, drain: bool) -> Result<Summary> {
        self.0.stop(drain).await
    }
}
