//! Which check fits a working directory: by marker files, never by a guess.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

/// How much of a file is read to look for a test in it.
const MAX_MARKER: u64 = 256 * 1024;
/// How many paths of a prompt are looked for, and how long and deep one may be.
const MAX_PATHS: usize = 32;
const PATH_BYTES: usize = 1024;
const PATH_PARTS: usize = 32;
/// What npm writes down for a package without tests.
const NO_NPM_TEST: &str = "no test specified";

/// A check and what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suggestion {
    pub(crate) check: String,
    pub(crate) signals: Vec<String>,
    /// Whether a marker file names the check.
    pub(crate) has_marker: bool,
}

/// Looks in `root`, a path without links, and first in the directories above what the prompt names,
/// for a marker file. A file that the prompt asks to create has to be there too.
pub(crate) fn suggest(root: &Path, prompt: &str) -> Option<Suggestion> {
    let found = nearest(root, prompt);
    let has_marker = found.is_some();
    let mut parts = Vec::new();
    let mut signals = Vec::new();
    if let Some(path) = created_path(prompt) {
        parts.push(format!("test -f {}", quoted(path)));
        signals.push(format!("the prompt asks for {path}"));
    }
    if let Some((below, (file, check))) = found {
        signals.push(below.join(file).display().to_string());
        parts.push(match below.as_os_str().is_empty() {
            true => check.to_owned(),
            // The dot: neither an option of `cd` nor a place of `CDPATH`.
            false => format!("(cd {} && {check})", quoted(&format!("./{}", below.display()))),
        });
    }
    (!parts.is_empty()).then(|| Suggestion { check: parts.join(" && "), signals, has_marker })
}

type Marker = (&'static str, &'static str);

/// The first place with a marker file, below `root`: above a path of the prompt, else `root` itself.
fn nearest(root: &Path, prompt: &str) -> Option<(PathBuf, Marker)> {
    let mut seen = BTreeSet::new();
    for path in named_paths(prompt) {
        let above = path.ancestors().take_while(|it| !it.as_os_str().is_empty());
        for place in above {
            if !seen.insert(place.to_owned()) {
                break;
            }
            if let Some(found) = real(root, &root.join(place)).and_then(|it| marker(root, &it)) {
                return Some((place.to_owned(), found));
            }
        }
    }
    marker(root, root).map(|found| (PathBuf::new(), found))
}

/// The path without links, if it stays under `root`.
fn real(root: &Path, path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().filter(|it| it.starts_with(root))
}

/// The marker file of a directory and the check that it stands for.
fn marker(root: &Path, place: &Path) -> Option<Marker> {
    let file = |name: &str| real(root, &place.join(name)).filter(|it| it.is_file());
    let plain = [
        ("Cargo.toml", "cargo test -q"),
        ("go.mod", "go test ./..."),
        ("Package.swift", "swift test"),
        ("pyproject.toml", "python -m pytest -q"),
        ("setup.py", "python -m pytest -q"),
    ];
    if let Some(found) = plain.into_iter().find(|(name, _)| file(name).is_some()) {
        return Some(found);
    }
    let text = |name: &str| file(name).and_then(|it| text(&it));
    if text("package.json").is_some_and(|it| has_test_script(&it)) {
        return Some(("package.json", "npm test --silent"));
    }
    let has_target = text("Makefile")?.lines().any(is_test_target);
    has_target.then_some(("Makefile", "make -s test"))
}

/// A rule for `test`, with one colon or two; `test:=x` sets a variable.
fn is_test_target(line: &str) -> bool {
    let rest = line.strip_prefix("test:");
    rest.is_some_and(|it| !it.trim_start_matches(':').starts_with('='))
}

fn has_test_script(package: &str) -> bool {
    let package: serde_json::Value = serde_json::from_str(package).unwrap_or_default();
    let script = package["scripts"]["test"].as_str().unwrap_or_default();
    !script.trim().is_empty() && !script.contains(NO_NPM_TEST)
}

fn text(path: &Path) -> Option<String> {
    let found = path.metadata().ok()?;
    (found.len() <= MAX_MARKER).then(|| fs::read_to_string(path).ok())?
}

/// Words that look like relative paths inside the directory: the first few, without `.` parts.
fn named_paths(prompt: &str) -> impl Iterator<Item = PathBuf> {
    let words = prompt.split_whitespace().map(trimmed);
    let paths = words.filter(|word| word.contains(['/', '.']) && is_inside(word));
    let plain = |word: &str| -> PathBuf {
        Path::new(word).components().filter(|part| *part != Component::CurDir).collect()
    };
    paths.take(MAX_PATHS).map(plain)
}

/// The file that the prompt asks to create: a path right behind a word for making.
fn created_path(prompt: &str) -> Option<&str> {
    let mut making = false;
    for word in prompt.split_whitespace().map(trimmed) {
        if making && names_a_file(word) {
            return Some(word);
        }
        let lower = word.get(..word.len().min(8)).unwrap_or_default().to_lowercase();
        let between = ["a", "the", "new", "file", "named", "called"].contains(&&*lower);
        making = (making && between) || ["create", "write", "add"].contains(&&*lower);
    }
    None
}

/// Whether a word can only be meant as a file: it ends as one, and is no number, URL or abbreviation.
fn names_a_file(word: &str) -> bool {
    let extension = Path::new(word).extension().and_then(|it| it.to_str());
    let ends_as_one = extension.is_some_and(|it| it.starts_with(|it: char| it.is_alphabetic()));
    ends_as_one && is_inside(word) && !word.contains(':') && !["e.g", "i.e"].contains(&word)
}

fn trimmed(word: &str) -> &str {
    let around = |it: char| "`'\"()[],;:!?".contains(it);
    word.trim_start_matches(around).trim_end_matches(|it| it == '.' || around(it))
}

fn is_inside(word: &str) -> bool {
    if word.is_empty() || word.len() > PATH_BYTES || word.contains(char::is_control) {
        return false;
    }
    let mut parts = Path::new(word).components();
    let mut within = parts.by_ref().take(PATH_PARTS);
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    within.all(plain) && parts.next().is_none()
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
        suggest(&root.path().canonicalize().unwrap(), prompt).map(|it| it.check)
    }

    #[test]
    fn a_marker_file_names_the_check() {
        for (file, text, wanted) in [
            ("Cargo.toml", "", Some("cargo test -q")),
            ("package.json", r#"{"scripts":{"test":"jest"}}"#, Some("npm test --silent")),
            ("package.json", r#"{"scripts":{}}"#, None),
            ("Makefile", "all:\ntest: all\n", Some("make -s test")),
            (
                "package.json",
                r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#,
                None,
            ),
            ("Makefile", "all:\n", None),
            ("Makefile", "test:=x\ntest::=y\n", None),
            ("Makefile", "test:: all\n", Some("make -s test")),
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
        assert_eq!(near, "(cd ./web/app && npm test --silent)");
        for other in ["e.g. fix web/app/a.ts", "fix ./web/./app/a.ts", "see README.md and web/app"]
        {
            assert_eq!(check(&root, other).unwrap(), near, "{other}");
        }
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

    #[test]
    fn nothing_that_is_not_surely_a_file_to_be_made_becomes_a_check() {
        let root = tree(&[("go.mod", "")]);
        for prompt in [
            "Add support for Node.js",
            "add 1.5 s of delay",
            "write about https://x/y.html",
            "write https://x/y.html",
            "add logging to src/a.rs",
            "create e.g. a test",
            "add \u{1}x.md",
        ] {
            assert_eq!(check(&root, prompt).as_deref(), Some("go test ./..."), "{prompt}");
        }
        for prompt in ["create a new file called a.md", "Add the file `a.md`", "write a.md"] {
            let made = check(&root, prompt).unwrap();
            assert_eq!(made, "test -f a.md && go test ./...", "{prompt}");
        }
    }

    #[test]
    fn links_lead_nowhere_outside() {
        let secret = tree(&[("package.json", r#"{"scripts":{"test":"x"}}"#), ("Cargo.toml", "")]);
        let root = tree(&[("in/go.mod", "")]);
        let link = |from: &Path, name: &str| {
            std::os::unix::fs::symlink(from, root.path().join(name)).unwrap();
        };
        link(secret.path(), "out");
        link(&secret.path().join("Cargo.toml"), "Cargo.toml");
        link(&root.path().join("in"), "alias");
        assert_eq!(check(&root, "fix out/a.ts"), None);
        assert_eq!(check(&root, "fix alias/a.go").unwrap(), "(cd ./alias && go test ./...)");
    }

    #[test]
    fn a_prompt_of_paths_costs_little() {
        let root = tree(&[("go.mod", "")]);
        let deep = named_paths(&"a/".repeat(131_072)).count();
        let many = named_paths(&"a/b ".repeat(65_536)).count();
        assert_eq!((deep, many), (0, MAX_PATHS));
        assert_eq!(check(&root, &"a/".repeat(131_072)).unwrap(), "go test ./...");
        assert!(is_inside(&"a/".repeat(PATH_PARTS)) && !is_inside(&"a/".repeat(PATH_PARTS + 1)));
    }

    #[test]
    fn a_directory_whose_name_is_an_option_is_a_directory() {
        let root = tree(&[("-/a/go.mod", ""), ("-/go.mod", "")]);
        assert_eq!(check(&root, "fix -/x.go").unwrap(), "(cd ./- && go test ./...)");
    }
}
