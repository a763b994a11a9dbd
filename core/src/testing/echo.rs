//! A WebSocket echo server on the daemon's own upgrade, limits and closing, for protocol suites.

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes, protocol::CloseFrame};

use crate::{
    dispatch::{
        closing::{close_for, say_goodbye},
        config::TransportSettings,
    },
    transport::upgrade::{Door, upgrade},
};

/// Sends back whatever comes, on every connection of `listener`, until the task is dropped.
pub async fn echo(listener: TcpListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo_one(stream));
    }
}

async fn echo_one(stream: TcpStream) {
    let settings = TransportSettings::default();
    let door = Door { settings: &settings, check_host: true };
    let Ok(mut socket) = upgrade(stream, &door).await else { return };
    // Suites send messages larger than a stranger may.
    socket.get_mut().frame_read(true);
    while let Some(next) = socket.next().await {
        let sent = match next {
            Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).await,
            Ok(Message::Close(_)) => socket.flush().await,
            Ok(_) => Ok(()),
            Err(error) => {
                if let Some((code, why)) = close_for(&error) {
                    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(why) };
                    say_goodbye(&mut socket, frame).await;
                }
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}
