//! Reading parameters: an error names the path of the field that is wrong, and `null` means absent.

use std::{borrow::Cow, collections::BTreeMap};

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, value::RawValue};
use serde_path_to_error::{Path, Segment};

use super::method::Takes;
use crate::wire::error::{Result, RpcError};

/// Bytes of parameters that are read once more for the sake of nulls, in all: a small call may have many, and a large
/// one costs its time once.
const MOST_AGAIN: usize = 4 << 20;

/// Reads parameters; an error names the path of the offending field.
pub(crate) fn read_params<T: DeserializeOwned>(params: &str, takes: Takes) -> Result<T> {
    let Takes { object, array } = takes;
    if !(object && params.starts_with('{') || array && params.starts_with('[')) {
        let what = match (object, array) {
            (true, true) => "an object or an array",
            (_, true) => "an array",
            _ => "an object",
        };
        return Err(RpcError::invalid_params("params", format!("must be {what}")));
    }
    serde_json::from_str(params).or_else(|_| read_again(params))
}

/// Reads once more, now keeping track of the path: only a call that failed pays for it. A parameter that is `null`
/// where its type has no such value is as good as absent; what is inside of one is not looked at.
fn read_again<T: DeserializeOwned>(params: &str) -> Result<T> {
    let mut text = Cow::Borrowed(params);
    let mut room = MOST_AGAIN;
    loop {
        let mut reader = Deserializer::from_str(&text);
        let error = match serde_path_to_error::deserialize(&mut reader) {
            Ok(read) => {
                let more = |_| RpcError::invalid_params("params", "not a single value");
                return reader.end().map(|()| read).map_err(more);
            }
            Err(error) => error,
        };
        let less = room.checked_sub(text.len()).and_then(|left| {
            room = left;
            without_null(&text, error.path())
        });
        match less {
            Some(less) => text = Cow::Owned(less),
            None => return Err(explain(&error)),
        }
    }
}

/// The text without the parameter of this path, if that is `null`. The others are as they were, byte for byte.
fn without_null(text: &str, path: &Path) -> Option<String> {
    let mut segments = path.iter();
    let (Some(Segment::Map { key }), None) = (segments.next(), segments.next()) else {
        return None;
    };
    let mut members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    (members.remove(key)?.get() == "null").then(|| serde_json::to_string(&members).ok())?
}

fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> RpcError {
    let path = error.path().to_string();
    let text = error.inner().to_string();
    let why = text.rsplit_once(" at line ").map_or(&*text, |(why, _)| why);
    let missing = why.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    let field = match (path.as_str(), missing) {
        (".", Some(missing)) => missing.to_owned(),
        (path, Some(missing)) => format!("{path}.{missing}"),
        (".", None) => "params".to_owned(),
        (path, None) => path.to_owned(),
    };
    RpcError::invalid_params(&field, why)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Proposal {
        actions: Vec<Action>,
        #[serde(default)]
        note: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Action {
        r#type: String,
    }

    const OBJECT: Takes = Takes { object: true, array: false };
    const ARRAY: Takes = Takes { object: false, array: true };

    #[test]
    fn parameters_are_what_the_method_takes() {
        let either = Takes { object: true, array: true };
        for (params, takes, fits) in [
            ("{}", OBJECT, true),
            ("[]", OBJECT, false),
            ("{}", ARRAY, false),
            ("[]", ARRAY, true),
            ("{}", either, true),
            ("[]", either, true),
            ("7", either, false),
        ] {
            let read = read_params::<Value>(params, takes);
            assert_eq!(read.is_ok(), fits, "{params} {takes:?}");
        }
    }

    #[test]
    fn an_error_names_the_path() {
        for (params, field) in [
            ("[]", "params"),
            ("7", "params"),
            ("{}", "actions"),
            (r#"{"actions":7}"#, "actions"),
            (r#"{"actions":[{"type":"a"},{}]}"#, "actions[1].type"),
            (r#"{"actions":[{"type":7}]}"#, "actions[0].type"),
            (r#"{"actions":[],"note":[]}"#, "note"),
        ] {
            let error = read_params::<Proposal>(params, OBJECT).unwrap_err();
            assert_eq!(error.field(), Some(field), "{params}");
            assert!(!error.message.contains("line"), "{}", error.message);
        }
        let good = r#"{"actions":[],"note":null,"more":1}"#;
        assert!(read_params::<Proposal>(good, OBJECT).is_ok());
        let error = read_params::<Vec<Action>>(r#"[{"type":"a"},{}]"#, ARRAY).unwrap_err();
        assert_eq!(error.field(), Some("[1].type"));
        assert_eq!(read_params::<Vec<Action>>("{}", ARRAY).unwrap_err().field(), Some("params"));
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default)]
    struct Paint {
        colour: Colour,
        coats: u8,
        dry: bool,
        under: Vec<Paint>,
        label: Value,
    }

    impl Default for Paint {
        fn default() -> Self {
            let (coats, label) = (2, Value::from("none"));
            Self { colour: Colour::Blue, coats, dry: true, under: Vec::new(), label }
        }
    }

    #[test]
    fn null_means_absent_where_it_is_no_value() {
        let read = |text: &str| read_params::<Paint>(text, OBJECT);
        let nulls = r#"{"colour":null,"label":{"b":1,"a":null,"a":2},"coats":null,"dry":null}"#;
        let absent = r#"{"label":{"b":1,"a":2}}"#;
        assert_eq!(read(nulls).unwrap(), read(absent).unwrap());
        let kept = read(r#"{"label":null,"dry":null}"#).unwrap();
        assert_eq!((kept.label, kept.dry), (Value::Null, true), "a null that is a value stays one");
        for (wrong, field) in [
            (r#"{"dry":null,"colour":"green"}"#, "colour"),
            (r#"{"under":[null]}"#, "under[0]"),
            (r#"{"under":[{"dry":null}]}"#, "under[0].dry"),
            (r#"{"dry":null,"coats":-1}"#, "coats"),
        ] {
            assert_eq!(read(wrong).unwrap_err().field(), Some(field), "{wrong}");
        }
        let required = read_params::<Proposal>(r#"{"actions":null}"#, OBJECT).unwrap_err();
        assert_eq!(required.field(), Some("actions"));
        assert_eq!(required.message, read_params::<Proposal>("{}", OBJECT).unwrap_err().message);
    }

    #[test]
    fn what_is_read_again_is_as_it_was_and_not_too_much() {
        #[derive(Debug, Deserialize)]
        struct Kept {
            #[serde(default)]
            _dry: bool,
            free: Box<RawValue>,
        }
        let free = r#"{"b": 1.0e2, "a":"\u00e9", "a":null}"#;
        let read = |text: String| read_params::<Kept>(&text, OBJECT);
        let kept = read(format!(r#"{{"_dry":null,"free":{free}}}"#)).unwrap();
        assert_eq!(kept.free.get(), free);
        let long = format!(r#"{{"_dry":null,"free":"{}"}}"#, "x".repeat(MOST_AGAIN));
        assert_eq!(read(long).unwrap_err().field(), Some("_dry"));
    }
}
