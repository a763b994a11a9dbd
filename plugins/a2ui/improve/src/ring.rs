//! Whether two writers undo each other: the last states of one component, whoever wrote them.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hasher},
};

use carport_core::Time;

/// A state, by its hash. The members of an object are hashed in the order of their names.
pub(crate) type Hash = u64;

/// States that are remembered.
const STATES: usize = 8;
/// Returns to an earlier state after which nobody is believed to give in.
const CONTESTED: u32 = 2;
/// Seconds of the first cool-down, and of the longest.
const COOLDOWN: (i64, i64) = (60, 3600);

pub(crate) fn hash<T: std::hash::Hash + ?Sized>(value: &T) -> Hash {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The last states of a component.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    states: VecDeque<Hash>,
    flips: u32,
    cooldowns: u32,
    /// Until when nothing is proposed again, and the state that may be made once then.
    until: Option<(Time, Hash)>,
}

/// Whether a state may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Free,
    Cooling,
    Contested,
}

impl Ring {
    /// A state was written. `returns` says that it is one which was patched away, whatever its hash.
    pub(crate) fn push(&mut self, state: Hash, returns: bool) {
        if self.states.back() == Some(&state) {
            return;
        }
        if returns || self.states.contains(&state) {
            self.flips = self.flips.saturating_add(1);
        }
        if self.states.len() == STATES {
            self.states.pop_front();
        }
        self.states.push_back(state);
    }

    pub(crate) fn is_contested(&self) -> bool {
        self.flips >= CONTESTED
    }

    /// What keeps anything from being written now, whatever it is.
    pub(crate) fn waits(&self, now: Time) -> Option<Turn> {
        if self.is_contested() {
            return Some(Turn::Contested);
        }
        self.until.is_some_and(|(until, _)| now < until).then_some(Turn::Cooling)
    }

    /// Whether `state` may be written now. One that was there before waits for a cool-down of its own first,
    /// and then may be written once.
    pub(crate) fn turn(&mut self, state: Hash, now: Time) -> Turn {
        if let Some(waits) = self.waits(now) {
            return waits;
        }
        let served = self.until.take().is_some_and(|(_, waited)| waited == state);
        let is_back = self.states.contains(&state) && self.states.back() != Some(&state);
        if !is_back || served {
            return Turn::Free;
        }
        let (first, longest) = COOLDOWN;
        let secs = first.saturating_mul(1 << self.cooldowns.min(16)).min(longest);
        self.cooldowns = self.cooldowns.saturating_add(1);
        self.until = Some(((*now + delta(secs)).into(), state));
        Turn::Cooling
    }
}

fn delta(secs: i64) -> chrono::TimeDelta {
    chrono::TimeDelta::seconds(secs)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(secs: i64) -> Time {
        (*Time::default() + delta(secs)).into()
    }

    #[test]
    fn the_hash_does_not_depend_on_the_order_of_members() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":[1,2]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        assert_eq!(hash(&a), hash(&b));
        assert_ne!(hash(&a), hash(&json!({ "a": 1, "b": [2, 1] })));
    }

    #[test]
    fn a_state_that_was_undone_waits_and_is_then_contested() {
        let (a, b) = (hash(&json!("a")), hash(&json!("b")));
        let mut ring = Ring::default();
        ring.push(a, false);
        assert_eq!(ring.turn(b, at(0)), Turn::Free);
        ring.push(b, false);
        ring.push(b, false);
        ring.push(a, false);
        assert_eq!(ring.turn(b, at(1)), Turn::Cooling);
        assert_eq!(ring.turn(b, at(60)), Turn::Cooling);
        assert_eq!(ring.turn(b, at(61)), Turn::Free);
        ring.push(b, false);
        assert_eq!((ring.is_contested(), ring.turn(b, at(9999))), (true, Turn::Contested));
    }

    #[test]
    fn cool_downs_double_up_to_an_hour() {
        let mut ring = Ring::default();
        let (a, b) = (hash(&json!("a")), hash(&json!("b")));
        ring.push(a, false);
        ring.push(b, false);
        let mut now = 0;
        for wait in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            assert_eq!(ring.turn(a, at(now)), Turn::Cooling);
            assert_eq!(ring.turn(a, at(now + wait - 1)), Turn::Cooling);
            now += wait;
            assert_eq!(ring.turn(a, at(now)), Turn::Free);
        }
    }

    #[test]
    fn a_cool_down_frees_the_state_that_waited_and_no_other() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|it| hash(&json!(it)));
        let mut ring = Ring::default();
        for state in [a, b, c] {
            ring.push(state, false);
        }
        assert_eq!((ring.turn(a, at(0)), ring.turn(d, at(1))), (Turn::Cooling, Turn::Cooling));
        assert_eq!(ring.turn(b, at(61)), Turn::Cooling);
        assert_eq!(ring.turn(b, at(61 + 120)), Turn::Free);
        // What is new needs no wait, and leaves none over.
        assert_eq!(ring.turn(a, at(200)), Turn::Cooling);
        assert_eq!(ring.turn(d, at(200 + 240)), Turn::Free);
        assert_eq!(ring.turn(a, at(9000)), Turn::Cooling);
    }

    #[test]
    fn only_the_last_states_count() {
        let mut ring = Ring::default();
        for state in 0..20 {
            ring.push(hash(&json!(state)), false);
        }
        ring.push(hash(&json!(0)), false);
        assert_eq!(ring.flips, 0);
        ring.push(hash(&json!(19)), false);
        assert_eq!(ring.flips, 1);
    }
}
