//! What renderers report: passed on, decided on, and what was decided done.

use std::time::Duration;

use carport_a2ui_api::Actor;
use carport_a2ui_improve::{Advice, Decision, Input, Learned, Patch, Reason, Report};
use carport_core::{Caller, Result, RpcError};
use carport_memory_api::{GraphRef, NewFact};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    event::{News, kinds},
    routing::Going,
    service::{Cause, Service, State, actor, source_of},
};

/// The namespace of the memory that keeps what patches have shown.
const MEMORY_OF_PATCHES: &str = "a2ui";

impl Service {
    /// Looks at a report. `sent` is the report as it came.
    pub(crate) fn report(
        &self,
        caller: &Caller,
        report: &Report,
        sent: &Value,
    ) -> Result<(bool, Decision)> {
        let (id, who, now) = (&report.surface_id, actor(caller), self.clock.now());
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if state.store.get(&who, id).is_none() {
            return Err(
                RpcError::not_found(format!("surface `{id}`")).with("surfaceId", id.clone())
            );
        }
        if !state.loops.admit(caller.session().id(), id, now) {
            return Ok((false, state.loops.nothing(id, Some(Reason::RateLimited))));
        }
        self.say(state, id, kinds::REPORT, source_of(&who), sent);
        let State { store, loops, .. } = state;
        let Some(surface) = store.get(&who, id) else { return Ok((true, loops.nothing(id, None))) };
        let Some(catalog) = store.schemas().catalog(surface.catalog_id) else {
            return Ok((true, loops.nothing(id, None)));
        };
        let (mode, limits) = (self.config.improve.into(), store.limits());
        let verdict = loops.decide(&Input { surface, catalog, report, now, mode, limits });
        let mut decision = verdict.decision;
        if let Some(patch) = &verdict.patch {
            decision = self.patch(state, id, patch, report, decision);
        }
        if !verdict.advice.is_empty() {
            self.advise(state, id, &verdict.advice);
        }
        drop(guard);
        for learned in verdict.learned {
            self.remember(learned);
        }
        Ok((true, decision))
    }

    /// Applies a patch like anyone's envelope.
    fn patch(
        &self,
        state: &mut State,
        id: &str,
        patch: &Patch,
        report: &Report,
        decision: Decision,
    ) -> Decision {
        let cause = Cause {
            strategy: Some(patch.strategy.word()),
            findings: Some(json!(patch.findings)),
            ..Cause::default()
        };
        match self.change(state, &Actor::UiAgent, patch.envelope.clone(), cause) {
            Ok(outcome) => {
                let budget_left = state.loops.patched(&outcome, patch, report);
                Decision { revision: Some(outcome.revision), budget_left, ..decision }
            }
            Err(fault) => {
                tracing::debug!(%fault, surface = id, strategy = patch.strategy.word(), "patch refused");
                state.loops.refused(id, patch);
                state.loops.nothing(id, Some(Reason::NoEffect))
            }
        }
    }

    fn advise(&self, state: &mut State, id: &str, advice: &[Advice]) {
        let Some(surface) = state.store.get(&Actor::UiAgent, id) else { return };
        let result = json!({ "surfaceId": id, "owner": surface.owner, "advice": advice });
        self.say(state, id, kinds::ADVICE, "ui_agent", &result);
        if self.config.advise_peers {
            self.advise_peer(state, id, advice);
        }
    }

    /// Tells of something that changes no surface.
    fn say(
        &self,
        state: &mut State,
        id: &str,
        kind: &'static str,
        source: &'static str,
        result: &Value,
    ) {
        let seq = state.store.next_seq();
        let Some(surface) = state.store.get(&Actor::UiAgent, id) else { return };
        let news = News {
            kind,
            result,
            seq,
            revision: surface.revision,
            base_revision: surface.revision,
            envelopes: Vec::new(),
            source,
            dropped: Vec::new(),
            strategy: None,
            findings: None,
        };
        let agent = surface.created_by.agent_id.as_deref();
        self.listeners.tell(agent, || news.written(), || news.written());
    }

    /// Sends advice to the A2A peer that owns a surface, as errors of the protocol.
    fn advise_peer(&self, state: &State, id: &str, advice: &[Advice]) {
        let error = |it: &Advice| {
            let error =
                json!({ "code": it.code, "surfaceId": id, "path": it.path, "message": it.message });
            json!({ "version": carport_a2ui_surfaces::VERSION, "error": error })
        };
        let parts = || vec![advice.iter().map(error).collect()];
        let Some(router) = self.router.lock().clone() else { return };
        // A peer that takes its time does not make others wait: advice that finds no room is not sent.
        let (leg, place) = match self.going(&self.advising, state, id, parts, None) {
            Going::Goes(leg, place) => (leg, place),
            Going::Nowhere => return,
            Going::Waits(..) => {
                tracing::debug!(surface = id, "too many owners are being told advice");
                return;
            }
        };
        let (surface_id, limit) = (id.to_owned(), Duration::from_secs(self.config.route_timeout_s));
        self.tasks.spawn("advice", async move {
            let _place = place;
            // What is answered is of no interest, so its envelopes are not drawn.
            if !matches!(timeout(limit, router.deliver(leg.delivery)).await, Ok(Ok(_))) {
                tracing::debug!(surface = surface_id, "the owner could not be told advice");
            }
        });
    }

    /// Offers what a patch has shown to the memory, if there is one.
    fn remember(&self, learned: Learned) {
        let Some(memory) = self.memory.clone() else { return };
        let Learned { strategy, code, kind } = learned;
        let kind = if kind.is_empty() { "a component".to_owned() } else { kind };
        let body = format!("`{}` mends `{code}` of {kind}", strategy.word());
        let mut fact = NewFact::new("user interface", body);
        fact.fact_id = Some(format!("a2ui-{}-{code}-{}", strategy.word(), kind.replace(' ', "-")));
        fact.source = "a2ui".into();
        self.tasks.spawn("remember", async move {
            if let Err(error) =
                memory.add(&GraphRef::Namespace(MEMORY_OF_PATCHES.into()), fact).await
            {
                tracing::debug!(%error, "the memory did not take what a patch has shown");
            }
        });
    }
}
