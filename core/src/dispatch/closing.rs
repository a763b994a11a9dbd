//! How the daemon ends a WebSocket: which code it says, and how it makes sure that it is heard.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::{
    Error as WsError,
    error::CapacityError,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::connection::Socket;
use crate::wire::metered::TooMuch;

/// The close code that answers a frame which WebSocket refuses; `None` if the socket itself broke.
pub(crate) fn close_for(error: &WsError) -> Option<(CloseCode, &'static str)> {
    let too_much = |error: &std::io::Error| error.get_ref().is_some_and(|it| it.is::<TooMuch>());
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => {
            Some((CloseCode::Size, "message too large"))
        }
        WsError::Io(error) if too_much(error) => {
            Some((CloseCode::Size, "message too large before authentication"))
        }
        WsError::Utf8(_) => Some((CloseCode::Invalid, "text is not UTF-8")),
        WsError::Protocol(_) => Some((CloseCode::Protocol, "WebSocket protocol error")),
        _ => None,
    }
}

/// Sends the close frame and reads on until the client has closed too: a socket that is dropped
/// with unread bytes resets the connection and can take the last reply with it.
pub(crate) async fn say_goodbye(socket: &mut Socket, frame: CloseFrame) {
    if socket.close(Some(frame)).await.is_err() {
        return;
    }
    let stream = socket.get_mut();
    stream.frame_read(true);
    let _ = stream.shutdown().await;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}
