//! `meeting.label`.

use carport_core::{Access, Caller, Method, Result, RpcError, blocking_io, bounds};
use carport_meetings_record::Meeting;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{check_id, forbidden, may_change, not_found};
use crate::{
    Meetings,
    hall::Hall,
    live::{Order, Wanted},
    shelf::Kept,
};

/// Gives a speaker's label a name, which is shown instead from now on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct NameLabel {
    /// The meeting.
    #[schemars(length(min = 1, max = 64))]
    pub meeting_id: String,
    /// The label of a participant.
    #[schemars(length(min = 1, max = 128))]
    pub label: String,
    /// The name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
}

/// A label has a name.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// Segments that show it.
    pub relabelled: usize,
    /// The meeting.
    pub meeting: Meeting,
}

impl Method for NameLabel {
    const NAME: &'static str = "meeting.label";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Meetings;
    type Reply = Named;

    fn validate(&self) -> Result<()> {
        check_id("meeting_id", &self.meeting_id)?;
        bounds::bytes("label", &self.label, 1..=128)?;
        bounds::bytes("name", &self.name, 1..=64)
    }

    async fn run(self, meetings: &Meetings, caller: &Caller) -> Result<Named> {
        let hall = &meetings.hall;
        if let Some(live) = hall.seen(&self.meeting_id, caller) {
            if !live.is_of(caller) {
                return Err(forbidden());
            }
            let (reply, named) = oneshot::channel();
            let (label, name) = (self.label.clone(), self.name.clone());
            live.orders.ask(Order::Name { label, name, reply }).await;
            if let Ok(named) = named.await {
                return Ok(Named { relabelled: named?, meeting: live.meeting() });
            }
            // It has ended meanwhile; its files are all that there is when that is done.
            live.reached(crate::live::Stage::Over).await;
        }
        hall.name_label(self, caller).await
    }
}

impl Hall {
    /// Names a label of a meeting that is over.
    async fn name_label(&self, wanted: NameLabel, caller: &Caller) -> Result<Named> {
        let NameLabel { meeting_id, label, name } = wanted;
        let _held = self.hold(&meeting_id).await;
        let (shelf, id) = (self.shelf.clone(), meeting_id.clone());
        let kept =
            blocking_io(move || shelf.kept(&id)).await.map_err(|error| crate::broken(&error))?;
        let kept = kept.ok_or_else(|| not_found(&meeting_id))?;
        may_change(caller.identity(), &kept.meeting)?;
        self.check_over(&kept.meeting)?;
        let graph = self.graph_of(&kept);
        let mut meeting = kept.meeting;
        let known = meeting.participants.iter_mut().find(|it| it.label == label);
        let known =
            known.ok_or_else(|| RpcError::not_found(format!("label `{label}` in this meeting")))?;
        known.name = Some(name);
        let (shelf, kept) = (self.shelf.clone(), Kept::new(meeting.clone(), graph.as_ref()));
        let written = blocking_io(move || {
            shelf.rewrite(&kept)?;
            shelf.transcript(&kept.meeting.id, Wanted::ALL)
        });
        let segments = written.await.map_err(|error| crate::broken(&error))?.segments;
        if let Some(graph) = &graph {
            self.catch_up(graph, &meeting, &segments).await;
        }
        let relabelled = segments.iter().filter(|it| it.speaker == label).count();
        Ok(Named { relabelled, meeting })
    }
}
