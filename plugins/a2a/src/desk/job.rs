//! A message that has its turn or waits for it, and who does it.

use std::sync::Arc;

use carport_a2a_api::Executor;
use carport_a2a_types::Message;

/// See the module. Who does it depends on the way by which the message came, not on its task.
pub(super) struct Job {
    pub(super) message: Message,
    pub(super) by: Arc<dyn Executor>,
}
