//! The envelopes that make a surface anew, each of which a store of the same limits takes.

use carport_a2ui_validate::Message;
use serde_json::{Map, Value, json};

use crate::{
    inspect::{bytes, text_bytes},
    limits::Limits,
    pointer::Pointer,
    surface::{Surface, wire},
};

impl Surface {
    /// The envelopes that make the surface anew, in order.
    pub fn envelopes(&self, limits: &Limits) -> Vec<Value> {
        let mut all = vec![self.creation()];
        self.batches(limits.max_envelope_bytes, &mut all);
        let root = self.model.root();
        let mut pieces = Pieces::new(&self.id, limits, &mut all);
        match self.model.bytes() <= pieces.room("") {
            true => pieces.push("", root.clone()),
            false => {
                let measured = pieces.measure(root, Place::default());
                pieces.write("", root, &measured);
            }
        }
        all
    }

    /// It says no more than whoever created the surface did, so it is no longer.
    fn creation(&self) -> Value {
        let mut body = json!({ "surfaceId": self.id, "catalogId": self.catalog_id });
        if self.send_data_model {
            body["sendDataModel"] = true.into();
        }
        if let Some(theme) = &self.theme {
            body["theme"] = theme.clone();
        }
        wire(Message::Create, body)
    }

    fn batches(&self, most: usize, all: &mut Vec<Value>) {
        let message = |components: Vec<&Value>| {
            let body = json!({ "surfaceId": self.id, "components": components });
            wire(Message::Components, body)
        };
        let empty = bytes(&message(Vec::new()));
        let (mut batch, mut size) = (Vec::new(), empty);
        for entry in self.components.iter() {
            if !batch.is_empty() && size + 1 + entry.bytes > most {
                all.push(message(std::mem::take(&mut batch)));
                size = empty;
            }
            size += entry.bytes + usize::from(!batch.is_empty());
            batch.push(&entry.value);
        }
        if !batch.is_empty() {
            all.push(message(batch));
        }
    }
}

/// Writes of a data model that is too long for one. Everything that is written later, at its own path, was
/// once written there or further up, so there is always a way: what cannot be written at its own path, because
/// that is too long or ends in an empty name, goes with what it is in.
struct Pieces<'a> {
    surface_id: &'a str,
    limits: &'a Limits,
    all: &'a mut Vec<Value>,
    /// The bytes of a write without path and value.
    empty: usize,
}

/// The path of a value, as far as its length matters.
#[derive(Clone, Copy, Default)]
struct Place {
    bytes: usize,
    in_json: usize,
    /// Whether it ends in an empty name: one trailing slash of a path says nothing.
    is_nameless: bool,
}

/// What a value takes, and what is in it.
struct Measured {
    /// All of it.
    bytes: usize,
    /// Without what can be written later.
    least: usize,
    /// Whether it can be written later.
    later: bool,
    /// Of its items or members, in their order.
    inner: Vec<Measured>,
}

/// Something that is still to be written.
type Later<'v> = Vec<(String, &'v Value, &'v Measured)>;

impl Place {
    fn below(self, name: &str) -> Self {
        let escaped = name.bytes().filter(|it| matches!(it, b'~' | b'/')).count();
        Self {
            bytes: self.bytes + 1 + name.len() + escaped,
            in_json: self.in_json + 1 + text_bytes(name) - 2 + escaped,
            is_nameless: name.is_empty(),
        }
    }
}

impl<'a> Pieces<'a> {
    fn new(surface_id: &'a str, limits: &'a Limits, all: &'a mut Vec<Value>) -> Self {
        let body = json!({ "surfaceId": surface_id, "value": 0 });
        Self { surface_id, limits, all, empty: bytes(&wire(Message::Data, body)) - 1 }
    }

    /// The bytes that a value may have that is written at a path.
    fn room(&self, path: &str) -> usize {
        self.room_for(path.is_empty(), text_bytes(path) - 2)
    }

    fn room_for(&self, is_root: bool, path_bytes: usize) -> usize {
        let path = if is_root { 0 } else { r#""path":"","#.len() + path_bytes };
        self.limits.max_envelope_bytes.saturating_sub(self.empty + path)
    }

    fn push(&mut self, path: &str, value: Value) {
        let mut body = json!({ "surfaceId": self.surface_id });
        body["value"] = value;
        if !path.is_empty() {
            body["path"] = path.into();
        }
        self.all.push(wire(Message::Data, body));
    }

    fn write(&mut self, path: &str, value: &Value, measured: &Measured) {
        let room = self.room(path);
        if measured.bytes <= room {
            return self.push(path, value.clone());
        }
        let (mut spare, mut later) = (room.saturating_sub(measured.least), Later::new());
        let part = part(path, value, measured, &mut spare, &mut later);
        self.push(path, part);
        for (path, value, measured) in later {
            self.write(&path, value, measured);
        }
    }

    fn measure(&self, value: &Value, place: Place) -> Measured {
        let inner: Vec<_> = match value {
            Value::Array(items) => {
                let each = items.iter().enumerate();
                each.map(|(at, it)| self.measure(it, place.below(&at.to_string()))).collect()
            }
            Value::Object(members) => {
                members.iter().map(|(name, it)| self.measure(it, place.below(name))).collect()
            }
            _ => Vec::new(),
        };
        let (all, least) = match value {
            Value::Array(_) => {
                let stay = inner[..staying(&inner)].iter().map(|it| it.standing());
                (sum(inner.iter().map(|it| it.bytes)), sum(stay))
            }
            Value::Object(members) => {
                let named = members.keys().map(|name| text_bytes(name) + 1).zip(&inner);
                let stay = named.clone().filter(|(_, it)| !it.later);
                (
                    sum(named.map(|(name, it)| name + it.bytes)),
                    sum(stay.map(|(name, it)| name + it.least)),
                )
            }
            value => (bytes(value), bytes(value)),
        };
        let reached = !place.is_nameless && place.bytes <= self.limits.max_path_bytes;
        let later = reached && least <= self.room_for(place.bytes == 0, place.in_json);
        Measured { bytes: all, least, later, inner }
    }
}

impl Measured {
    /// The least that it takes as an item that others follow. Until it is written, a number has its place.
    fn standing(&self) -> usize {
        if self.later { 1 } else { self.least }
    }
}

/// The bytes of a container with these in it.
fn sum(each: impl Iterator<Item = usize>) -> usize {
    let (bytes, count) = each.fold((2, 0_usize), |(bytes, count), it| (bytes + it, count + 1));
    bytes + count.saturating_sub(1)
}

/// How many items a list must have at once: those that cannot be written later, and those before them.
fn staying(items: &[Measured]) -> usize {
    items.iter().rposition(|it| !it.later).map_or(0, |at| at + 1)
}

fn take(spare: &mut usize, more: usize) -> bool {
    let fits = more <= *spare;
    *spare -= if fits { more } else { 0 };
    fits
}

/// A value with what fits of it. `spare` are the bytes beyond the least.
fn part<'v>(
    path: &str,
    value: &'v Value,
    measured: &'v Measured,
    spare: &mut usize,
    later: &mut Later<'v>,
) -> Value {
    match value {
        Value::Object(members) => {
            let mut kept = Map::new();
            for ((name, member), it) in members.iter().zip(&measured.inner) {
                let more =
                    if it.later { text_bytes(name) + 2 + it.bytes } else { it.bytes - it.least };
                let below = || Pointer::below(path, name);
                if take(spare, more) {
                    kept.insert(name.clone(), member.clone());
                } else if it.later {
                    later.push((below(), member, it));
                } else {
                    kept.insert(name.clone(), part(&below(), member, it, spare, later));
                }
            }
            kept.into()
        }
        Value::Array(items) => {
            let stay = staying(&measured.inner);
            let mut kept = Vec::new();
            for (at, (item, it)) in items.iter().zip(&measured.inner).enumerate() {
                let below = || Pointer::below(path, &at.to_string());
                let more = if at < stay { it.bytes - it.standing() } else { it.bytes + 1 };
                if kept.len() == at && take(spare, more) {
                    kept.push(item.clone());
                } else if it.later {
                    kept.extend((at < stay).then_some(Value::from(0)));
                    later.push((below(), item, it));
                } else {
                    kept.push(part(&below(), item, it, spare, later));
                }
            }
            kept.into()
        }
        value => value.clone(),
    }
}
