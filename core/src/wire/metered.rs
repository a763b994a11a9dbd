//! A byte stream that says when it last made progress and bounds what a stranger may send.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Any byte stream that WebSocket runs over.
pub(crate) trait Bytes: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Bytes for S {}

/// How much an unauthenticated client may send for one frame: 64 KiB and the frame's header.
const STRANGER_BYTES: usize = 64 * 1024 + 16;

/// A stream with two meters.
pub(crate) struct Metered {
    stream: Box<dyn Bytes>,
    written: u64,
    /// Bytes that may still come before the next frame is whole; `None` once the client is known.
    allowance: Option<usize>,
}

/// A stranger sent more than [`STRANGER_BYTES`] for one message.
#[derive(Debug, thiserror::Error)]
#[error("a message before authentication is larger than 64 KiB")]
pub(crate) struct TooMuch;

impl Metered {
    pub(crate) fn new(stream: impl Bytes) -> Self {
        let stream = Box::new(stream);
        Self { stream, written: 0, allowance: Some(STRANGER_BYTES) }
    }

    /// How many bytes the peer took so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// A frame was whole: a stranger may send as much again.
    pub(crate) fn frame_read(&mut self, known: bool) {
        self.allowance = (!known).then_some(STRANGER_BYTES);
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance == Some(0) {
            return Poll::Ready(Err(io::Error::other(TooMuch)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        if let Some(left) = &mut self.allowance {
            *left = left.saturating_sub(read);
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &polled {
            self.written += *count as u64;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
