//! `host.devices`, `host.register_device`, `host.update_device`.

use carport_core::{Access, Caller, HostDevice, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Presence;

/// Lists devices, sorted by id.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Devices {}

impl Method for Devices {
    const NAME: &'static str = "host.devices";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = Vec<HostDevice>;

    async fn run(self, presence: &Presence, _: &Caller) -> Result<Vec<HostDevice>> {
        Ok(presence.parts.devices())
    }
}

/// Registers a device, or replaces the caller's own row of that id.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RegisterDevice {
    /// A fresh one if absent.
    #[schemars(length(min = 1, max = 128))]
    pub id: Option<String>,
    /// For people.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// `macos`, `ios`, `linux` or another word.
    #[schemars(length(min = 1, max = 64))]
    pub platform: String,
    /// What it can do.
    #[schemars(length(max = 64))]
    pub capabilities: Option<Vec<String>>,
    /// `online` if absent.
    #[schemars(length(min = 1, max = 64))]
    pub status: Option<String>,
    /// Passed through; at most 16 KiB of JSON.
    pub metadata: Option<Map<String, Value>>,
}

impl Method for RegisterDevice {
    const NAME: &'static str = "host.register_device";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = HostDevice;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("id", self.id.as_deref(), 1..=128)?;
        bounds::bytes("name", &self.name, 1..=256)?;
        bounds::bytes("platform", &self.platform, 1..=64)?;
        let capabilities = self.capabilities.as_deref().unwrap_or_default();
        bounds::texts("capabilities", capabilities, 0..=64, 1..=64)?;
        bounds::maybe_bytes("status", self.status.as_deref(), 1..=64)?;
        bounds::encoded("metadata", &self.metadata, bounds::OBJECT_BYTES)
    }

    async fn run(self, presence: &Presence, caller: &Caller) -> Result<HostDevice> {
        let board = &presence.board;
        let row = HostDevice {
            id: self.id.unwrap_or_else(|| format!("device-{}", Uuid::now_v7())),
            name: self.name,
            platform: self.platform,
            capabilities: self.capabilities.unwrap_or_default(),
            status: self.status.unwrap_or_else(|| "online".into()),
            session_id: Some(caller.session().id().to_owned()),
            metadata: self.metadata.unwrap_or_default(),
            updated_at: board.clock.now(),
        };
        board.state.lock().devices.put(row.clone()).map(|replaced| {
            let kind = if replaced.is_some() { "device.updated" } else { "device.registered" };
            board.device_event(kind, &row);
        })?;
        Ok(row)
    }
}

/// Changes the given fields of one's own device.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UpdateDevice {
    /// Which one.
    pub device_id: String,
    /// For people.
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
    /// `macos`, `ios`, `linux` or another word.
    #[schemars(length(min = 1, max = 64))]
    pub platform: Option<String>,
    /// What it can do.
    #[schemars(length(max = 64))]
    pub capabilities: Option<Vec<String>>,
    /// `online` or another word.
    #[schemars(length(min = 1, max = 64))]
    pub status: Option<String>,
    /// Passed through; at most 16 KiB of JSON.
    pub metadata: Option<Map<String, Value>>,
}

impl Method for UpdateDevice {
    const NAME: &'static str = "host.update_device";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = HostDevice;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("name", self.name.as_deref(), 1..=256)?;
        bounds::maybe_bytes("platform", self.platform.as_deref(), 1..=64)?;
        let capabilities = self.capabilities.as_deref().unwrap_or_default();
        bounds::texts("capabilities", capabilities, 0..=64, 1..=64)?;
        bounds::maybe_bytes("status", self.status.as_deref(), 1..=64)?;
        bounds::encoded("metadata", &self.metadata, bounds::OBJECT_BYTES)
    }

    async fn run(self, presence: &Presence, caller: &Caller) -> Result<HostDevice> {
        let board = &presence.board;
        let mut state = board.state.lock();
        let row = state.devices.owned(&self.device_id, caller.session().id())?;
        row.name = self.name.unwrap_or_else(|| row.name.clone());
        row.platform = self.platform.unwrap_or_else(|| row.platform.clone());
        row.capabilities = self.capabilities.unwrap_or_else(|| row.capabilities.clone());
        row.status = self.status.unwrap_or_else(|| row.status.clone());
        row.metadata = self.metadata.unwrap_or_else(|| row.metadata.clone());
        row.updated_at = board.clock.now();
        let row = row.clone();
        board.device_event("device.updated", &row);
        Ok(row)
    }
}
