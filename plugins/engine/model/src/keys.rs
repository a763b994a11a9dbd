//! The state keys of an action: where they stand, which it reads, which it writes.

use std::{borrow::Cow, fmt};

use crate::{
    proposal::{Action, ActionType},
    reference::literal,
};

/// A state key that an action names; displays as its path below the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPlace<'a> {
    /// The field that holds it.
    list: &'static str,
    at: Option<usize>,
    /// The key.
    pub key: &'a str,
}

impl Action {
    /// Every state key that it names.
    pub fn state_keys(&self) -> impl Iterator<Item = KeyPlace<'_>> {
        let lists = [
            ("state_dependencies", &self.state_dependencies),
            ("read_set", &self.read_set),
            ("write_set", &self.write_set),
        ];
        let listed = lists.into_iter().flat_map(|(list, keys)| places(list, keys, String::as_str));
        let own = self.state_key().map(|key| KeyPlace { list: "parameters", at: None, key });
        own.into_iter()
            .chain(listed)
            .chain(places("expected_effects", self.expected_effects.keys(), String::as_str))
            .chain(places("preconditions", &self.preconditions, |it| it.key.as_str()))
            .chain(places("assumptions", &self.assumptions, |it| it.key.as_str()))
    }

    /// The keys that decide after whom it comes: its state dependencies, its read set, and the key of a
    /// read or an assertion unless an output decides that one.
    pub(crate) fn reads<'a>(
        &'a self,
        is_action: &dyn Fn(&str) -> bool,
    ) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let own = match self.kind {
            ActionType::StateRead | ActionType::Assertion => self.state_key(),
            ActionType::ToolCall | ActionType::StateWrite => None,
        };
        let listed = self.state_dependencies.iter().chain(&self.read_set);
        let own = own.and_then(|key| literal(key, is_action));
        listed.map(|key| Cow::from(key.as_str())).chain(own)
    }

    /// The keys that it writes when it succeeds: its effects, its write set, and the key of a write
    /// unless an output decides that one.
    pub(crate) fn writes<'a>(
        &'a self,
        is_action: &dyn Fn(&str) -> bool,
    ) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let own = self.state_key().filter(|_| self.kind == ActionType::StateWrite);
        let listed = self.expected_effects.keys().chain(&self.write_set);
        let own = own.and_then(|key| literal(key, is_action));
        listed.map(|key| Cow::from(key.as_str())).chain(own)
    }
}

fn places<'a, T: 'a>(
    list: &'static str,
    items: impl IntoIterator<Item = &'a T>,
    key: fn(&'a T) -> &'a str,
) -> impl Iterator<Item = KeyPlace<'a>> {
    let items = items.into_iter().enumerate();
    items.map(move |(at, item)| KeyPlace { list, at: Some(at), key: key(item) })
}

impl fmt::Display for KeyPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.list, self.at) {
            ("expected_effects", _) => write!(f, "expected_effects.{}", self.key),
            ("preconditions" | "assumptions", Some(at)) => write!(f, "{}[{at}].key", self.list),
            (list, Some(at)) => write!(f, "{list}[{at}]"),
            (list, None) => write!(f, "{list}.key"),
        }
    }
}
