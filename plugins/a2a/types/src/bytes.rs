//! Bytes as base64: written in the standard alphabet with padding, read in every form in use.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use serde::Serializer;

const ANY_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const URL_ALPHABET: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, ANY_PADDING);
const STANDARD_ALPHABET: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, ANY_PADDING);

/// The bytes of a base64 text in the standard or the URL alphabet, with padding or without; `None` if
/// it is neither.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let engine = match text.contains(['-', '_']) {
        true => &URL_ALPHABET,
        false => &STANDARD_ALPHABET,
    };
    engine.decode(text).ok()
}

/// For `serialize_with`.
pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&base64::display::Base64Display::new(bytes, &STANDARD))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE as URL;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_base64_is_not_read() {
        for bad in ["a", "!!!!", "a b", "+-", "ab=c", "YWJj\n"] {
            assert_eq!(decode_base64(bad), None, "{bad}");
        }
        assert_eq!(decode_base64(""), Some(Vec::new()));
        assert_eq!(decode_base64("_-8"), Some(vec![0xff, 0xef]));
    }

    proptest! {
        #[test]
        fn every_form_of_the_same_bytes_reads_alike(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let standard = STANDARD.encode(&bytes);
            let url = URL.encode(&bytes);
            for text in [&standard, &url] {
                prop_assert_eq!(decode_base64(text), Some(bytes.clone()));
                prop_assert_eq!(decode_base64(text.trim_end_matches('=')), Some(bytes.clone()));
            }
        }
    }
}
