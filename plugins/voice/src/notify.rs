//! The one notification of the plugin.

use carport_core::Notification;
use carport_voice_api::Numbered;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something happened in a stream, a speech or a turn of this connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VoiceEvent {
    /// The stream's id, the `stream_id` for speech, and empty for a turn without a stream.
    pub session_id: String,
    /// What happened.
    pub event: Numbered,
}

impl Notification for VoiceEvent {
    const NAME: &'static str = "voice.event";
}
