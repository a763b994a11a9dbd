//! Sound of this side goes into a stream of the daemon.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::codes;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::source::{PIECE_MS, Source};
use crate::{
    client::link::{CallError, Link},
    exit::Exit,
};

/// How long to wait for room if the daemon does not say.
const RETRY_MS: u64 = 200;
/// What may wait when a stop is asked for, for it is heard within a moment.
const BACKLOG_MS: u64 = 1000;

/// Pushes all of the sound to a stream of this connection, which takes 16-bit samples at 16 kHz in one
/// channel, and waits until little of it waits to be heard: a stop gives up what takes longer than 10 s.
pub(in crate::commands) async fn hear(
    link: &Link,
    stream: &str,
    sound: Source,
    real_time: bool,
) -> Result<(), Exit> {
    let (began, mut sent_ms) = (Instant::now(), 0);
    let mut pieces = sound.pieces();
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(|error| Exit::failed(format!("the sound: {error}")))?;
        if real_time {
            // A piece has been said by the time it is sent.
            sent_ms += PIECE_MS;
            sleep_until(began + Duration::from_millis(sent_ms)).await;
        }
        push(link, stream, &piece).await?;
    }
    while push(link, stream, &[]).await?["buffered_ms"].as_u64() > Some(BACKLOG_MS) {
        sleep(Duration::from_millis(RETRY_MS)).await;
    }
    Ok(())
}

/// Pushes a piece as soon as there is room for it.
async fn push(link: &Link, stream: &str, piece: &[u8]) -> Result<Value, CallError> {
    let params = json!({ "session_id": stream, "pcm_b64": STANDARD.encode(piece) });
    loop {
        match link.raw("voice.transcribe_stream.push", &params).await {
            Err(CallError::Rpc(error)) if error.code == codes::OVERLOADED => {
                let after = error.data.as_ref().and_then(|it| it["retry_after_ms"].as_u64());
                sleep(Duration::from_millis(after.unwrap_or(RETRY_MS))).await;
            }
            pushed => return pushed,
        }
    }
}
