//! A data model and the writes to it.

use serde_json::{Map, Value};

use crate::{
    fault::{Fault, Reason},
    inspect::{self, bytes, text_bytes},
    limits::{Limits, within},
    pointer::{Pointer, index},
};

/// The data that a surface is bound to.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    root: Value,
    bytes: usize,
}

impl Default for Model {
    fn default() -> Self {
        Self { root: Value::Object(Map::new()), bytes: 2 }
    }
}

/// A write that is known to succeed.
pub(crate) struct Write {
    /// How many segments lead to the container that changes; `None` replaces the root.
    depth: Option<usize>,
    /// What is put there, or nothing to remove.
    value: Option<Value>,
    /// The bytes of the model afterwards.
    bytes: usize,
}

impl Write {
    pub(crate) fn bytes_after(&self) -> usize {
        self.bytes
    }
}

impl Model {
    /// The data.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// The bytes of its JSON.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a pointer points to.
    pub fn get(&self, path: &Pointer) -> Option<&Value> {
        path.segments().iter().try_fold(&self.root, child)
    }

    /// Looks at a write without doing it. `value` absent deletes. Missing parents are made: a list if the
    /// next segment is a number, else an object; null counts as missing.
    ///
    /// # Errors
    /// A write through a text, number or boolean, a segment of a list that is no number, or a limit.
    pub(crate) fn plan(
        &self,
        path: &Pointer,
        value: Option<Value>,
        limits: &Limits,
    ) -> Result<Write, Fault> {
        let field = "updateDataModel.path";
        let segments = path.segments();
        let Some(value) = value else { return self.plan_deletion(path, field, limits) };
        // Each segment is within a container, be they there or still to be made.
        inspect::deep(inspect::CONTAINERS, limits.max_depth, segments.len())
            .map_err(|fault| fault.with(|it| it.field = field.into()))?;
        let size = inspect::data(&value, segments.len(), "/updateDataModel/value", limits)?;
        let Some(last) = segments.len().checked_sub(1) else {
            fits(size, limits)?;
            return Ok(Write { depth: None, bytes: size, value: Some(value) });
        };
        // The deepest container that is there.
        let (mut depth, mut at) = (0, &self.root);
        while depth < last {
            match member(at, &segments[depth], field)? {
                None | Some(Value::Null) => break,
                Some(inner) => (depth, at) = (depth + 1, inner),
            }
        }
        // Only the root can be null here: it is made anew.
        let made = if at.is_null() { segments } else { &segments[depth + 1..] };
        // A few segments can ask for many nulls, so what is made is counted before it is.
        let size = size.saturating_add(around(made, limits)?);
        fits(size, limits)?;
        if at.is_null() {
            return Ok(Write { depth: None, bytes: size, value: Some(build(made, value)) });
        }
        let more = match (at, member(at, &segments[depth], field)?) {
            (_, Some(old)) => size as isize - bytes(old) as isize,
            (Value::Array(items), None) => {
                let place = index(&segments[depth]).unwrap_or(usize::MAX);
                list_place(place, limits)?;
                // Nulls up to the place, each with its comma, and the value's own.
                let nulls = place - items.len();
                let commas = nulls + usize::from(!items.is_empty());
                (nulls * 4 + commas + size) as isize
            }
            (Value::Object(members), None) => {
                let comma = usize::from(!members.is_empty());
                (text_bytes(&segments[depth]) + 1 + comma + size) as isize
            }
            _ => 0,
        };
        let bytes = self.bytes.saturating_add_signed(more);
        fits(bytes, limits)?;
        Ok(Write { depth: Some(depth), value: Some(build(made, value)), bytes })
    }

    fn plan_deletion(&self, path: &Pointer, field: &str, limits: &Limits) -> Result<Write, Fault> {
        let segments = path.segments();
        let nothing = Write { depth: Some(usize::MAX), value: None, bytes: self.bytes };
        let Some(last) = segments.len().checked_sub(1) else {
            return Ok(Write { depth: None, value: None, bytes: 2 });
        };
        let mut at = &self.root;
        for segment in &segments[..last] {
            match member(at, segment, field) {
                Ok(Some(inner)) => at = inner,
                Ok(None) => return Ok(nothing),
                Err(fault) => return if at.is_array() { Err(fault) } else { Ok(nothing) },
            }
        }
        let old = match member(at, &segments[last], field) {
            Ok(Some(old)) => old,
            Ok(None) => return Ok(nothing),
            Err(fault) => return if at.is_array() { Err(fault) } else { Ok(nothing) },
        };
        let less = match at {
            Value::Object(members) => {
                let comma = usize::from(members.len() > 1);
                (text_bytes(&segments[last]) + 1 + comma + bytes(old)) as isize
            }
            _ => bytes(old) as isize - 4,
        };
        let bytes = self.bytes.saturating_add_signed(-less);
        // A slot of a list keeps a null, which may be longer than what it had.
        if bytes > self.bytes {
            fits(bytes, limits)?;
        }
        Ok(Write { depth: Some(last), value: None, bytes })
    }

    /// Does what was planned.
    pub(crate) fn commit(&mut self, path: &Pointer, write: Write) {
        self.bytes = write.bytes;
        let Some(depth) = write.depth else {
            self.root = write.value.unwrap_or_else(|| Value::Object(Map::new()));
            return;
        };
        let Some((segment, way)) = path.segments().get(..=depth).and_then(<[_]>::split_last) else {
            return;
        };
        let container = way.iter().try_fold(&mut self.root, |at, segment| match at {
            Value::Object(members) => members.get_mut(segment),
            Value::Array(items) => items.get_mut(index(segment)?),
            _ => None,
        });
        match (container, write.value) {
            (Some(Value::Object(members)), Some(value)) => {
                drop(members.insert(segment.clone(), value))
            }
            (Some(Value::Object(members)), None) => drop(members.remove(segment)),
            (Some(Value::Array(items)), value) => {
                let Some(place) = index(segment) else { return };
                if place >= items.len() {
                    items.resize(place + 1, Value::Null);
                }
                items[place] = value.unwrap_or(Value::Null);
            }
            _ => {}
        }
    }
}

fn fits(bytes: usize, limits: &Limits) -> Result<(), Fault> {
    within("maxDataModelBytes", limits.max_data_model_bytes, bytes)
}

fn child<'a>(at: &'a Value, segment: &String) -> Option<&'a Value> {
    match at {
        Value::Object(members) => members.get(segment),
        Value::Array(items) => items.get(index(segment)?),
        _ => None,
    }
}

/// The member of a container, or that it is no container or has no such members.
fn member<'a>(at: &'a Value, segment: &String, field: &str) -> Result<Option<&'a Value>, Fault> {
    let refuse = |why: String| Err(Fault::at(Reason::InvalidPath, field, why));
    match at {
        Value::Array(_) if index(segment).is_none() => {
            refuse(format!("`{segment}` is no index, and there is a list"))
        }
        Value::Object(_) | Value::Array(_) | Value::Null => Ok(child(at, segment)),
        _ => refuse(format!(
            "`{segment}` would be within a text, number or boolean; replace that first"
        )),
    }
}

fn list_place(place: usize, limits: &Limits) -> Result<(), Fault> {
    within("maxListItems", limits.max_list_items, place.saturating_add(1))
}

/// The bytes of the containers that these segments make around a value.
fn around(segments: &[String], limits: &Limits) -> Result<usize, Fault> {
    segments.iter().try_fold(0_usize, |bytes, segment| {
        let more = match index(segment) {
            Some(place) => {
                list_place(place, limits)?;
                place.saturating_mul("null,".len()).saturating_add(2)
            }
            None => text_bytes(segment) + 3,
        };
        Ok(bytes.saturating_add(more))
    })
}

/// A value within the containers that these segments make.
fn build(segments: &[String], value: Value) -> Value {
    segments.iter().rev().fold(value, |built, segment| match index(segment) {
        Some(place) => {
            let mut items = vec![Value::Null; place];
            items.push(built);
            Value::Array(items)
        }
        None => Value::Object(Map::from_iter([(segment.clone(), built)])),
    })
}

#[cfg(test)]
#[path = "data_model_tests.rs"]
mod tests;
