//! `host.subscribe`, `host.unsubscribe`, `host.events`, `host.notify`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HostMethods;
use crate::{
    contract::{
        access::Access,
        bounds,
        caller::Caller,
        clock::Time,
        events::{HostEvent, NewEvent},
        method::Method,
        presence::{HostAgent, HostDevice, ManifestRole},
    },
    dispatch::approval::rows::HostApproval,
    wire::error::{Result, RpcError, codes},
};

/// Events that come with a snapshot.
const SNAPSHOT_EVENTS: usize = 100;
/// Approvals that come with a snapshot: every pending one.
const SNAPSHOT_APPROVALS: usize = 500;
/// Beginnings of kinds that the daemon itself makes.
const RESERVED: [&str; 5] = ["agent.", "approval.", "device.", "methods.", "a2ui."];

/// Answers with the state of the host and sends every later event.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Subscribe {}

/// The state of the host; every event above `sequence` follows.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Always true.
    pub subscribed: bool,
    /// Agents, sorted by id.
    pub agents: Vec<HostAgent>,
    /// Devices, sorted by id.
    pub devices: Vec<HostDevice>,
    /// Pending approvals, oldest first.
    pub approvals: Vec<HostApproval>,
    /// The last events up to `sequence`, oldest first.
    pub events: Vec<HostEvent>,
    /// Which daemon this is.
    pub identity: HostIdentity,
    /// The newest event that the snapshot covers.
    pub sequence: u64,
    /// What plugins add, by their id.
    pub parts: Map<String, Value>,
}

/// Which daemon this is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HostIdentity {
    /// Carport's own version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where supervised agents are listed.
    pub manifest_path: Option<String>,
    /// Whether this daemon holds that list.
    pub manifest_role: ManifestRole,
    /// New with each start.
    pub boot_id: String,
    /// When it started.
    pub started_at: Time,
    /// Protocol versions that the handshake accepts.
    pub protocol_versions: Vec<u64>,
}

impl Method for Subscribe {
    const NAME: &'static str = "host.subscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = Snapshot;

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<Snapshot> {
        let shared = &host.shared;
        let shaken = caller.session().protocol_version().is_some();
        if shared.settings.host.require_handshake && !shaken {
            let why = "protocol handshake required";
            return Err(RpcError::new(codes::HANDSHAKE_REQUIRED, why));
        }
        // Registered first and collected after: a part may show more than `sequence`, never less.
        let page = shared.grounds.events.subscribe(caller, SNAPSHOT_EVENTS)?;
        let parts = &shared.grounds.parts;
        Ok(Snapshot {
            subscribed: true,
            agents: parts.agents(),
            devices: parts.devices(),
            approvals: shared.gate.list(false, SNAPSHOT_APPROVALS),
            events: page.events,
            identity: host.identity(),
            sequence: page.latest,
            parts: parts.values(),
        })
    }
}

impl HostMethods {
    fn identity(&self) -> HostIdentity {
        let (manifest_path, manifest_role) = self.shared.grounds.parts.manifest();
        HostIdentity {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            manifest_path,
            manifest_role,
            boot_id: self.shared.boot_id.clone(),
            started_at: self.shared.started_at,
            protocol_versions: self.shared.settings.host.protocol_versions.clone(),
        }
    }
}

/// Stops the events of `host.subscribe`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribe {}

/// Whether there was anything to stop.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribed {
    /// Always false.
    pub subscribed: bool,
    /// Whether this connection had subscribed.
    pub was_subscribed: bool,
}

impl Method for Unsubscribe {
    const NAME: &'static str = "host.unsubscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = Unsubscribed;

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<Unsubscribed> {
        let was_subscribed = host.shared.grounds.events.unsubscribe(caller.session());
        Ok(Unsubscribed { subscribed: false, was_subscribed })
    }
}

/// Lists kept events, oldest first: the last ones, or the first ones after a sequence number.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// How many at most; 100 if absent.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// Only events above this sequence number.
    pub after: Option<u64>,
}

/// Kept events.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<HostEvent>,
    /// The oldest that is still kept; above `after + 1` it shows a gap.
    pub oldest_sequence: u64,
    /// The newest there is.
    pub latest_sequence: u64,
}

impl Method for Events {
    const NAME: &'static str = "host.events";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = EventPage;

    fn validate(&self) -> Result<()> {
        bounds::within("limit", self.limit.unwrap_or(100), 1..=1000)
    }

    async fn run(self, host: &HostMethods, _: &Caller) -> Result<EventPage> {
        let limit = self.limit.unwrap_or(100) as usize;
        let page = host.shared.grounds.events.page(limit, self.after);
        Ok(EventPage {
            events: page.events,
            oldest_sequence: page.oldest,
            latest_sequence: page.latest,
        })
    }
}

/// Records an event of the caller's own and tells every host.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Notify {
    /// Two or more words of `[a-z0-9_]` joined by dots; `host.notification` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub kind: Option<String>,
    /// The agent that it is about.
    pub agent_id: Option<String>,
    /// For people.
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// At most 16 KiB of JSON.
    pub payload: Option<Map<String, Value>>,
}

impl Notify {
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("host.notification")
    }
}

impl Method for Notify {
    const NAME: &'static str = "host.notify";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = HostEvent;

    fn validate(&self) -> Result<()> {
        let kind = self.kind();
        bounds::bytes("kind", kind, 1..=64)?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c);
        bounds::letters("kind", kind, "[a-z0-9_.]", allowed)?;
        if !kind.contains('.') || kind.split('.').any(str::is_empty) {
            return Err(RpcError::invalid_params("kind", "must be two or more words and dots"));
        }
        if let Some(own) = RESERVED.iter().find(|own| kind.starts_with(**own)) {
            let why = format!("kinds that start with `{own}` are the daemon's own");
            return Err(RpcError::invalid_params("kind", why));
        }
        bounds::maybe_bytes("message", self.message.as_deref(), 0..=4096)?;
        bounds::maybe_bytes("agent_id", self.agent_id.as_deref(), 1..=128)?;
        bounds::encoded("payload", &self.payload, bounds::OBJECT_BYTES)
    }

    async fn run(self, host: &HostMethods, _: &Caller) -> Result<HostEvent> {
        let payload = Value::Object(self.payload.clone().unwrap_or_default());
        let mut event = NewEvent::new(self.kind(), payload).about(self.agent_id.as_deref());
        if let Some(message) = self.message {
            event = event.saying(message);
        }
        Ok(host.shared.grounds.events.emit(event))
    }
}
