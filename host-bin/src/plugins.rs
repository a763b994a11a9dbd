//! The bill of materials: every plugin that this binary knows of, by cargo feature.

carport_core::link! {
    "presence" => carport_presence {
        "host.agents", "host.register_agent", "host.unregister_agent", "host.set_status",
        "host.devices", "host.register_device", "host.update_device",
    },
    "runs" => carport_runs { "runs" },
}
