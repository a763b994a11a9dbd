//! References to outputs in parameters: `$id.output.a.b[0]` as a whole string, `${id.output.a}` inside
//! one, `$$` for a literal `$` at the start.

mod syntax;

use std::{borrow::Cow, collections::BTreeSet};

use serde_json::{Map, Value};

use self::syntax::{Part, Piece, Reading, Reference, read};
use crate::canon::canonical;

/// How deep filled-in parameters may nest, so that a frame of 128 levels has room for what is around
/// them.
const MAX_DEPTH: usize = 120;
/// Bytes of JSON that one action's references may insert: as many as a frame may have.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Why references could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// The action has no output.
    #[error("'{id}' has no output")]
    NoOutput {
        /// The action.
        id: String,
    },
    /// The output has no such part.
    #[error("the output of '{id}' has no part '{path}'")]
    NoPart {
        /// The action.
        id: String,
        /// The part.
        path: String,
    },
    /// The parameters would nest too deep.
    #[error("filled-in parameters nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The parameters would grow too large.
    #[error("filled-in parameters exceed {MAX_BYTES} bytes")]
    TooLarge,
}

/// The actions that parameters refer to. `is_action` says which ids the proposal has.
pub fn references<'a>(
    parameters: &'a Map<String, Value>,
    is_action: &dyn Fn(&str) -> bool,
) -> BTreeSet<&'a str> {
    collect(parameters, is_action, true)
}

/// What looks like a reference and names no action of the proposal, so that it stays text.
pub fn dangling<'a>(
    parameters: &'a Map<String, Value>,
    is_action: &dyn Fn(&str) -> bool,
) -> BTreeSet<&'a str> {
    collect(parameters, is_action, false)
}

fn collect<'a>(
    parameters: &'a Map<String, Value>,
    is_action: &dyn Fn(&str) -> bool,
    known: bool,
) -> BTreeSet<&'a str> {
    let found = strings(parameters).flat_map(|text| match read(text, is_action) {
        Reading::Plain => Vec::new(),
        Reading::Whole(reference) => vec![Piece::Output(reference)],
        Reading::Pieces(pieces) => pieces,
    });
    let ids = found.filter_map(|piece| match piece {
        Piece::Output(reference) if reference.known == known => Some(reference.id),
        _ => None,
    });
    ids.collect()
}

/// Every string value, at any depth.
fn strings(parameters: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let mut rest: Vec<&Value> = parameters.values().collect();
    let next = move || {
        while let Some(value) = rest.pop() {
            match value {
                Value::String(text) => return Some(text.as_str()),
                Value::Array(items) => rest.extend(items),
                Value::Object(members) => rest.extend(members.values()),
                _ => {}
            }
        }
        None
    };
    std::iter::from_fn(next)
}

/// The text that a string stands for, unless an output decides it.
pub(crate) fn literal<'a>(text: &'a str, is_action: &dyn Fn(&str) -> bool) -> Option<Cow<'a, str>> {
    match read(text, is_action) {
        Reading::Whole(it) if it.known => None,
        Reading::Plain | Reading::Whole(_) => Some(text.into()),
        Reading::Pieces(pieces) => pieces.iter().map(Piece::text).collect::<Option<_>>(),
    }
}

/// Fills in the references of `parameters`; `None` if there is nothing to fill in. `output` is the output
/// of an action that succeeded. Outputs are not read again.
pub fn fill<'o>(
    parameters: &Map<String, Value>,
    is_action: &dyn Fn(&str) -> bool,
    output: &dyn Fn(&str) -> Option<&'o Value>,
) -> Result<Option<Map<String, Value>>, Unfilled> {
    let changes = |text: &str| literal(text, is_action).as_deref() != Some(text);
    if !strings(parameters).any(changes) {
        return Ok(None);
    }
    Filling { is_action, output, room: MAX_BYTES }.members(parameters, 1).map(Some)
}

/// The parameters as they will be, unless an output decides them.
pub(crate) fn settled<'a>(
    parameters: &'a Map<String, Value>,
    is_action: &dyn Fn(&str) -> bool,
) -> Option<Cow<'a, Map<String, Value>>> {
    let filled = fill(parameters, is_action, &|_| None).ok()?;
    Some(filled.map_or(Cow::Borrowed(parameters), Cow::Owned))
}

struct Filling<'f, 'o> {
    is_action: &'f dyn Fn(&str) -> bool,
    output: &'f dyn Fn(&str) -> Option<&'o Value>,
    /// Bytes that may still be inserted.
    room: usize,
}

impl<'o> Filling<'_, 'o> {
    /// `depth` counts the containers around a member.
    fn members(
        &mut self,
        members: &Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, Unfilled> {
        members.iter().map(|(key, value)| Ok((key.clone(), self.value(value, depth)?))).collect()
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<Value, Unfilled> {
        match value {
            Value::String(text) => self.text(text, depth),
            Value::Array(items) => items.iter().map(|item| self.value(item, depth + 1)).collect(),
            Value::Object(members) => self.members(members, depth + 1).map(Value::Object),
            other => Ok(other.clone()),
        }
    }

    fn text(&mut self, text: &str, depth: usize) -> Result<Value, Unfilled> {
        match read(text, self.is_action) {
            Reading::Whole(reference) if reference.known => {
                let part = self.part(&reference)?;
                match depth + nesting(part) <= MAX_DEPTH {
                    true => Ok(part.clone()),
                    false => Err(Unfilled::TooDeep),
                }
            }
            Reading::Plain | Reading::Whole(_) => Ok(text.into()),
            Reading::Pieces(pieces) => {
                let mut filled = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Output(reference) if reference.known => {
                            match self.part(&reference)? {
                                Value::String(text) => filled.push_str(text),
                                other => filled.push_str(&canonical(other)),
                            }
                        }
                        piece => filled.push_str(piece.text().unwrap_or_default()),
                    }
                }
                Ok(filled.into())
            }
        }
    }

    /// The part that is meant, if there is room for it.
    fn part(&mut self, reference: &Reference<'_>) -> Result<&'o Value, Unfilled> {
        let missing = || Unfilled::NoOutput { id: reference.id.into() };
        let mut value = (self.output)(reference.id).ok_or_else(missing)?;
        for part in &reference.path {
            let next = match part {
                Part::Key(key) => value.as_object().and_then(|members| members.get(*key)),
                Part::Index(at) => value.as_array().and_then(|items| items.get(*at)),
            };
            let missing =
                || Unfilled::NoPart { id: reference.id.into(), path: reference.path_text() };
            value = next.ok_or_else(missing)?;
        }
        self.take(value)?;
        Ok(value)
    }

    fn take(&mut self, part: &Value) -> Result<(), Unfilled> {
        let mut rest = vec![part];
        while let Some(value) = rest.pop() {
            let size = match value {
                Value::String(text) => text.len() + 2,
                Value::Array(items) => {
                    rest.extend(items);
                    items.len() + 2
                }
                Value::Object(members) => {
                    rest.extend(members.values());
                    members.keys().map(|key| key.len() + 4).sum::<usize>() + 2
                }
                _ => 4,
            };
            self.room = self.room.checked_sub(size).ok_or(Unfilled::TooLarge)?;
        }
        Ok(())
    }
}

/// Containers in each other, the value included if it is one.
fn nesting(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nesting).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(nesting).max().unwrap_or(0),
        _ => 0,
    }
}
