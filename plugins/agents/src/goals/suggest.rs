//! Which check fits a working directory: by marker files, never by a guess.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// How much of a file is read to look for a test in it.
const MAX_MARKER: u64 = 256 * 1024;

/// A check and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suggestion {
    pub(crate) check: String,
    pub(crate) signals: Vec<String>,
    /// Whether a marker file names the check.
    pub(crate) has_marker: bool,
}

/// Looks in `root`, and first in the directories above what the prompt names, for a marker file. A
/// file that the prompt asks to create has to be there too.
pub(crate) fn suggest(root: &Path, prompt: &str) -> Option<Suggestion> {
    let named = named_paths(prompt);
    let mut places: Vec<PathBuf> = Vec::new();
    for path in &named {
        let full = root.join(path);
        let above = full.ancestors().take_while(|it| it.starts_with(root)).map(Path::to_owned);
        places.extend(above);
    }
    places.push(root.to_owned());
    let found = places.iter().find_map(|place| marker(place).map(|found| (place, found)));
    let created = created_path(prompt);
    let has_marker = found.is_some();
    let mut parts = Vec::new();
    let mut signals = Vec::new();
    if let Some(path) = &created {
        parts.push(format!("test -f {}", quoted(path)));
        signals.push(format!("the prompt asks for {path}"));
    }
    if let Some((place, (file, check))) = found {
        let below = place.strip_prefix(root).unwrap_or(Path::new(""));
        signals.push(below.join(file).display().to_string());
        parts.push(match below.as_os_str().is_empty() {
            true => check.to_owned(),
            false => format!("(cd {} && {check})", quoted(&below.display().to_string())),
        });
    }
    (!parts.is_empty()).then(|| Suggestion { check: parts.join(" && "), signals, has_marker })
}

/// The marker file of a directory and the check that it stands for.
fn marker(place: &Path) -> Option<(&'static str, &'static str)> {
    let is_there = |name: &str| place.join(name).is_file();
    let plain = [
        ("Cargo.toml", "cargo test -q"),
        ("go.mod", "go test ./..."),
        ("Package.swift", "swift test"),
        ("pyproject.toml", "python -m pytest -q"),
        ("setup.py", "python -m pytest -q"),
    ];
    if let Some(found) = plain.into_iter().find(|(name, _)| is_there(name)) {
        return Some(found);
    }
    if text(&place.join("package.json")).is_some_and(|it| has_test_script(&it)) {
        return Some(("package.json", "npm test --silent"));
    }
    let makefile = text(&place.join("Makefile"))?;
    let has_target = makefile.lines().any(|line| line.starts_with("test:"));
    has_target.then_some(("Makefile", "make -s test"))
}

fn has_test_script(package: &str) -> bool {
    let package: serde_json::Value = serde_json::from_str(package).unwrap_or_default();
    package["scripts"]["test"].is_string()
}

fn text(path: &Path) -> Option<String> {
    let found = path.metadata().ok()?;
    (found.is_file() && found.len() <= MAX_MARKER).then(|| fs::read_to_string(path).ok())?
}

/// Words that look like relative paths inside the directory.
fn named_paths(prompt: &str) -> Vec<PathBuf> {
    let words = prompt.split_whitespace().map(trimmed);
    words.filter(|word| is_inside(word) && word.contains(['/', '.'])).map(PathBuf::from).collect()
}

/// The file that the prompt asks to create: the path behind a word for making.
fn created_path(prompt: &str) -> Option<String> {
    let mut making = false;
    for word in prompt.split_whitespace() {
        let word = trimmed(word);
        let extension = Path::new(word).extension().is_some();
        if making && extension && is_inside(word) {
            return Some(word.to_owned());
        }
        making = making || ["create", "write", "add"].contains(&&*word.to_lowercase());
    }
    None
}

fn trimmed(word: &str) -> &str {
    let around = |it: char| "`'\"()[],;:!?".contains(it);
    word.trim_start_matches(around).trim_end_matches(|it| it == '.' || around(it))
}

fn is_inside(word: &str) -> bool {
    let mut parts = Path::new(word).components();
    !word.is_empty() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A word that a shell reads as it is.
fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "._/-".contains(it);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn check(root: &tempfile::TempDir, prompt: &str) -> Option<String> {
        suggest(root.path(), prompt).map(|it| it.check)
    }

    #[test]
    fn a_marker_file_names_the_check() {
        for (file, text, wanted) in [
            ("Cargo.toml", "", Some("cargo test -q")),
            ("package.json", r#"{"scripts":{"test":"jest"}}"#, Some("npm test --silent")),
            ("package.json", r#"{"scripts":{}}"#, None),
            ("Makefile", "all:\ntest: all\n", Some("make -s test")),
            ("Makefile", "all:\n", None),
            ("README.md", "cargo test", None),
        ] {
            let root = tree(&[(file, text)]);
            assert_eq!(check(&root, "fix it").as_deref(), wanted, "{file}");
        }
    }

    #[test]
    fn the_marker_nearest_to_what_the_prompt_names_wins() {
        let root =
            tree(&[("Cargo.toml", ""), ("web/app/package.json", r#"{"scripts":{"test":"x"}}"#)]);
        let near = check(&root, "fix web/app/src/a.ts, please").unwrap();
        assert_eq!(near, "(cd web/app && npm test --silent)");
        assert_eq!(check(&root, "fix src/main.rs").unwrap(), "cargo test -q");
        assert_eq!(check(&root, "fix ../other/x.rs").unwrap(), "cargo test -q");
    }

    #[test]
    fn a_file_that_is_to_be_made_has_to_be_there() {
        let root = tree(&[("go.mod", "")]);
        assert!(!suggest(tree(&[]).path(), "write a.md").unwrap().has_marker);
        let made = check(&root, "Create `docs/it's.md`.").unwrap();
        assert_eq!(made, r"test -f 'docs/it'\''s.md' && go test ./...");
        assert_eq!(check(&tree(&[]), "create /etc/passwd.txt"), None);
        assert_eq!(check(&tree(&[]), "make it nice"), None);
    }
}
