//! The laws of the code that a machine can hold, each with a check that is shown to fail.

use std::{fs, path::Path};

use crate::golden::root;

/// A Rust file of the project: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn of(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Lines before the tests of the file, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().zip(1..).map(|(line, number)| (number, line));
        lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
            || self.path.contains("/tests/")
            || self.path.contains("/testing/")
            || self.path.contains("/bench/")
    }
}

/// Every file of the project with this ending, build output and fetched things aside.
fn files(ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), &mut |path| {
        if path.to_string_lossy().ends_with(ending) {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            found.push(Source { path: name, text: fs::read_to_string(path).unwrap_or_default() });
        }
    });
    assert!(!found.is_empty(), "no file ends with {ending}");
    found
}

fn collect(directory: &Path, take: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true if ["target", ".git", "node_modules", "corpus"].contains(&name.as_str()) => {}
            true => collect(&path, take),
            false => take(&path),
        }
    }
}

/// Runs a check over files and shows every breach at once.
fn hold(sources: &[Source], check: impl Fn(&Source) -> Vec<String>) {
    let breaches: Vec<_> = sources.iter().flat_map(check).collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

fn opens_with_a_sentence(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let sentence: String = lines.iter().map(|it| it.trim_start_matches("//!")).collect();
    match sentence.trim().ends_with(['.', ':', '`', '?']) && sentence.len() > 10 {
        true => Vec::new(),
        false => vec![format!("{}:1: does not open with a `//!` sentence", source.path)],
    }
}

/// The rooms of the core from the bottom up; a room may use itself and those below.
const ROOMS: [&[&str]; 4] =
    [&["wire"], &["contract"], &["dispatch"], &["builtin", "transport", "testing"]];

fn arrows_point_down(source: &Source) -> Vec<String> {
    let Some(inside) = source.path.strip_prefix("core/src/") else { return Vec::new() };
    let level = |room: &str| ROOMS.iter().position(|rooms| rooms.contains(&room));
    let own = inside.split('/').next().unwrap_or_default();
    let Some(own_level) = level(own) else { return Vec::new() };
    let mut breaches = Vec::new();
    for (number, line) in source.code() {
        for (at, _) in line.match_indices("crate::") {
            let room: String =
                line[at + 7..].chars().take_while(|it| it.is_alphanumeric()).collect();
            let upward = level(&room).is_some_and(|level| level > own_level);
            if upward || (level(&room) == Some(3) && room != own && own != "testing") {
                breaches.push(format!("{}:{number}: `{own}` uses `{room}` above it", source.path));
            }
        }
    }
    // A grouped import names rooms at the beginning of a line.
    let grouped = source.text.split("use crate::{").skip(1).filter_map(|it| it.split_once("\n};"));
    for (group, _) in grouped {
        for line in group.lines().filter_map(|line| line.strip_prefix("    ")) {
            let room: String = line.chars().take_while(|it| it.is_alphanumeric()).collect();
            if level(&room).is_some_and(|level| level > own_level)
                && !source.text.contains("mod tests {")
            {
                breaches.push(format!("{}: `{own}` uses `{room}` above it", source.path));
            }
        }
    }
    breaches
}

fn names_no_plugin(source: &Source) -> Vec<String> {
    let Some(rest) = source.path.strip_prefix("plugins/") else { return Vec::new() };
    let own = rest.split('/').next().unwrap_or_default();
    let dependencies =
        source.text.lines().zip(1..).filter(|(line, _)| line.starts_with("carport-"));
    dependencies
        .filter_map(|(line, number)| {
            let name = line.split(['.', ' ', '=']).next()?;
            let allowed = name == "carport-core"
                || name.ends_with("-api")
                || name == format!("carport-{own}")
                || name.starts_with(&format!("carport-{own}-"));
            (!allowed).then(|| format!("{}:{number}: names the plugin `{name}`", source.path))
        })
        .collect()
}

fn unwraps_nothing(source: &Source) -> Vec<String> {
    if source.is_test() || source.path.contains("examples/") {
        return Vec::new();
    }
    let unwrap = concat!(".unwrap", "()");
    let found = source.code().filter(|(_, line)| line.contains(unwrap));
    found.map(|(number, _)| format!("{}:{number}: unwraps", source.path)).collect()
}

fn stays_short(source: &Source) -> Vec<String> {
    match source.text.lines().count() {
        0..=450 => Vec::new(),
        lines => vec![format!("{}: {lines} lines; split it", source.path)],
    }
}

/// Words that have no place in the code, in two halves so that this file does not breach its own law.
const NEVER: [(&str, &str, &str); 9] = [
    ("uns", "afe {", "an unsafe block"),
    ("uns", "afe fn", "an unsafe function"),
    ("fn inst", "all_", "a setter in the place of `start`"),
    ("TO", "DO", "a note to oneself"),
    ("FIX", "ME", "a note to oneself"),
    ("to", "do!(", "a hole"),
    ("unimpl", "emented!(", "a hole"),
    ("std::thread::sl", "eep(", "a sleep"),
    ("unbounded_", "channel", "a queue without a bound"),
];

fn says_nothing_of_these(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    for (line, number) in source.text.lines().zip(1..) {
        // What a command prints is as long as its terminal takes; the daemon's queues have bounds.
        let command = source.path.starts_with("host-bin/src/commands/");
        for (one, two, what) in NEVER {
            if command && two == "channel" {
                continue;
            }
            if line.contains(&format!("{one}{two}")) {
                breaches.push(format!("{}:{number}: {what}", source.path));
            }
        }
    }
    breaches
}

/// Hosts of registries and places of this machine, in halves.
const PRIVATE: [(&str, &str); 6] = [
    ("crates", ".io/"),
    ("pypi", ".org"),
    ("registry.npm", "js"),
    ("/wo", "rk/"),
    ("/ro", "ot/."),
    ("deb", ".debian.org"),
];

fn names_no_private_place(source: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    for (line, number) in source.text.lines().zip(1..) {
        for (one, two) in PRIVATE {
            if line.contains(&format!("{one}{two}")) {
                breaches.push(format!("{}:{number}: names {one}{two}", source.path));
            }
        }
    }
    breaches
}

#[test]
fn a_file_opens_with_what_it_is() {
    hold(&files(".rs"), opens_with_a_sentence);
    assert!(!opens_with_a_sentence(&Source::of("x.rs", "use std;\n")).is_empty());
}

#[test]
fn inside_the_core_arrows_point_down() {
    hold(&files(".rs"), arrows_point_down);
    let upward = "//! x\nuse crate::dispatch::host;\n";
    assert!(!arrows_point_down(&Source::of("core/src/wire/x.rs", upward)).is_empty());
    let grouped = "use crate::{\n    builtin::x,\n    wire::y,\n};\n";
    assert!(!arrows_point_down(&Source::of("core/src/dispatch/x.rs", grouped)).is_empty());
    assert!(arrows_point_down(&Source::of("core/src/builtin/x.rs", upward)).is_empty());
}

#[test]
fn a_plugin_names_no_plugin() {
    hold(&files("Cargo.toml"), names_no_plugin);
    let manifest = "[dependencies]\ncarport-runs.workspace = true\n";
    assert!(!names_no_plugin(&Source::of("plugins/memory/Cargo.toml", manifest)).is_empty());
    assert!(names_no_plugin(&Source::of("plugins/runs/api/Cargo.toml", manifest)).is_empty());
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    hold(&files(".rs"), unwraps_nothing);
    let unwrapped = format!("fn f() {{ x{}; }}\n", concat!(".unwrap", "()"));
    assert!(!unwraps_nothing(&Source::of("core/src/wire/x.rs", &unwrapped)).is_empty());
    let tested = format!("#[cfg(test)]\nmod tests {{ {unwrapped} }}\n");
    assert!(unwraps_nothing(&Source::of("core/src/wire/x.rs", &tested)).is_empty());
}

#[test]
fn files_stay_short() {
    hold(&files(".rs"), stays_short);
    assert!(!stays_short(&Source::of("x.rs", &"x\n".repeat(451))).is_empty());
}

#[test]
fn some_things_are_never_written() {
    hold(&files(".rs"), says_nothing_of_these);
    let (one, two, _) = NEVER[3];
    assert!(!says_nothing_of_these(&Source::of("x.rs", &format!("// {one}{two}: x\n"))).is_empty());
}

#[test]
fn no_private_place_is_named() {
    for ending in [".rs", ".md", ".toml", "run", ".jsonl"] {
        hold(&files(ending), names_no_private_place);
    }
    let (one, two) = PRIVATE[3];
    assert!(!names_no_private_place(&Source::of("x.md", &format!("see {one}{two}x\n"))).is_empty());
}

/// The plugin that the README shows is the one that the suite builds and tests.
#[test]
fn the_plugin_in_the_readme_is_the_real_one() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let door = read("host-bin/examples/custom/door/src/lib.rs");
    let code = door.split("\n#[cfg(test)]").next().unwrap().trim_end();
    let readme = read("README.md");
    let shown = readme.split("```rust\n").nth(1).and_then(|it| it.split("\n```").next());
    assert_eq!(shown.unwrap_or_default().trim_end(), code);
}
