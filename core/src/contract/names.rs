//! Names from clients made safe as file names, and paths kept under their base.

use std::{
    fmt::Write as _,
    path::{Component, Path, PathBuf},
};

use crate::wire::error::{Result, RpcError};

/// How long an encoded name may be.
pub(crate) const MAX_ENCODED: usize = 200;

/// Encodes a name as one path component: bytes `a-z 0-9 - _ .` stay (a leading `.` does not), every
/// other byte becomes `%` and two lowercase hex digits. It is injective, also on file systems that
/// ignore case. Over 200 bytes, or empty, is an error that names `field`.
pub fn encode_name(field: &str, name: &str) -> Result<String> {
    let mut encoded = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(byte.into()),
            b'.' if at > 0 => encoded.push('.'),
            _ => drop(write!(encoded, "%{byte:02x}")),
        }
    }
    match encoded.len() {
        1..=MAX_ENCODED => Ok(encoded),
        got => {
            let why = format!("must have 1..={MAX_ENCODED} bytes as a file name, got {got}");
            Err(RpcError::invalid_params(field, why).with("limit", MAX_ENCODED).with("got", got))
        }
    }
}

/// The name that [`encode_name`] encoded, or `None` if it did not make this text.
pub fn decode_name(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match byte {
            b'%' => {
                let (hex, tail) = tail.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
                tail
            }
            _ => {
                bytes.push(byte);
                tail
            }
        };
    }
    let name = String::from_utf8(bytes).ok()?;
    (encode_name("name", &name).ok()? == encoded).then_some(name)
}

/// Resolves a client's relative path under `base`. `..`, absolute paths and symbolic links that
/// leave `base` are refused with an error that names `field`.
pub fn resolve_under(base: &Path, field: &str, path: &str) -> Result<PathBuf> {
    let refuse = |why: &str| Err(RpcError::invalid_params(field, why));
    let relative = Path::new(path);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if path.is_empty() || path.contains('\0') || !relative.components().all(plain) {
        return refuse("must be a relative path without `..`");
    }
    let base = base.canonicalize().map_err(RpcError::internal)?;
    let full = base.join(relative);
    // What does not exist yet is judged by the nearest ancestor that does.
    let existing = full.ancestors().find(|it| it.symlink_metadata().is_ok()).unwrap_or(&base);
    match existing.canonicalize() {
        Ok(real) if real.starts_with(&base) => Ok(full),
        _ => refuse("leads out of its directory"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_try_to_leave_become_plain_words() {
        assert_eq!(encode_name("id", "../x").unwrap(), "%2e.%2fx");
        assert_eq!(encode_name("id", "A").unwrap(), "%41");
        assert_eq!(encode_name("id", "a").unwrap(), "a");
        assert!(encode_name("id", "").is_err());
        assert!(encode_name("id", &"X".repeat(67)).is_err());
        assert_eq!(decode_name("%2E"), None);
        assert_eq!(decode_name("%zz"), None);
    }

    #[test]
    fn a_path_stays_under_its_base() {
        let base = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", base.path().join("out")).unwrap();
        assert!(resolve_under(base.path(), "path", "a/b.txt").is_ok());
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "out/etc/passwd", "out"] {
            let error = resolve_under(base.path(), "path", bad).unwrap_err();
            assert_eq!(error.field(), Some("path"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn encoding_is_injective_and_one_component(name in ".{1,60}") {
            if let Ok(encoded) = encode_name("id", &name) {
                prop_assert!(!encoded.contains(['/', '\0']) && !encoded.starts_with('.'));
                prop_assert!(encoded.bytes().all(|byte| !byte.is_ascii_uppercase()));
                prop_assert_eq!(decode_name(&encoded), Some(name));
            }
        }
    }
}
