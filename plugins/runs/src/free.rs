//! Values of a turn that the daemon does not interpret: kept as they were written, never taken apart. Pure.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// Any JSON value, as the text that a client sent. Its strings are sound Unicode and its numbers are within
/// the range of a double, so that whoever reads it back can.
#[derive(Debug, Clone)]
pub struct Free {
    text: Box<RawValue>,
    /// Bytes of its longest string, keys aside.
    longest: usize,
}

impl Free {
    /// The JSON.
    pub fn text(&self) -> &str {
        self.text.get()
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The value, taken apart.
    pub(crate) fn value(&self) -> serde_json::Result<Value> {
        serde_json::from_str(self.text())
    }

    fn read(text: Box<RawValue>) -> serde_json::Result<Self> {
        let mut longest = 0;
        let mut reader = serde_json::Deserializer::from_str(text.get());
        Longest(&mut longest).deserialize(&mut reader)?;
        Ok(Self { text, longest })
    }
}

/// A value that is not a client's.
impl From<Value> for Free {
    fn from(value: Value) -> Self {
        // Its `Display` is compact JSON, which always reads.
        let text = RawValue::from_string(value.to_string()).unwrap_or_default();
        Self::read(text).unwrap_or_default()
    }
}

/// `null`.
impl Default for Free {
    fn default() -> Self {
        Self { text: RawValue::NULL.to_owned(), longest: 0 }
    }
}

impl PartialEq for Free {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for Free {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Free {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Self::read(text).map_err(|error| {
            // Where in the text does not help: the path says where in the parameters.
            let error = error.to_string();
            D::Error::custom(error.split(" at line ").next().unwrap_or_default())
        })
    }
}

impl JsonSchema for Free {
    fn schema_name() -> Cow<'static, str> {
        Value::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Value::json_schema(generator)
    }
}

/// Reads a value without keeping it, and notes the bytes of its longest string.
struct Longest<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Longest<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Longest<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        *self.0 = text.len().max(*self.0);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Longest(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut key = 0;
        while members.next_key_seed(Longest(&mut key))?.is_some() {
            members.next_value_seed(Longest(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn longest(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(longest).max().unwrap_or(0),
            Value::Object(members) => members.values().map(longest).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,30}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".{0,40}", inner, 0..6)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_value_stays_as_it_was_written(value in value(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let free: Free = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(free.text(), &text);
            prop_assert_eq!(free.longest(), longest(&value));
            prop_assert_eq!(serde_json::to_string(&free).unwrap(), text);
            prop_assert_eq!(Free::from(value.clone()).value().unwrap(), value);
        }
    }

    #[test]
    fn what_others_could_not_read_back_is_refused() {
        for text in [r#"{"a":["\ud800"]}"#, r#"{"\udc00":1}"#, "[1e999]", "{\"a\":", "[1,]"] {
            assert!(serde_json::from_str::<Free>(text).is_err(), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(serde_json::from_str::<Free>(&deep).is_err());
        assert_eq!(Free::from(json!({ "a": 1 })).text(), r#"{"a":1}"#);
    }
}
