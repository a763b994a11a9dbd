//! Patches of which is not known yet whether they helped.

use std::sync::Arc;

use carport_a2ui_surfaces::{Entry, Limits, Outcome, Surface, VERSION};
use serde_json::{Value, json};

use crate::{
    check::bound,
    loops::{Learned, Patch},
    propose::{Proposal, Strategy, Target},
    report::{Report, Viewport},
};

/// Patches of one surface that are on trial at a time.
const MOST: usize = 8;
/// Bytes of what was there before all of them but the newest.
const MOST_BYTES: usize = 1 << 20;

/// A patch of which is not known yet whether it helped.
pub(crate) struct Trial {
    client: String,
    viewport: Viewport,
    score: u32,
    revision: u64,
    pub(crate) strategy: Strategy,
    pub(crate) target: Target,
    /// The components that are written when it is taken back, or that show what is.
    pub(crate) touched: Vec<String>,
    code: String,
    kind: String,
    undo: Undo,
    /// It made things worse, and is taken back as soon as nobody is there.
    pub(crate) is_worse: bool,
}

/// How a patch is taken back.
enum Undo {
    /// These components are put back, if the patched ones are still there.
    Components { before: Vec<Arc<Entry>>, after: Vec<Arc<Entry>> },
    /// What was put at a path is removed, if it is still there.
    Data { path: String, value: Value },
}

impl Trial {
    /// A patch that took effect, and the report that it was made on.
    pub(crate) fn new(
        outcome: &Outcome,
        patch: &Patch,
        proposal: &Proposal,
        report: &Report,
    ) -> Option<Self> {
        let (_, client, viewport) = report.complete()?;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (old, new) in &outcome.components {
            before.extend(old.clone());
            after.push(new.clone());
        }
        let kind = before.first().map(|it| it.kind.clone()).unwrap_or_default();
        let undo = match proposal {
            Proposal::Components(_) => Undo::Components { before, after },
            Proposal::Data { path, value, .. } => {
                Undo::Data { path: path.clone(), value: value.clone() }
            }
        };
        Some(Self {
            client: client.to_owned(),
            viewport,
            score: report.score(),
            revision: outcome.revision,
            strategy: patch.strategy,
            target: proposal.target(),
            touched: proposal.touched(),
            code: patch.findings.first().map(|it| it.code.clone()).unwrap_or_default(),
            kind,
            undo,
            is_worse: false,
        })
    }

    /// Whether a report is of whoever the patch was made for, and drew it.
    fn is_answered_by(&self, report: &Report) -> bool {
        report.complete().is_some_and(|(revision, client, viewport)| {
            self.client == client && self.viewport.is_like(&viewport) && revision >= self.revision
        })
    }

    /// Whether it made things worse.
    pub(crate) fn is_worse_by(&self, score: u32) -> bool {
        self.is_worse || score > self.score
    }

    /// Whether what it made is there as it made it.
    fn stands(&self, surface: &Surface) -> bool {
        match &self.undo {
            Undo::Components { after, .. } => after.iter().all(|it| {
                surface.components.get(&it.id).is_some_and(|there| there.value == it.value)
            }),
            Undo::Data { path, value } => {
                bound(surface, &Limits::default(), path) == Ok(Some(value))
            }
        }
    }

    /// What it has shown, if nobody changed it meanwhile.
    pub(crate) fn learned(self, surface: &Surface) -> Option<Learned> {
        let stands = self.stands(surface);
        let Self { strategy, code, kind, .. } = self;
        stands.then_some(Learned { strategy, code, kind })
    }

    /// The envelope that takes it back, if nobody changed it meanwhile.
    pub(crate) fn revert(&self, surface: &Surface) -> Option<Value> {
        if !self.stands(surface) {
            return None;
        }
        match &self.undo {
            // What was not there before stays: there is no message that removes a component.
            Undo::Components { before, .. } if before.is_empty() => None,
            Undo::Components { before, .. } => {
                let before = before.iter().map(|it| it.value.clone()).collect();
                Some(Proposal::Components(before).envelope(&surface.id))
            }
            Undo::Data { path, .. } => {
                let body = json!({ "surfaceId": surface.id, "path": path });
                Some(json!({ "version": VERSION, "updateDataModel": body }))
            }
        }
    }

    fn bytes(&self) -> usize {
        let undo = match &self.undo {
            Undo::Components { before, .. } => before.iter().map(|it| it.bytes).sum(),
            Undo::Data { path, .. } => path.len(),
        };
        256 + undo
    }
}

/// The patches of one surface that are on trial, the oldest first.
#[derive(Default)]
pub(crate) struct Trials(Vec<Trial>);

impl Trials {
    /// One more. For want of room the oldest are taken as they are.
    pub(crate) fn push(&mut self, trial: Trial) {
        self.0.push(trial);
        while self.0.len() > MOST || (self.0.len() > 1 && self.bytes() > MOST_BYTES) {
            self.0.remove(0);
        }
    }

    /// Takes out the newest that the report says something of.
    pub(crate) fn take(&mut self, report: &Report) -> Option<Trial> {
        let at = self.0.iter().rposition(|it| it.is_answered_by(report))?;
        Some(self.0.remove(at))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Trial::bytes).sum()
    }
}
