//! What a person sees of a call's parameters: secrets masked, then cut.

use serde_json::Value;

/// How many characters of a call are shown.
const PREVIEW_CHARS: usize = 512;
/// A longer string without white space is data, not text.
const OPAQUE_BYTES: usize = 256;

const SECRET_WORDS: [&str; 11] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "authorization",
    "credential",
    "cookie",
    "privatekey",
    "routeauth",
];

/// Masks `params` and renders at most 512 characters of them.
pub(crate) fn preview(params: &str) -> String {
    let mut value: Value = serde_json::from_str(params).unwrap_or_default();
    mask(&mut value);
    let text = value.to_string();
    match text.char_indices().nth(PREVIEW_CHARS) {
        Some((end, _)) => format!("{}…[truncated]", &text[..end]),
        None => text,
    }
}

/// Replaces, at any depth, what a secret may hide in: values under a telling key, bearer tokens,
/// long strings without white space.
pub(crate) fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match is_secret(key) {
                    true => *value = "***".into(),
                    false => mask(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if text.starts_with("Bearer ") => *text = "Bearer ***".into(),
        Value::String(text) if text.len() > OPAQUE_BYTES && !text.contains(char::is_whitespace) => {
            *text = format!("<{} bytes>", text.len());
        }
        _ => {}
    }
}

/// Masks a text that somebody else worded, such as an error of a tool, and cuts it to `most`
/// characters. JSON is masked as parameters are; in plain text the word after `Bearer`, and words
/// that are data by their length.
pub fn mask_text(text: &str, most: usize) -> String {
    let masked = match serde_json::from_str(text) {
        Ok(mut value @ (Value::Object(_) | Value::Array(_))) => {
            mask(&mut value);
            value.to_string()
        }
        _ => mask_words(text),
    };
    match masked.char_indices().nth(most) {
        Some((end, _)) => masked[..end].to_owned(),
        None => masked,
    }
}

fn mask_words(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut bearer = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        match word.len() {
            0 => {}
            _ if bearer => masked.push_str("***"),
            length if length > OPAQUE_BYTES => masked.push_str(&format!("<{length} bytes>")),
            _ => masked.push_str(word),
        }
        masked.push_str(&piece[word.len()..]);
        if !word.is_empty() {
            let bare = word.trim_start_matches(|it: char| !it.is_alphanumeric());
            bearer = bare.eq_ignore_ascii_case("Bearer");
        }
    }
    masked
}

fn is_secret(key: &str) -> bool {
    let plain: String =
        key.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_at_any_depth() {
        let shown = preview(r#"{"password":"hunter2","deep":[{"api-key":"k","API_Key":{"x":1}}]}"#);
        assert!(!shown.contains("hunter2") && !shown.contains("\"k\"") && !shown.contains('1'));
        let mut value = json!({ "header": "Bearer abc", "blob": "x".repeat(300), "say": "hi" });
        mask(&mut value);
        let masked = json!({ "header": "Bearer ***", "blob": "<300 bytes>", "say": "hi" });
        assert_eq!(value, masked);
    }

    #[test]
    fn a_text_shows_no_secret() {
        let shown = |text: &str| mask_text(text, 60);
        assert_eq!(shown("401 for \"Bearer  abc.def\" at x"), "401 for \"Bearer  *** at x");
        assert_eq!(shown(&format!("bad {} here", "k".repeat(300))), "bad <300 bytes> here");
        assert_eq!(shown(r#"{"token":"t","why":"no"}"#), r#"{"token":"***","why":"no"}"#);
        assert_eq!(shown(&"ü ".repeat(60)), "ü ".repeat(30));
        assert_eq!(shown("plain\n text "), "plain\n text ");
    }

    #[test]
    fn cutting_never_splits_a_character() {
        let shown = preview(&json!({ "say": "ü ".repeat(600) }).to_string());
        assert!(shown.ends_with("…[truncated]"));
        assert_eq!(shown.chars().count(), PREVIEW_CHARS + "…[truncated]".chars().count());
    }

    proptest! {
        #[test]
        fn a_value_under_a_secret_key_never_shows(
            word in proptest::sample::select(&SECRET_WORDS[..]), prefix in "[a-z]{0,5}",
        ) {
            let key = format!("{prefix}_{}", word.to_uppercase());
            let shown = preview(&json!({ "a": [{ key: "hunter2" }] }).to_string());
            prop_assert!(!shown.contains("hunter2"));
        }
    }
}
