//! A host with nothing but the voice in it, in this process, and its one-shot methods.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_bench_dispatch::Error;
use carport_core::{Config, Host, Identity, Registry};
use carport_voice_api::{VOICE, Voice};
use carport_voice_audio::{RATE, wav};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The host, and the voice as other plugins have it.
pub(crate) struct Lab {
    host: Arc<Host>,
    pub(crate) voice: Arc<dyn Voice>,
    _root: TempDir,
}

impl Lab {
    /// Starts it and loads the models for this: `stt`, `tts`.
    pub(crate) async fn start(what: &[&str]) -> Result<Self, Error> {
        let root = tempfile::tempdir()?;
        let config = Config { state_root: Some(root.path().to_owned()), ..Config::default() };
        let host = Host::start(Registry::linked(&[], &[])?, config).await?;
        let voice = host.service(&VOICE).ok_or("the plugin provides its service")?;
        let lab = Self { host, voice, _root: root };
        for what in what {
            let start = Instant::now();
            let done = lab.call("voice.prepare", &json!({ "what": what })).await?;
            if done["ready"] != true {
                return Err(format!("{what}: {}", done["detail"]).into());
            }
            println!("{what} verified and loaded in {:.2?}", start.elapsed());
        }
        println!();
        Ok(lab)
    }

    async fn call(&self, method: &str, params: &Value) -> Result<Value, Error> {
        let reply = self.host.call(Identity::Host, method, params).await;
        Ok(reply.map_err(|error| format!("{method}: {error}"))?)
    }

    /// The text of samples at 16 kHz by `transcribe`, and how long the call took.
    pub(crate) async fn transcribe(&self, samples: &[f32]) -> Result<(String, Duration), Error> {
        self.transcribe_file(&STANDARD.encode(wav(samples, RATE)?)).await
    }

    async fn transcribe_file(&self, audio_b64: &str) -> Result<(String, Duration), Error> {
        let start = Instant::now();
        let heard = self.call("transcribe", &json!({ "audio_b64": audio_b64 })).await?;
        let took = start.elapsed();
        Ok((heard["text"].as_str().ok_or("a text")?.to_owned(), took))
    }

    /// What is heard when a text is spoken: `synthesize`, and `transcribe` of the file that it gives.
    pub(crate) async fn said_and_heard(&self, text: &str) -> Result<String, Error> {
        let spoken = self.call("synthesize", &json!({ "text": text })).await?;
        let file = spoken["audio_b64"].as_str().ok_or("the sound")?;
        Ok(self.transcribe_file(file).await?.0)
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.host.shutdown().await;
    }
}
