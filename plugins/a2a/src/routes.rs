//! The way of actions on surfaces back to the peers that drew them.

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2a_outbound::{Ask, Consent, Failure, Refusal, Target, within_bounds};
use carport_a2a_types::{Content, Kind, Message, Part, Role, SendResult, StreamResponse, Version};
use carport_a2ui_api::{Delivered, Delivery, Router};
use carport_core::{Result, RpcError};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    asking::{Asking, Peer, in_time},
    credential::Credential,
    drawing::{ASKED_FOR, Keys},
    outgoing::Outgoing,
    peers::Peers,
};

/// Carries actions.
pub(crate) struct Routes {
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) keys: Arc<Keys>,
}

/// Where something may be sent: a peer that is known needs no more consent, but everything else.
///
/// # Errors
/// Why it may not.
pub(crate) fn screen(
    outgoing: &Outgoing,
    peers: &Peers,
    endpoint: &str,
    consent: Consent,
) -> std::result::Result<Target, Refusal> {
    let refusal = match outgoing.screen().register(endpoint, consent) {
        Ok(target) => return Ok(target),
        Err(refusal) => refusal,
    };
    match outgoing.screen().register(endpoint, Consent::Given) {
        Ok(target) if peers.know(&target) => Ok(target),
        _ => Err(refusal),
    }
}

/// Each data is a part; the media type is that of the first.
fn parts(data: Vec<Value>, media_type: &str) -> Vec<Part> {
    let part = |(at, data)| {
        let mut part = Part::of(Content::Data(data));
        if at == 0 {
            let metadata = Map::from_iter([("mimeType".to_owned(), media_type.into())]);
            (part.metadata, part.media_type) = (Some(metadata), Some(media_type.to_owned()));
        }
        part
    };
    data.into_iter().enumerate().map(part).collect()
}

/// The surface that a message is about: what it tells names it.
fn surface_of(data: &[Value]) -> Option<&str> {
    let told = data.first()?.get(0)?.as_object()?;
    told.values().find_map(|it| it.get("surfaceId")?.as_str())
}

/// Whether a peer takes no more messages for a task, so that nothing was done of this one.
fn is_over(failure: &Failure) -> bool {
    let codes = [Kind::UnsupportedOperation.code(), Kind::InvalidParams.code()];
    matches!(failure, Failure::Refused(error) if codes.contains(&error.code))
}

/// Sends a message and waits for its answer. One to a task that has ended begins another one, which refers to it: that
/// is how a conversation goes on after a task.
async fn ask(
    peer: &Peer<'_>,
    mut message: Message,
) -> std::result::Result<(SendResult, Version), Failure> {
    let heard = peer.call(&Ask::Send { message: &message, wait: true }).await;
    if heard.as_ref().is_err_and(is_over)
        && let Some(task) = message.task_id.take()
    {
        message.reference_task_ids = vec![task];
        return peer.call(&Ask::Send { message: &message, wait: true }).await;
    }
    heard
}

#[async_trait]
impl Router for Routes {
    fn screen(&self, endpoint: &str, allow_untrusted: bool) -> Result<()> {
        let consent = Consent::given(allow_untrusted);
        Ok(screen(&self.outgoing, &self.peers, endpoint, consent).map(drop)?)
    }

    async fn deliver(&self, delivery: Delivery) -> Result<Delivered> {
        let Delivery { endpoint, auth, task_id, context_id, parts: data, media_type, metadata } =
            delivery;
        // Whoever had the endpoint kept consented to it.
        let target = self.outgoing.screen().register(&endpoint, Consent::Given)?;
        let given = Credential::of(&auth, &target)?;
        let surface_id = surface_of(&data).unwrap_or_default().to_owned();
        let kept = || self.keys.of(&target, context_id.as_deref(), &surface_id);
        let credential = given.or_else(kept);
        let message = Message {
            message_id: Uuid::now_v7().to_string(),
            role: Role::User,
            parts: parts(data, media_type),
            context_id: context_id.clone(),
            task_id,
            metadata: (!metadata.is_empty()).then_some(metadata),
            extensions: Vec::new(),
            reference_task_ids: Vec::new(),
        };
        let peer = Asking::new(&self.outgoing, credential, true).find(&target).await?;
        let peer = peer.with_extensions(Some(ASKED_FOR));
        let (result, version) = in_time(peer.carrier().until, ask(&peer, message)).await?;
        let task_id = match &result {
            SendResult::Task(task) => Some(task.id.clone()),
            SendResult::Message(message) => message.task_id.clone(),
        };
        let result = StreamResponse::from(result);
        within_bounds(&result)?;
        let answer = serde_json::to_value(result).map_err(RpcError::internal)?;
        self.keys.expect(&target, context_id, &surface_id, &answer);
        Ok(Delivered { version: Some(version.text().into()), task_id, answer })
    }
}
