//! Fields that are objects and nothing else: a derived reader would take a list of their members too.
//!
//! `#[serde(deserialize_with = "object::one")]` for a field, `object::list` for a list of objects.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Reads an object.
pub fn one<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Object::deserialize(deserializer).map(|object| object.0)
}

/// Reads a list of objects.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Point {
        x: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Both {
        #[serde(deserialize_with = "one")]
        a: Point,
        #[serde(deserialize_with = "list")]
        b: Vec<Point>,
    }

    #[test]
    fn only_objects_read() {
        let read = serde_json::from_str::<Both>;
        let both = Both { a: Point { x: 1 }, b: vec![Point { x: 2 }] };
        assert_eq!(read(r#"{"a":{"x":1},"b":[{"x":2}]}"#).unwrap(), both);
        for text in [r#"{"a":[1],"b":[]}"#, r#"{"a":{"x":1},"b":[[2]]}"#, r#"{"a":{"x":1},"b":{}}"#]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("an object") || error.contains("a sequence"), "{error}");
        }
    }
}
