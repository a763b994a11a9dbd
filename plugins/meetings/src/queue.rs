//! What waits for the writer of a meeting: bounded, and what finds no room is never lost in silence.

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    watch,
};

use crate::live::Order;

/// Orders that wait. People settle a segment a second at the most, so that a disk may hang for minutes.
const MOST_WAITING: usize = 1024;

/// Where orders go.
#[derive(Clone)]
pub(crate) struct Queue {
    orders: mpsc::Sender<Order>,
    lost: watch::Sender<bool>,
}

impl Queue {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, taken_up) = mpsc::channel(MOST_WAITING);
        (Self { orders, lost: watch::Sender::new(false) }, taken_up)
    }

    /// For a stream, which waits for nobody. After the first that finds no room nothing is taken any more:
    /// the transcript is to have no hole in the middle.
    pub(crate) fn tell(&self, order: Order) {
        if self.has_lost() {
            return;
        }
        // Nobody listens once the meeting is closed.
        if let Err(TrySendError::Full(_)) = self.orders.try_send(order) {
            self.lost.send_replace(true);
        }
    }

    /// For a call, which waits for room. Whoever reads the answer hears that the meeting is closed.
    pub(crate) async fn ask(&self, order: Order) {
        drop(self.orders.send(order).await);
    }

    /// Whether something that was said found no room.
    pub(crate) fn has_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Waits until something that was said finds no room.
    pub(crate) async fn loses(&self) {
        // The sender lives as long as this does.
        let _ = self.lost.subscribe().wait_for(|it| *it).await;
    }
}
