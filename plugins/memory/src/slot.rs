//! What is kept for a connection: the graph in use, its status and what was seen of it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use carport_core::Guarded;
use carport_memory_api::Event;

use crate::store::Kept;

/// Events that are kept until somebody learns from them.
const MOST_EVENTS: usize = 512;
/// Tenants of one connection that have a status.
const MOST_STATUSES: usize = 64;

/// A connection's own.
#[derive(Default)]
pub(crate) struct Slot {
    /// Keeps the graph loaded while the connection is open.
    in_use: Guarded<Option<Arc<Kept>>>,
    events: Guarded<VecDeque<Event>>,
    statuses: Guarded<BTreeMap<Option<String>, String>>,
}

/// The id of a tenant's status.
pub(crate) fn status_id(tenant: Option<&str>) -> String {
    format!("proactive-status:{}", tenant.unwrap_or("global"))
}

impl Slot {
    pub(crate) fn uses(&self, graph: &Arc<Kept>) {
        *self.in_use.lock() = Some(graph.clone());
    }

    pub(crate) fn saw(&self, event: Event) {
        let mut events = self.events.lock();
        if events.len() == MOST_EVENTS {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// The newest events of a tenant, the oldest of them first.
    pub(crate) fn recent(&self, most: usize, tenant: Option<&str>) -> Vec<Event> {
        let events = self.events.lock();
        let own = events.iter().rev().filter(|event| event.tenant_id.as_deref() == tenant);
        let mut newest: Vec<Event> = own.take(most).cloned().collect();
        newest.reverse();
        newest
    }

    /// Sets a status; `false` if too many tenants have one.
    pub(crate) fn set_status(&self, tenant: Option<String>, body: String) -> bool {
        let mut statuses = self.statuses.lock();
        let has_room = statuses.len() < MOST_STATUSES || statuses.contains_key(&tenant);
        if has_room {
            statuses.insert(tenant, body);
        }
        has_room
    }

    pub(crate) fn status(&self, tenant: Option<&str>) -> Option<String> {
        self.statuses.lock().get(&tenant.map(str::to_owned)).cloned()
    }

    /// Removes a tenant's status if `id` is its id.
    pub(crate) fn remove_status(&self, id: &str, tenant: Option<&str>) -> bool {
        id == status_id(tenant) && self.statuses.lock().remove(&tenant.map(str::to_owned)).is_some()
    }
}
