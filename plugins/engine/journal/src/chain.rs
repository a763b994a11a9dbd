//! The chain of hashes: what an event's hash is, and whether lines are as they were written. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::event::Event;

/// What stands before the first chained event.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What verifying found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// So many chained events are as they were written, one after the other.
    Verified(u64),
    /// The line with this index, counted from 0, is not what was written or not where it was.
    TamperedAt(u64),
}

/// Chains `event` to the hash before it. Returns its own.
pub fn link(event: &mut Event, before: &str) -> String {
    event.prev_hash = Some(before.to_owned());
    event.hash = None;
    let own = hash(event);
    event.hash = Some(own.clone());
    own
}

/// The hash of an event that has none yet.
fn hash(event: &Event) -> String {
    let before = event.prev_hash.as_deref().unwrap_or_default();
    let digest = Sha256::new()
        .chain_update(before)
        .chain_update("\n")
        .chain_update(event.canonical())
        .finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Goes over the lines of a journal, oldest first.
///
/// What the first chained event stands on is not checked where it is the first line: the lines before it
/// may have been retired. After an unchained line, it begins the chain.
/// Events from before the chain was enabled are skipped; afterwards every event is chained, so that one
/// that is not was put there by somebody else.
#[derive(Debug, Default)]
pub struct Verifier {
    index: u64,
    verified: u64,
    head: Option<String>,
    tampered: bool,
}

impl Verifier {
    /// Takes in the next line, without its end. `false` once a line was tampered with: what follows
    /// changes nothing any more.
    pub fn check(&mut self, line: &[u8]) -> bool {
        if !self.tampered {
            self.tampered = !self.fits(line);
            self.index += u64::from(!self.tampered);
        }
        !self.tampered
    }

    fn fits(&mut self, line: &[u8]) -> bool {
        let Ok(mut event) = serde_json::from_slice::<Event>(line) else { return false };
        // The same event in another spelling is an edit too.
        if event.canonical().as_bytes() != line {
            return false;
        }
        match (event.hash.take(), &event.prev_hash) {
            (None, None) => self.head.is_none(),
            (Some(own), Some(before)) => {
                let follows = match &self.head {
                    Some(head) => head == before,
                    None => self.index == 0 || before == GENESIS,
                };
                let intact = follows && hash(&event) == own;
                self.verified += u64::from(intact);
                self.head = Some(own);
                intact
            }
            _ => false,
        }
    }

    /// What was found so far.
    pub fn verdict(&self) -> Verdict {
        match self.tampered {
            true => Verdict::TamperedAt(self.index),
            false => Verdict::Verified(self.verified),
        }
    }
}

#[cfg(test)]
mod tests;
