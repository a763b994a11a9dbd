//! Presence: agents and devices that connections register, and what they are doing, for hosts to see.

mod agents;
mod devices;
mod rows;

use std::sync::Arc;

use carport_core::{
    AGENT_ROWS, AgentRows, AgentStatus, Clock, Guarded, HostAgent, HostDevice, HostEvents,
    HostPart, HostParts, NewEvent, Plugin, Result, Session, StartContext,
};
use serde_json::{Value, json};

pub use agents::{Agents, Done, RegisterAgent, SetStatus, UnregisterAgent};
pub use devices::{Devices, RegisterDevice, UpdateDevice};

use crate::rows::{Rows, Waits};

carport_core::plugin!(Presence {
    methods: [
        Agents,
        RegisterAgent,
        UnregisterAgent,
        SetStatus,
        Devices,
        RegisterDevice,
        UpdateDevice,
    ],
});

/// The plugin.
pub struct Presence {
    board: Arc<Board>,
    /// The rows of every plugin, this one's first.
    parts: Arc<HostParts>,
}

/// What is registered. Events are made under the lock, so that they tell of changes in their order.
struct Board {
    clock: Arc<dyn Clock>,
    events: HostEvents,
    state: Guarded<State>,
}

#[derive(Default)]
struct State {
    agents: Rows<HostAgent>,
    devices: Rows<HostDevice>,
    waits: Waits,
}

impl Plugin for Presence {
    const ID: &'static str = "presence";
    const NAMESPACES: &'static [&'static str] = &[
        "host.agents",
        "host.register_agent",
        "host.unregister_agent",
        "host.set_status",
        "host.devices",
        "host.register_device",
        "host.update_device",
    ];
    const PROVIDES: &'static [&'static str] = &[AGENT_ROWS.name()];
    type Config = ();

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let (clock, events) = (cx.clock(), cx.events());
        let board = Arc::new(Board { clock, events, state: Guarded::default() });
        cx.provide(&AGENT_ROWS, board.clone() as Arc<dyn AgentRows>);
        cx.contribute(board.clone());
        Ok(Self { board, parts: cx.host_parts() })
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        self.board.session_gone(session.id());
    }
}

impl Board {
    fn registered(&self, agent: &HostAgent) {
        let event = NewEvent::new("agent.registered", json!({ "agent": agent }));
        self.events.emit(event.about(Some(&agent.id)));
    }

    fn unregistered(&self, agent: &HostAgent, reason: Option<&str>) {
        let mut payload = json!({ "agent": agent });
        if let Some(reason) = reason {
            payload["reason"] = reason.into();
        }
        let event = NewEvent::new("agent.unregistered", payload);
        self.events.emit(event.about(Some(&agent.id)));
    }

    fn status_event(&self, agent: &HostAgent, previous: AgentStatus, data: Option<&Value>) {
        let mut payload = json!({ "agent": agent, "previous": previous });
        if let Some(data) = data {
            payload["data"] = data.clone();
        }
        let event = NewEvent::new("agent.status_changed", payload).about(Some(&agent.id));
        self.events.emit(match &agent.message {
            Some(message) => event.saying(message),
            None => event,
        });
    }

    fn device_event(&self, kind: &str, device: &HostDevice) {
        self.events.emit(NewEvent::new(kind, json!({ "device": device })));
    }

    /// The rows of a connection go with it, each with an event.
    fn session_gone(&self, session_id: &str) {
        let mut state = self.state.lock();
        for agent in state.agents.take_owned(session_id) {
            state.waits.forget(&agent.id);
            self.unregistered(&agent, Some("disconnected"));
        }
        for device in state.devices.take_owned(session_id) {
            self.device_event("device.unregistered", &device);
        }
    }
}

impl HostPart for Board {
    fn agents(&self) -> Vec<HostAgent> {
        self.state.lock().agents.all()
    }

    fn devices(&self) -> Vec<HostDevice> {
        self.state.lock().devices.all()
    }
}

impl AgentRows for Board {
    fn wait_for_approval(&self, agent_id: &str, asker: &Session) -> Result<()> {
        let mut state = self.state.lock();
        let State { agents, waits, .. } = &mut *state;
        let agent = agents.owned(agent_id, asker.id())?;
        let previous = agent.status;
        if waits.begin(agent, self.clock.now()) {
            self.status_event(agent, previous, None);
        }
        Ok(())
    }

    fn approval_over(&self, agent_id: &str) {
        let mut state = self.state.lock();
        let State { agents, waits, .. } = &mut *state;
        let Some(owner) = agents.get(agent_id).map(|it| it.session_id.clone()) else { return };
        let Ok(agent) = agents.owned(agent_id, &owner) else { return };
        let previous = agent.status;
        if waits.end(agent, self.clock.now()) {
            self.status_event(agent, previous, None);
        }
    }
}
