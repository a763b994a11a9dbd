//! Golden files: what was, beside what is.

use std::{env, fs, path::PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compares `text` with the golden file `name`, or writes it when `CARPORT_BLESS` is set.
pub(crate) fn check(name: &str, text: &str) {
    let path = root().join("tests/goldens").join(name);
    if env::var_os("CARPORT_BLESS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if let Some((line, (was, is))) = first_difference(&golden, text) {
        panic!(
            "{name} differs from its golden file at line {line}:\n  was: {was}\n  is:  {is}\nif that \
             is wanted, run CARPORT_BLESS=1 tests/run and commit the difference"
        );
    }
}

fn first_difference<'a>(was: &'a str, is: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    let mut pairs = (1..).zip(was.lines().chain([""]).zip(is.lines().chain([""])));
    pairs
        .find(|(_, (was, is))| was != is)
        .or_else(|| (was.lines().count() != is.lines().count()).then_some((0, ("", ""))))
}

#[test]
fn a_difference_is_found_wherever_it_is() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, ("b", "c"))));
    assert!(first_difference("a\n", "a\nb\n").is_some());
    assert!(first_difference("a\nb\n", "a\n").is_some());
}
