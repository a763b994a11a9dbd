//! Providers over a network, as a program or of a file, made of what the operator wrote under `[voice.providers]`.

#[cfg(feature = "elevenlabs")]
mod elevenlabs;
#[cfg(feature = "espeak")]
mod espeak;
#[cfg(feature = "remote")]
mod http;
#[cfg(feature = "openai-http")]
mod openai;
#[cfg(any(feature = "remote", feature = "espeak"))]
mod pcm;
#[cfg(any(feature = "elevenlabs", feature = "openai-http"))]
mod pieces;
mod secret;
mod settings;
#[cfg(any(feature = "remote", feature = "espeak"))]
mod waiting;
#[cfg(feature = "whisper")]
mod whisper;

use carport_core::{Result, RpcError};
use carport_voice_api::Provider;

use crate::config::Config;

pub use settings::{ProviderSettings, ProviderType};

/// Every provider that is configured. Nothing is reached or started yet.
pub(crate) fn providers(config: &Config) -> Result<Vec<Provider>> {
    let made = config.providers.iter().map(|(name, settings)| make(name, settings));
    Ok(made.collect::<Result<Vec<_>>>()?.concat())
}

fn make(name: &str, settings: &ProviderSettings) -> Result<Vec<Provider>> {
    match settings.kind {
        #[cfg(feature = "openai-http")]
        ProviderType::OpenaiHttp => openai::providers(name, settings),
        #[cfg(feature = "elevenlabs")]
        ProviderType::Elevenlabs => elevenlabs::providers(name, settings),
        #[cfg(feature = "espeak")]
        ProviderType::Espeak => Ok(espeak::providers(name, settings)),
        #[cfg(feature = "whisper")]
        ProviderType::Whisper => whisper::providers(name, settings),
        #[cfg(not(all(
            feature = "openai-http",
            feature = "elevenlabs",
            feature = "espeak",
            feature = "whisper"
        )))]
        kind => Err(wrong(name, "kind", format!("is `{}`, which {}", kind.word(), kind.remedy()))),
    }
}

/// What is wrong with a setting of a provider.
fn wrong(name: &str, key: &str, why: impl std::fmt::Display) -> RpcError {
    RpcError::internal(format!("`voice.providers.{name}.{key}` {why}"))
}
