//! Every way out of the root, with the kernel resolving and without.

use std::{fs, os::unix::fs::symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A root `in` with files and links, and a secret beside it.
fn scene() -> (TempDir, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().canonicalize().unwrap().join("in");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(base.path().join("out/b")).unwrap();
    for file in ["in/f", "in/a/f", "in/a/b/é", "secret", "out/f", "out/b/f"] {
        fs::write(base.path().join(file), file).unwrap();
    }
    for (target, link) in [
        ("../secret", "to-secret"),
        ("../out", "to-out"),
        ("..", "up"),
        ("/", "slash"),
        ("a", "to-a"),
        ("f", "to-f"),
        ("a/../f", "round"),
        ("loop", "loop"),
        ("nowhere", "dangling"),
        ("../in/f", "out-and-in"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    symlink("../../../out", root.join("a/b/to-out")).unwrap();
    symlink("../..", root.join("a/b/top")).unwrap();
    (base, root)
}

/// Where the descriptor that a path opens really is.
fn real(root: &Root, path: &str) -> Result<PathBuf, ToolError> {
    use std::os::fd::AsRawFd;
    let opened = root.reach(&Inside::read(path)?, OFlags::RDONLY)?;
    Ok(fs::read_link(format!("/proc/self/fd/{}", opened.as_raw_fd())).unwrap())
}

#[test]
fn there_is_no_way_out() {
    let (_base, path) = scene();
    for root in [Root::open(&path).unwrap(), Root::walking(&path).unwrap()] {
        for inside in ["f", "a/f", "./a/./b/é", "a//f", "a/b/", "."] {
            assert!(real(&root, inside).unwrap().starts_with(&path), "{inside}");
        }
        for out in [
            "..",
            "../secret",
            "a/../f",
            "a/../../secret",
            "/",
            "/etc/passwd",
            "to-secret",
            "to-out",
            "to-out/f",
            "up",
            "up/secret",
            "slash",
            "slash/etc/passwd",
            "loop",
            "a/b/to-out/f",
            "out-and-in",
        ] {
            let error = real(&root, out).unwrap_err();
            assert!(
                matches!(error, ToolError::Outside(_) | ToolError::NotADirectory(_)),
                "{out}: {error}"
            );
        }
        assert_eq!(real(&root, "nothing"), Err(ToolError::NotFound("nothing".into())));
        assert!(matches!(real(&root, "").unwrap_err(), ToolError::Parameters(_)));
        assert!(matches!(real(&root, "f\0").unwrap_err(), ToolError::Parameters(_)));
        assert!(matches!(real(&root, &"a/".repeat(65)).unwrap_err(), ToolError::Parameters(_)));
        assert!(matches!(real(&root, &"x".repeat(4097)).unwrap_err(), ToolError::Parameters(_)));
    }
}

#[test]
fn links_that_stay_inside_are_followed_if_the_kernel_resolves() {
    let (_base, path) = scene();
    let root = Root::open(&path).unwrap();
    assert!(root.kernel);
    for (link, target) in [("to-f", "f"), ("to-a/f", "a/f"), ("a/b/top/f", "f"), ("round", "f")] {
        assert_eq!(real(&root, link).unwrap(), path.join(target), "{link}");
        assert!(real(&Root::walking(&path).unwrap(), link).is_err(), "{link}");
    }
}

#[test]
fn directories_are_made_inside_only() {
    let (base, path) = scene();
    for root in [Root::open(&path).unwrap(), Root::walking(&path).unwrap()] {
        let make = |path: &str| root.make_directory(&Inside::read(path)?);
        make("x/y/z").unwrap();
        make("x/y").unwrap();
        assert!(path.join("x/y/z").is_dir());
        for bad in
            ["to-out/new", "dangling/new", "dangling", "f/new", "slash/new", "a/b/to-out/new"]
        {
            make(bad).unwrap_err();
        }
        fs::remove_dir_all(path.join("x")).unwrap();
    }
    assert_eq!(fs::read_dir(base.path().join("out")).unwrap().count(), 2);
    assert!(!path.join("nowhere").exists());
}

#[test]
fn only_regular_files_are_read() {
    let (_base, path) = scene();
    rustix::fs::mknodat(CWD, path.join("pipe"), FileType::Fifo, FILE_MODE.into(), 0).unwrap();
    let root = Root::open(&path).unwrap();
    for odd in ["pipe", "a", "."] {
        let error = root.file(&Inside::read(odd).unwrap()).unwrap_err();
        assert_eq!(error, ToolError::NotAFile(odd.into()));
    }
    let error = root.directory(&Inside::read("f").unwrap()).unwrap_err();
    assert_eq!(error, ToolError::NotADirectory("f".into()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_path_says_it_opens_nothing_outside(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "f", "..", ".", "", "é", "to-a", "to-out", "up", "slash", "top", "to-f", "loop", "out-and-in", "secret", "etc",
            ]),
            0..7,
        ),
        any in any::<String>(),
        absolute: bool,
    ) {
        let (_base, path) = scene();
        let given = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        for root in [Root::open(&path).unwrap(), Root::walking(&path).unwrap()] {
            for given in [&given, &any, &format!("{given}/{any}")] {
                if let Ok(real) = real(&root, given) {
                    prop_assert!(real.starts_with(&path), "{given:?} opened {real:?}");
                    prop_assert!(!given.split('/').any(|part| part == "..") && !given.starts_with('/'));
                }
            }
        }
    }
}
