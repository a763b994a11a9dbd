//! Waiting for a provider on its own thread, for no longer than somebody wants the answer.

use std::{future::Future, pin::pin, time::Duration};

use carport_voice_api::Cancel;
use tokio::time::{MissedTickBehavior, interval};

/// How often is looked whether anybody still wants it.
const LOOK: Duration = Duration::from_millis(20);

/// What `work` comes to; `None` as soon as nobody wants it any more.
pub(crate) async fn unless_cancelled<T>(
    cancel: &Cancel,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            _ = looks.tick() => {
                if cancel.is_cancelled() {
                    return None;
                }
            }
        }
    }
}
