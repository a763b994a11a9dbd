//! Checks of parameters against their bounds, with the field and the limit in the error.

use std::{fmt::Display, ops::RangeInclusive};

use serde::Serialize;

use crate::wire::error::{Result, RpcError};

/// How much JSON an object parameter may hold where its method names no other bound.
pub const OBJECT_BYTES: usize = 16 * 1024;

/// A text of so many UTF-8 bytes.
pub fn bytes(field: &str, text: &str, bounds: RangeInclusive<usize>) -> Result<()> {
    length(field, text.len(), bounds, "bytes")
}

/// A text that, if it is there, has so many UTF-8 bytes.
pub fn maybe_bytes(field: &str, text: Option<&str>, bounds: RangeInclusive<usize>) -> Result<()> {
    text.map_or(Ok(()), |text| bytes(field, text, bounds))
}

/// A list of so many items.
pub fn items<T>(field: &str, list: &[T], bounds: RangeInclusive<usize>) -> Result<()> {
    length(field, list.len(), bounds, "items")
}

/// A list of texts: how many, and how many bytes each.
pub fn texts(
    field: &str,
    list: &[String],
    count: RangeInclusive<usize>,
    each: RangeInclusive<usize>,
) -> Result<()> {
    items(field, list, count)?;
    for (at, text) in list.iter().enumerate() {
        bytes(&format!("{field}[{at}]"), text, each.clone())?;
    }
    Ok(())
}

/// A number between two others, both included.
pub fn within<N>(field: &str, number: N, bounds: RangeInclusive<N>) -> Result<()>
where
    N: PartialOrd + Display + Copy + Into<serde_json::Value>,
{
    if bounds.contains(&number) {
        return Ok(());
    }
    let limit = if number < *bounds.start() { bounds.start() } else { bounds.end() };
    let why = format!("must be {}..={}, got {number}", bounds.start(), bounds.end());
    Err(RpcError::invalid_params(field, why).with("limit", *limit).with("got", number))
}

/// A value whose JSON is at most `limit` bytes long.
pub fn encoded(field: &str, value: &impl Serialize, limit: usize) -> Result<()> {
    let size = serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len());
    length(field, size, 0..=limit, "bytes of JSON")
}

/// A text of letters that `allowed` admits; `class` describes them in the error.
pub fn letters(field: &str, text: &str, class: &str, allowed: impl Fn(char) -> bool) -> Result<()> {
    match text.chars().find(|letter| !allowed(*letter)) {
        None => Ok(()),
        Some(letter) => {
            let why = format!("must be made of {class}, found {letter:?}");
            Err(RpcError::invalid_params(field, why).with("limit", class))
        }
    }
}

/// An agent's id: `[A-Za-z0-9._-]`, 1 to 128 of them, not starting with a dot.
pub fn agent_id(field: &str, id: &str) -> Result<()> {
    bytes(field, id, 1..=128)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    letters(field, id, "[A-Za-z0-9._-]", word)?;
    match id.starts_with('.') {
        true => Err(RpcError::invalid_params(field, "must not start with a dot")),
        false => Ok(()),
    }
}

fn length(field: &str, got: usize, bounds: RangeInclusive<usize>, unit: &str) -> Result<()> {
    if bounds.contains(&got) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    let limit = if got < least { least } else { most };
    let why = format!("must have {least}..={most} {unit}, got {got}");
    Err(RpcError::invalid_params(field, why).with("limit", limit).with("got", got))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_names_the_field_the_limit_and_what_came() {
        let error = bytes("intent", "", 1..=5).unwrap_err();
        assert_eq!(error.data, Some(json!({ "field": "intent", "limit": 1, "got": 0 })));
        let error = within("limit", 1001, 1..=1000).unwrap_err();
        assert_eq!(error.data, Some(json!({ "field": "limit", "limit": 1000, "got": 1001 })));
        let error = texts("c", &["a".into(), "toolong".into()], 0..=3, 1..=3).unwrap_err();
        assert_eq!(error.field(), Some("c[1]"));
        assert!(encoded("context", &json!({ "a": "x".repeat(20_000) }), OBJECT_BYTES).is_err());
    }

    #[test]
    fn an_agent_id_is_a_safe_word() {
        for good in ["a", "Builder-2", "x.y_z"] {
            assert!(agent_id("agent_id", good).is_ok(), "{good}");
        }
        for bad in ["", ".hidden", "a/b", "a b", "ü", &"x".repeat(129)] {
            assert_eq!(agent_id("agent_id", bad).unwrap_err().field(), Some("agent_id"), "{bad}");
        }
    }
}
