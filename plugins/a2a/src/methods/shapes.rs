//! Replies that are JSON already, and know the type whose shape they have.

use std::{borrow::Cow, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A value in the shape of `T`.
#[derive(Debug)]
pub struct Shaped<T>(Value, PhantomData<fn() -> T>);

impl<T> Shaped<T> {
    pub(crate) fn of(value: Value) -> Self {
        Self(value, PhantomData)
    }
}

impl<T> Serialize for Shaped<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<T: JsonSchema> JsonSchema for Shaped<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
