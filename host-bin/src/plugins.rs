//! The bill of materials: every plugin that this binary knows of, by cargo feature.

carport_core::link! {
    "a2a" => carport_a2a {
        "a2a", "message", "tasks", "agent/getAuthenticatedExtendedCard", "SendMessage",
        "SendStreamingMessage", "GetTask", "ListTasks", "CancelTask", "SubscribeToTask",
        "CreateTaskPushNotificationConfig", "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs", "DeleteTaskPushNotificationConfig",
        "GetExtendedAgentCard",
    },
    "a2ui" => carport_a2ui { "a2ui" },
    "agents" => carport_agents { "agents", "registry", "goal", "agent.chat.event" },
    "engine" => carport_engine {
        "proposal", "verify", "tools", "policy", "permission", "state", "events", "metrics",
        "replan", "supervision", "session.init", "session.policy.open", "session.policy.close",
        "agents.register_basics",
    },
    "meetings" => carport_meetings { "meeting" },
    "memory" => carport_memory { "memory" },
    "presence" => carport_presence {
        "host.agents", "host.register_agent", "host.unregister_agent", "host.set_status",
        "host.devices", "host.register_device", "host.update_device",
    },
    "runs" => carport_runs { "runs" },
    "voice" => carport_voice { "voice", "transcribe", "synthesize" },
}
