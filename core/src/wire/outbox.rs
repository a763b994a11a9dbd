//! The one way out of a session: a bounded queue that the connection empties in order.

use std::{collections::VecDeque, task::Context};

use futures_util::task::AtomicWaker;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use super::guarded::Guarded;

/// How much may wait for a slow reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutboxLimits {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { frames: 1024, bytes: 32 << 20 }
    }
}

/// Frames on their way to one client.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: OutboxLimits,
    queue: Guarded<Queue>,
    filled: AtomicWaker,
    room: Notify,
    /// Counts, over all clients, the notifications that found no room.
    drops: Counter,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Message>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    /// An empty queue takes any frame, so that one above the limit still gets out.
    fn has_room(&self, size: usize, limits: OutboxLimits) -> bool {
        self.frames.is_empty()
            || (self.frames.len() < limits.frames && self.bytes + size <= limits.bytes)
    }

    fn push(&mut self, frame: Message) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }
}

impl Outbox {
    pub(crate) fn new(limits: OutboxLimits, drops: Counter) -> Self {
        Self {
            limits,
            queue: Guarded::default(),
            filled: AtomicWaker::new(),
            room: Notify::new(),
            drops,
        }
    }

    /// Queues a notification, or drops and counts it: a slow client loses events, not the host time.
    pub(crate) fn tell(&self, frame: Message) -> bool {
        let mut queue = self.queue.lock();
        let fits = !queue.closed && queue.has_room(frame.len(), self.limits);
        match fits {
            true => queue.push(frame),
            false => self.count_drop(),
        }
        drop(queue);
        if fits {
            self.filled.wake();
        }
        fits
    }

    /// Queues a frame, waiting for room. `false` if the client is gone: then nobody misses it.
    pub(crate) async fn send(&self, frame: Message) -> bool {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            {
                let mut queue = self.queue.lock();
                if queue.closed {
                    return false;
                }
                if queue.has_room(frame.len(), self.limits) {
                    queue.push(frame);
                    break;
                }
            }
            room.await;
        }
        self.filled.wake();
        true
    }

    /// Queues a reply from the connection's own task, which empties the queue right afterwards and
    /// reads no further frame while [`Self::is_full`]; so it neither waits nor wakes.
    pub(crate) fn push(&self, frame: Message) {
        let mut queue = self.queue.lock();
        if !queue.closed {
            queue.push(frame);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.queue.lock().has_room(0, self.limits)
    }

    /// Arranges for `cx` to be woken by the next frame that another task queues.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.filled.register(cx.waker());
    }

    /// Wakes the connection's own task.
    pub(crate) fn wake(&self) {
        self.filled.wake();
    }

    /// Takes the oldest frame.
    pub(crate) fn take(&self) -> Option<Message> {
        let mut queue = self.queue.lock();
        let frame = queue.frames.pop_front()?;
        queue.bytes -= frame.len();
        drop(queue);
        self.room.notify_waiters();
        Some(frame)
    }

    /// The client is gone: what waits is let go, and nothing more is taken.
    pub(crate) fn close(&self) {
        let mut queue = self.queue.lock();
        *queue = Queue { closed: true, ..Queue::default() };
        drop(queue);
        self.room.notify_waiters();
    }

    /// Counts a notification that was dropped before it came here.
    pub(crate) fn count_drop(&self) {
        self.drops.inc();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn outbox(frames: usize, bytes: usize) -> Arc<Outbox> {
        Arc::new(Outbox::new(OutboxLimits { frames, bytes }, Counter::default()))
    }

    fn take(outbox: &Outbox) -> Option<String> {
        outbox.take().map(|frame| frame.to_string())
    }

    #[test]
    fn a_notification_without_room_is_dropped_and_counted() {
        let outbox = outbox(2, 1000);
        assert!(outbox.tell(Message::text("a")));
        assert!(outbox.tell(Message::text("b")));
        assert!(!outbox.tell(Message::text("c")));
        assert_eq!(outbox.drops.get(), 1);
        assert_eq!(take(&outbox).as_deref(), Some("a"));
        assert!(outbox.tell(Message::text("d")));
    }

    #[test]
    fn bytes_count_as_well_as_frames_and_an_empty_queue_takes_anything() {
        let outbox = outbox(100, 10);
        assert!(outbox.tell(Message::text("x".repeat(50))));
        assert!(!outbox.tell(Message::text("y")));
        assert!(take(&outbox).is_some());
        assert!(outbox.tell(Message::text("y")));
    }

    #[tokio::test]
    async fn a_reply_waits_for_room_and_ends_with_the_client() {
        let outbox = outbox(1, 1000);
        assert!(outbox.tell(Message::text("first")));
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.send(Message::text("second")).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        assert_eq!(take(&outbox).as_deref(), Some("first"));
        assert!(waiting.await.unwrap());
        let stranded = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.send(Message::text("third")).await }
        });
        tokio::task::yield_now().await;
        outbox.close();
        assert!(!stranded.await.unwrap());
        assert_eq!(take(&outbox), None);
    }

    #[tokio::test]
    async fn large_frames_leaving_below_the_frame_limit_make_room_for_waiters() {
        let outbox = outbox(100, 10);
        for n in 0..5 {
            assert!(outbox.tell(Message::text(format!("{n}x"))));
        }
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.send(Message::text("123456")).await }
        });
        tokio::task::yield_now().await;
        while !waiting.is_finished() {
            assert!(take(&outbox).is_some(), "the waiter was not woken by room");
            tokio::task::yield_now().await;
        }
    }
}
