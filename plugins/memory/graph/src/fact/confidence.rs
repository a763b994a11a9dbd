//! How sure a fact is, as clients say it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// A number, a number as text, or one of three words: `high` 0.9, `medium` 0.6, `low` 0.3. Whether it
/// lies between 0 and 1 is for [`check`](super::check) to say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Confidence(pub f64);

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let why = || D::Error::custom("must be a number from 0 to 1, or `high`, `medium` or `low`");
        let text = match Said::deserialize(from).map_err(|_| why())? {
            Said::Number(number) => return Ok(Self(number)),
            Said::Text(text) => text.trim().to_ascii_lowercase(),
        };
        match text.as_str() {
            "high" => Ok(Self(0.9)),
            "medium" => Ok(Self(0.6)),
            "low" => Ok(Self(0.3)),
            number => match number.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self(number)),
                _ => Err(why()),
            },
        }
    }
}

impl JsonSchema for Confidence {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Confidence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "number", "minimum": 0, "maximum": 1 },
            { "type": "string", "description": "A number, or `high`, `medium` or `low`." },
        ] })
    }
}
