//! The opening of the WebSocket: by the client of all other requests, so that key, TLS and refusals are alike.

use carport_voice_api::{Failure, Listen};
use futures_util::StreamExt;
use reqwest::{
    Method, StatusCode, Upgraded,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use super::wire::{Told, read};
use crate::remote::http::Remote;

/// Bytes of a message of the service.
const MOST_MESSAGE: usize = 1 << 20;

/// The connection of one stream.
pub(super) type Socket = WebSocketStream<Upgraded>;

/// Opens the WebSocket of a stream (RFC 6455, section 4.1).
pub(super) async fn open(remote: &Remote, model: &str, listen: &Listen) -> Result<Socket, Failure> {
    let mut query = vec![
        ("model_id", model),
        ("audio_format", "pcm_16000"),
        // The service ends segments by itself, and where it is told to.
        ("commit_strategy", "vad"),
    ];
    if listen.words {
        query.push(("include_timestamps", "true"));
    }
    query.extend(listen.language.as_deref().map(|it| ("language_code", it)));
    let nonce = generate_key();
    let request = remote
        .request(Method::GET, &format!("/v1/speech-to-text/realtime?{}", encode(&query)))?
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, &nonce);
    let response = remote.send(request).await?;
    let accept = derive_accept_key(nonce.as_bytes());
    let is_ours = response.headers().get(SEC_WEBSOCKET_ACCEPT).is_some_and(|it| *it == *accept);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || !is_ours {
        return Err(remote.failed("does not speak WebSocket there"));
    }
    let upgraded = timeout(remote.timeout, response.upgrade())
        .await
        .map_err(|_| remote.failed("said nothing for too long"))?
        .map_err(|error| remote.broke(&error))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
    // Keys and limits are refused here as well, after the WebSocket is open.
    timeout(remote.timeout, begin(remote, &mut socket))
        .await
        .map_err(|_| remote.failed("said nothing for too long"))??;
    Ok(socket)
}

/// Waits until the service is ready.
async fn begin(remote: &Remote, socket: &mut Socket) -> Result<(), Failure> {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        match read(&text) {
            Some(Told::Started) => return Ok(()),
            Some(Told::Failed(kind, why)) => return Err(Failure { kind, ..remote.failed(why) }),
            Some(_) => {}
            None => return Err(remote.failed("said something that is not of its format")),
        }
    }
    Err(remote.failed("closed the connection"))
}

/// A query of names that need no encoding and values of any kind.
fn encode(query: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = format!("{name}=");
        for byte in value.bytes() {
            match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                true => pair.push(char::from(byte)),
                false => pair.push_str(&format!("%{byte:02X}")),
            }
        }
        pair
    };
    query.iter().map(pair).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn what_a_client_says_stays_one_value() {
        assert_eq!(encode(&[("a", "x-1"), ("b", "é&c=/")]), "a=x-1&b=%C3%A9%26c%3D%2F");
    }
}
