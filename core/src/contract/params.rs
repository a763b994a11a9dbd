//! Reading parameters: an error names the path of the field that is wrong, and `null` means absent.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Value};
use serde_path_to_error::{Path, Segment};

use super::method::Takes;
use crate::wire::error::{Result, RpcError};

/// Nulls in the way of one call that are left out.
const MAX_NULLS: usize = 16;

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

/// Reads once more, now keeping track of the path: only a call that failed pays for it. A member that is `null`
/// where its type has no such value is as good as absent.
fn read_again<T: DeserializeOwned>(params: &str) -> Result<T> {
    let mut text = Cow::Borrowed(params);
    let mut nulls = 0;
    loop {
        let mut reader = Deserializer::from_str(&text);
        let error = match serde_path_to_error::deserialize(&mut reader) {
            Ok(read) => {
                let more = |_| RpcError::invalid_params("params", "not a single value");
                return reader.end().map(|()| read).map_err(more);
            }
            Err(error) => error,
        };
        nulls += 1;
        match without_null(&text, error.path()).filter(|_| nulls <= MAX_NULLS) {
            Some(less) => text = Cow::Owned(less),
            None => return Err(explain(&error)),
        }
    }
}

/// The text without the member of this path, if that is `null`.
fn without_null(text: &str, path: &Path) -> Option<String> {
    // Most calls that fail have none, and are not read as a whole for it.
    text.contains("null").then_some(())?;
    let mut segments: Vec<_> = path.iter().collect();
    let Some(Segment::Map { key }) = segments.pop() else { return None };
    let mut value: Value = serde_json::from_str(text).ok()?;
    let around = segments.into_iter().try_fold(&mut value, |value, segment| match segment {
        Segment::Map { key } => value.get_mut(key),
        Segment::Seq { index } => value.get_mut(index),
        _ => None,
    })?;
    let members = around.as_object_mut()?;
    members.get(key)?.is_null().then(|| members.remove(key))?;
    serde_json::to_string(&value).ok()
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
        let nulls = r#"{"colour":null,"coats":null,"dry":null,"under":[{"coats":1},{"dry":null}]}"#;
        let absent = r#"{"under":[{"coats":1},{}]}"#;
        let read = |text| read_params::<Paint>(text, OBJECT);
        assert_eq!(read(nulls).unwrap(), read(absent).unwrap());
        let kept = read(r#"{"label":null,"dry":null}"#).unwrap();
        assert_eq!((kept.label, kept.dry), (Value::Null, true), "a null that is a value stays one");
        for (wrong, field) in [
            (r#"{"dry":null,"colour":"green"}"#, "colour"),
            (r#"{"under":[null]}"#, "under[0]"),
            (r#"{"dry":null,"coats":-1}"#, "coats"),
        ] {
            assert_eq!(read(wrong).unwrap_err().field(), Some(field), "{wrong}");
        }
        let required = read_params::<Proposal>(r#"{"actions":null}"#, OBJECT).unwrap_err();
        assert_eq!(required.field(), Some("actions"));
        assert_eq!(required.message, read_params::<Proposal>("{}", OBJECT).unwrap_err().message);
    }

    #[test]
    fn only_so_many_nulls_are_looked_for() {
        let many = |count: usize| {
            format!(r#"{{"under":[{}]}}"#, [r#"{"dry":null}"#; 99][..count].join(","))
        };
        assert!(read_params::<Paint>(&many(MAX_NULLS), OBJECT).is_ok());
        let refused = read_params::<Paint>(&many(MAX_NULLS + 1), OBJECT).unwrap_err();
        assert_eq!(refused.field(), Some("under[16].dry"));
    }
}
