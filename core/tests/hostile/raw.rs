//! WebSocket frames made by hand, to make them wrong.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::scene::{PATIENCE, Scene};

pub(crate) const TEXT: u8 = 0x1;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const FIN: u8 = 0x80;

/// A client frame: first byte as given, masked, any length.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, true);
    let mask = [1, 2, 3, 4];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of a frame that announces `length` bytes.
pub(crate) fn header(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(mask | length as u8),
        126..65_536 => {
            bytes.push(mask | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}

/// A socket that has upgraded by hand.
pub(crate) async fn upgraded(scene: &Scene) -> TcpStream {
    let mut stream = scene.stream().await;
    let request = request(&format!("Host: {}\r\n", scene.address));
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream
}

/// An upgrade request with these further header lines.
pub(crate) fn request(headers: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// Reads the head of an HTTP answer, or as much as comes before the end.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    };
    timeout(PATIENCE, reading).await.expect("an answer in time");
    String::from_utf8(head).unwrap()
}

/// Reads until the server closes; the code of the close frame among what came.
pub(crate) async fn read_close(stream: &mut TcpStream) -> Option<u16> {
    let mut all = Vec::new();
    // A reset ends the reading like an end does.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("an end in time");
    let mut rest = &all[..];
    while let [first, length, tail @ ..] = rest {
        let (length, tail) = match length & 0x7f {
            126 => (usize::from(u16::from_be_bytes([tail[0], tail[1]])), &tail[2..]),
            length => (usize::from(length), tail),
        };
        if first & 0x0f == CLOSE && length >= 2 {
            return Some(u16::from_be_bytes([tail[0], tail[1]]));
        }
        rest = tail.get(length..)?;
    }
    None
}
