//! The token of a page: behind which task it begins.

use std::cmp::Reverse;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use carport_core::Time;
use chrono::DateTime;

/// A task's place in a list: the one whose status is newest comes first, ties by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) status_at: Time,
    pub(crate) id: String,
}

impl Place {
    /// What lists are in the order of.
    pub(crate) fn key(&self) -> (Reverse<Time>, &str) {
        (Reverse(self.status_at), &self.id)
    }

    pub(crate) fn token(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{} {}", self.status_at.timestamp_millis(), self.id))
    }

    /// The place that a token names.
    pub(crate) fn of_token(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (millis, id) = text.split_once(' ')?;
        let status_at = DateTime::from_timestamp_millis(millis.parse().ok()?)?.into();
        Some(Self { status_at, id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_names_its_place(ms in 0..4_000_000_000_000_i64, id in "[a-z0-9 -]{1,20}") {
            let place = Place { status_at: DateTime::from_timestamp_millis(ms).unwrap().into(), id };
            prop_assert_eq!(Place::of_token(&place.token()), Some(place));
        }

        #[test]
        fn whatever_a_client_makes_up_is_read_or_not(token in ".{0,30}") {
            if let Some(place) = Place::of_token(&token) {
                prop_assert_eq!(Place::of_token(&place.token()), Some(place));
            }
        }
    }
}
