//! Reading of A2A objects: in camelCase and snake_case, and every fault with its place.
//!
//! A reader takes JSON apart and notes what is wrong where, so that one answer names all of it. Members
//! it does not know are ignored, `null` is as if it were absent, and where a member stands there in both
//! spellings camelCase counts.

use std::{collections::BTreeMap, fmt};

use carport_core::Time;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Number, Value};

use crate::{error::A2aError, version::Version};

/// Levels that lists and objects of `data` and `metadata` may nest. JSON of more than 128 is read nowhere
/// here, and what is kept and answered wraps them in some more.
pub const MAX_NESTING: usize = 100;

/// Bytes of an id of a conversation or a receiver, and of a secret of one.
pub const MAX_WORD_BYTES: usize = 4096;

/// Whether values nest no deeper than they may.
pub fn are_shallow<'a>(values: impl IntoIterator<Item = &'a Value>) -> bool {
    values.into_iter().all(|value| fits(value, MAX_NESTING))
}

/// Whether a value nests no deeper than so many levels.
fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|it| fits(it, levels - 1)),
        Value::Object(members) => levels > 0 && members.values().all(|it| fits(it, levels - 1)),
        _ => true,
    }
}

/// Faults of one answer; what is wrong beyond that is not told.
const MOST_VIOLATIONS: usize = 32;

/// What is wrong with one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Its path: `message.parts[2].text`; empty for the parameters themselves.
    pub field: String,
    /// In words.
    pub description: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "params {}", self.description),
            field => write!(f, "`{field}` {}", self.description),
        }
    }
}

/// Reads an object in the shape of a version.
///
/// # Errors
/// Invalid parameters, with every fault up to 32.
pub fn read<T: Read>(value: Value, version: Version) -> Result<T, A2aError> {
    let mut reader = Reader { version, found: Vec::new() };
    let value = T::read(value, &Path::Root, &mut reader);
    match value {
        Some(value) if reader.found.is_empty() => Ok(value),
        _ => Err(A2aError::invalid(reader.found)),
    }
}

/// For `Deserialize` of what is written in the shape of v1.0.
pub(crate) fn deserialize<'de, T: Read, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    read(Value::deserialize(from)?, Version::V1).map_err(|error| D::Error::custom(error.message()))
}

/// Makes types of v1.0 deserialize as they are read.
macro_rules! deserialize_as_read {
    ($($type:ty),+) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                crate::read::deserialize(from)
            }
        }
    )+};
}
pub(crate) use deserialize_as_read;

/// What can be read.
pub trait Read: Sized {
    /// Reads `value`, which stands at `at`. `None` says that a fault was noted.
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self>;
}

/// Where something stands.
#[derive(Debug)]
pub enum Path<'a> {
    /// The parameters.
    Root,
    /// A member of what stands there.
    Member(&'a Path<'a>, &'a str),
    /// An item of what stands there.
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Path::Root, name) => f.write_str(name),
            Self::Member(at, name) => write!(f, "{at}.{name}"),
            Self::Item(at, number) => write!(f, "{at}[{number}]"),
        }
    }
}

/// The version that is read, and the faults that were found.
#[derive(Debug)]
pub struct Reader {
    pub(crate) version: Version,
    found: Vec<Violation>,
}

impl Reader {
    /// Notes a fault.
    pub(crate) fn fault<T>(&mut self, at: &Path<'_>, why: impl Into<String>) -> Option<T> {
        if self.found.len() < MOST_VIOLATIONS {
            self.found.push(Violation { field: at.to_string(), description: why.into() });
        }
        None
    }

    pub(crate) fn too_deep<T>(&mut self, at: &Path<'_>) -> Option<T> {
        self.fault(at, format!("must not nest deeper than {MAX_NESTING} levels"))
    }

    pub(crate) fn is_v03(&self) -> bool {
        self.version == Version::V03
    }
}

/// An object that is taken apart.
pub(crate) struct Object<'a> {
    members: Map<String, Value>,
    at: &'a Path<'a>,
}

impl<'a> Object<'a> {
    pub(crate) fn open(value: Value, at: &'a Path<'a>, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self { members, at }),
            _ => reader.fault(at, "must be an object"),
        }
    }

    /// Takes a member, `null` if it is that, in whichever spelling.
    pub(crate) fn take_or_null(&mut self, name: &str) -> Option<Value> {
        let camel = self.members.remove(name);
        if camel.as_ref().is_some_and(|it| !it.is_null()) {
            return camel;
        }
        let snake = snake(name).and_then(|name| self.members.remove(&name));
        snake.filter(|it| !it.is_null()).or(camel)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.take_or_null(name).filter(|it| !it.is_null())
    }

    /// The members that were not taken.
    pub(crate) fn rest(self) -> Value {
        Value::Object(self.members)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        let there = |name: &str| self.members.get(name).is_some_and(|it| !it.is_null());
        there(name) || snake(name).is_some_and(|name| there(&name))
    }

    /// A member that may be absent.
    pub(crate) fn maybe<T: Read>(&mut self, name: &str, reader: &mut Reader) -> Option<T> {
        let value = self.take(name)?;
        T::read(value, &Path::Member(self.at, name), reader)
    }

    /// A member that must be there.
    pub(crate) fn must<T: Read>(&mut self, name: &str, reader: &mut Reader) -> Option<T> {
        match self.take(name) {
            Some(value) => T::read(value, &Path::Member(self.at, name), reader),
            None => self.fault(name, "is required", reader),
        }
    }

    /// A text that may be absent; an empty one is.
    pub(crate) fn word(&mut self, name: &str, reader: &mut Reader) -> Option<String> {
        self.maybe(name, reader).filter(|it: &String| !it.is_empty())
    }

    /// A text that may be absent, and is short: it is held in memory for as long as what it belongs to.
    pub(crate) fn short_word(&mut self, name: &str, reader: &mut Reader) -> Option<String> {
        let word = self.word(name, reader)?;
        match word.len() {
            0..=MAX_WORD_BYTES => Some(word),
            length => {
                let why = format!("must have at most {MAX_WORD_BYTES} bytes, got {length}");
                self.fault(name, why, reader)
            }
        }
    }

    /// A text that must be there and not be empty.
    pub(crate) fn must_word(&mut self, name: &str, reader: &mut Reader) -> Option<String> {
        let word: String = self.must(name, reader)?;
        match word.is_empty() {
            true => self.fault(name, "must not be empty", reader),
            false => Some(word),
        }
    }

    /// A list, empty if absent.
    pub(crate) fn list<T: Read>(&mut self, name: &str, reader: &mut Reader) -> Vec<T> {
        self.maybe(name, reader).unwrap_or_default()
    }

    pub(crate) fn fault<T>(
        &self,
        name: &str,
        why: impl Into<String>,
        to: &mut Reader,
    ) -> Option<T> {
        to.fault(&Path::Member(self.at, name), why)
    }

    pub(crate) fn too_deep<T>(&self, name: &str, reader: &mut Reader) -> Option<T> {
        reader.too_deep(&Path::Member(self.at, name))
    }

    /// Notes a fault of the object itself.
    pub(crate) fn fault_here<T>(&self, why: impl Into<String>, reader: &mut Reader) -> Option<T> {
        reader.fault(self.at, why)
    }
}

/// The snake_case of a name, if it differs.
fn snake(name: &str) -> Option<String> {
    if !name.bytes().any(|it| it.is_ascii_uppercase()) {
        return None;
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    Some(snake)
}

impl Read for String {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => reader.fault(at, "must be a string"),
        }
    }
}

impl Read for bool {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::Bool(yes) => Some(yes),
            _ => reader.fault(at, "must be true or false"),
        }
    }
}

/// The whole number that an `int32` of ProtoJSON says, if it is not negative: `10`, `10.0` and `1e1` are one,
/// and so is each of them as a text.
fn whole(value: &Value) -> Option<u32> {
    let number = match value {
        Value::Number(number) => number.clone(),
        Value::String(text) => text.parse::<Number>().ok()?,
        _ => return None,
    };
    let digits = match number.as_u64() {
        Some(number) => number.to_string(),
        // It is written without an exponent, and with a point only before a fraction. Of `-0` the sign goes.
        None => number.as_f64().filter(|it| *it >= 0.0)?.abs().to_string(),
    };
    digits.parse().ok().filter(|it| i32::try_from(*it).is_ok())
}

impl Read for u32 {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match whole(&value) {
            Some(number) => Some(number),
            None => reader.fault(at, "must be a whole number from 0 to 2147483647"),
        }
    }
}

/// Reads a member of an enum, which ProtoJSON writes by its name or its number.
pub(crate) fn read_named<T>(
    value: &Value,
    by_name: impl FnOnce(&str) -> Option<T>,
    by_number: impl FnOnce(usize) -> Option<T>,
) -> Option<T> {
    match value {
        Value::String(name) => by_name(name),
        Value::Number(_) => by_number(usize::try_from(whole(value)?).ok()?),
        _ => None,
    }
}

impl Read for Time {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match Self::deserialize(&value) {
            Ok(time) => Some(time),
            Err(_) => reader.fault(at, "must be a time as RFC 3339 writes it"),
        }
    }
}

impl Read for Map<String, Value> {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match value {
            Value::Object(members) if are_shallow(members.values()) => Some(members),
            Value::Object(_) => reader.too_deep(at),
            _ => reader.fault(at, "must be an object"),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let Value::Array(items) = value else { return reader.fault(at, "must be a list") };
        let mut all = Self::with_capacity(items.len());
        let count = items.len();
        for (number, item) in items.into_iter().enumerate() {
            all.extend(T::read(item, &Path::Item(at, number), reader));
        }
        (all.len() == count).then_some(all)
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let members = Map::read(value, at, reader)?;
        let mut all = Self::new();
        for (name, value) in members {
            let value = T::read(value, &Path::Member(at, &name), reader)?;
            all.insert(name, value);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_snake_form() {
        for (camel, expected) in [
            ("messageId", Some("message_id")),
            ("taskPushNotificationConfig", Some("task_push_notification_config")),
            ("oauth2SecurityScheme", Some("oauth2_security_scheme")),
            ("text", None),
        ] {
            assert_eq!(snake(camel).as_deref(), expected);
        }
    }

    #[test]
    fn whole_numbers_are_written_in_many_ways() {
        for good in ["10", "10.0", "1e1", "100E-1", "\"10\"", "\"10.0\"", "\"1e1\""] {
            assert_eq!(whole(&serde_json::from_str(good).unwrap()), Some(10), "{good}");
        }
        for (text, expected) in [("0", 0), ("-0", 0), ("2147483647.0", 2_147_483_647)] {
            assert_eq!(whole(&serde_json::from_str(text).unwrap()), Some(expected), "{text}");
        }
        let bad = [
            "10.5",
            "-1",
            "-1.0",
            "2147483648",
            "1e300",
            "true",
            "[]",
            "\"\"",
            "\" 10\"",
            "\"10 \"",
            "\"010\"",
            "\"+10\"",
            "\"0x10\"",
            "\"ten\"",
            "\"NaN\"",
            "\"Infinity\"",
            "\"1.5\"",
            "\"-1\"",
        ];
        for bad in bad {
            assert_eq!(whole(&serde_json::from_str(bad).unwrap()), None, "{bad}");
        }
    }

    #[test]
    fn the_number_of_faults_is_bounded() {
        let many: Value = vec![Value::Null; 1000].into();
        let error = read::<Vec<String>>(many, Version::V1).unwrap_err();
        assert_eq!(error.violations().len(), MOST_VIOLATIONS);
        assert_eq!(error.violations()[3].field, "[3]");
    }
}
