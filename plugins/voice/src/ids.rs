//! The ids that clients give to streams.

use carport_core::{Result, RpcError, bounds};

/// Bytes of an id in a binary frame.
pub(crate) const RAW: usize = 16;

/// `[A-Za-z0-9._:-]{1,64}`.
pub(crate) fn check(field: &str, id: &str) -> Result<()> {
    bounds::bytes(field, id, 1..=64)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || "._:-".contains(letter);
    bounds::letters(field, id, "[A-Za-z0-9._:-]", word)
}

/// The bytes of an id of 32 lower-case hex digits; no other id can be in a binary frame.
pub(crate) fn raw(id: &str) -> Option<[u8; RAW]> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if id.len() != 2 * RAW || !id.bytes().all(lower) {
        return None;
    }
    u128::from_str_radix(id, 16).ok().map(u128::to_be_bytes)
}

/// The id with these bytes.
pub(crate) fn of_raw(raw: [u8; RAW]) -> String {
    format!("{:032x}", u128::from_be_bytes(raw))
}

/// As [`raw`], or an error that names the field.
pub(crate) fn need_raw(field: &str, id: &str) -> Result<[u8; RAW]> {
    raw(id).ok_or_else(|| {
        let why = "must be 32 lower-case hex digits for binary frames";
        RpcError::invalid_params(field, why).with("limit", 2 * RAW)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_safe_words_are_ids() {
        for good in ["a", "A.b_c:d-9", &"x".repeat(64)] {
            assert!(check("session_id", good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "ü", "a/b", &"x".repeat(65)] {
            assert_eq!(check("session_id", bad).unwrap_err().field(), Some("session_id"), "{bad}");
        }
        for bad in ["", "0190C5E2A7B47CC08B1D2E3F40516273", &"0".repeat(31), &"+0".repeat(16)] {
            assert_eq!(raw(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn raw_ids_come_back(bytes in any::<[u8; 16]>()) {
            prop_assert_eq!(raw(&of_raw(bytes)), Some(bytes));
        }
    }
}
