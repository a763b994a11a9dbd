//! What the host and its own methods share.

use tokio::sync::watch;

use super::{
    added::AddedMethods,
    approval::gate::ApprovalGate,
    config::Settings,
    registry::Registry,
    route::HostMetrics,
    tokens::{Claims, Tokens},
};
use crate::contract::{clock::Time, service::ServiceKey, start::Grounds, tasks::AllTasks};

pub(crate) const SHARED: ServiceKey<Shared> = ServiceKey::named("host.shared");

pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) settings: Settings,
    pub(crate) grounds: Grounds,
    pub(crate) gate: ApprovalGate,
    pub(crate) tokens: Tokens,
    pub(crate) claims: Claims,
    pub(crate) added: AddedMethods,
    pub(crate) metrics: HostMetrics,
    pub(crate) tasks: AllTasks,
    pub(crate) boot_id: String,
    pub(crate) started_at: Time,
    /// Turns `true` when the host stops taking requests.
    pub(crate) stopping: watch::Sender<bool>,
    /// Changes whenever a connection has ended.
    pub(crate) emptied: watch::Sender<()>,
}
