//! What breaks a schema, as places and words.

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::Value;

/// The most faults that are told of one value.
const MOST: usize = 32;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The place, as a JSON pointer from what was checked. Of a member that is missing, where it should be.
    pub path: String,
    /// What is wrong there. It names no value that was sent.
    pub message: String,
}

/// The faults of a value by path, 32 at most. Members that nobody knows are told only if nothing else is
/// wrong, since a fault elsewhere makes all of them unknown.
pub(crate) fn of(validator: &Validator, value: &Value) -> Vec<Violation> {
    if validator.is_valid(value) {
        return Vec::new();
    }
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for error in validator.iter_errors(value).take(MOST) {
        match error.kind() {
            ValidationErrorKind::UnevaluatedProperties { .. } => tell(&error, &mut unknown),
            _ => tell(&error, &mut found),
        }
    }
    if found.is_empty() {
        found = unknown;
    }
    found.sort();
    found.dedup();
    found
}

/// Adds what is wrong, as long as there is not enough of it: nothing is put into words that nobody is told.
fn tell(error: &ValidationError<'_>, found: &mut Vec<Violation>) {
    let left = MOST.saturating_sub(found.len());
    if left == 0 {
        return;
    }
    let place = error.instance_path().as_str();
    let mut say = |path: String, message: String| found.push(Violation { path, message });
    let below = |member: &str| format!("{place}/{}", member.replace('~', "~0").replace('/', "~1"));
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            say(below(property.as_str().unwrap_or_default()), "is required".into());
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for member in unexpected.iter().take(left) {
                say(below(member), "is not known here".into());
            }
        }
        ValidationErrorKind::OneOfNotValid { context } | ValidationErrorKind::AnyOf { context } => {
            match meant(place, context) {
                Some(errors) => errors.iter().take(left).for_each(|error| tell(error, found)),
                None => say(place.into(), alternatives(error)),
            }
        }
        _ => say(place.into(), error.masked_with("the value").to_string()),
    }
}

/// The alternative that was meant: the one that is wrong only further inside.
fn meant<'a, 'e>(
    place: &str,
    alternatives: &'a [Vec<ValidationError<'e>>],
) -> Option<&'a [ValidationError<'e>]> {
    let deeper = |error: &ValidationError<'_>| {
        let missing = matches!(error.kind(), ValidationErrorKind::Required { .. });
        let unknown = matches!(error.kind(), ValidationErrorKind::AdditionalProperties { .. });
        error.instance_path().as_str().len() > place.len() && !(missing && unknown)
    };
    let fits = |errors: &&Vec<ValidationError<'_>>| !errors.is_empty() && errors.iter().all(deeper);
    alternatives.iter().find(fits).map(Vec::as_slice)
}

/// What may stand where nothing fits, by the definition that was asked for.
fn alternatives(error: &ValidationError<'_>) -> String {
    let path = error.schema_path().as_str();
    let absolute = error.absolute_keyword_location().map(|uri| uri.as_str().to_owned());
    let path = absolute.as_deref().unwrap_or(path);
    let definition = path.rsplit_once("/$defs/").map_or("", |(_, rest)| rest);
    let name = definition.split('/').next().unwrap_or_default();
    let words = match name {
        "DynamicString" => "a string, a binding {path}, or a call that returns a string",
        "DynamicNumber" => "a number, a binding {path}, or a call that returns a number",
        "DynamicBoolean" => "a boolean, a binding {path}, or a call that returns a boolean",
        "DynamicStringList" => "a list of strings, a binding {path}, or a call that returns a list",
        "DynamicValue" => "a string, number, boolean, list, binding {path} or call",
        "ChildList" => "a list of ids, or a template {componentId, path}",
        "Action" => "either {event} or {functionCall}",
        _ => return format!("{}", error.masked_with("the value")),
    };
    format!("must be {words}")
}
