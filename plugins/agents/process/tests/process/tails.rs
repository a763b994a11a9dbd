//! The end of a log against what the whole of it says.

use std::fs;

use carport_agents_process::logs::{Streams, Window, tail};
use proptest::prelude::*;

fn window(lines: usize, offset: usize) -> Window {
    Window { lines, offset, streams: Streams::Combined }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_window_is_the_same_however_the_log_was_rotated(
        lines in prop::collection::vec("[a-zü]{0,12}", 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 4),
        count in 0..50usize, offset in 0..50usize, ended: bool,
    ) {
        let mut text: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        if !ended {
            text.pop();
        }
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("logs")).unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|it| it.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(text.len());
        let mut start = 0;
        for (number, end) in (0..=4).rev().zip(cuts) {
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            let path = root.path().join(format!("logs/a.stdout.log{suffix}"));
            fs::write(path, &text[start..end]).unwrap();
            start = end;
        }
        let all: Vec<String> = String::from_utf8(text).unwrap().lines().map(Into::into).collect();
        let end = all.len().saturating_sub(offset);
        let begin = if count == 0 { 0 } else { end.saturating_sub(count) };
        let seen = tail(root.path(), "a", window(count, offset)).unwrap();
        prop_assert_eq!(&seen.stdout, &all[begin..end]);
        prop_assert_eq!(&seen.lines, &seen.stdout);
        prop_assert_eq!((seen.stdout_total, seen.stderr_total), (all.len(), 0));
        prop_assert_eq!(seen.more, begin > 0);
    }
}

#[test]
fn a_reply_holds_eight_mebibytes_and_a_line_sixty_four_kibibytes() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("logs")).unwrap();
    let lines = |count: usize| {
        (0..count).map(|it| format!("{it} {}\n", "x".repeat(100_000))).collect::<String>()
    };
    fs::write(root.path().join("logs/a.stdout.log"), lines(60)).unwrap();
    fs::write(root.path().join("logs/a.stderr.log"), lines(100)).unwrap();
    let seen = tail(root.path(), "a", window(0, 0)).unwrap();
    let size = |lines: &[String]| lines.iter().map(String::len).sum::<usize>();
    let whole = size(&seen.lines) + size(&seen.stdout) + size(&seen.stderr);
    assert!((7 << 20..=8 << 20).contains(&whole), "{whole}");
    assert!(seen.stdout.iter().all(|line| line.len() == 64 * 1024));
    assert!(seen.stdout.last().unwrap().starts_with("59 ") && seen.more);
    assert_eq!((seen.stdout_total, seen.stderr_total), (60, 83), "of the part that was read");
}

#[test]
fn logs_that_were_never_written_are_empty() {
    let root = tempfile::tempdir().unwrap();
    let seen = tail(root.path(), "a", window(100, 0)).unwrap();
    assert!(seen.lines.is_empty() && !seen.more && seen.stdout_path.ends_with("a.stdout.log"));
    assert!(tail(root.path(), &"X".repeat(100), window(1, 0)).is_err());
}

/// What a hostile child prints: a reply and the memory for it stay within bounds.
#[test]
fn lines_of_nothing_and_of_control_characters_fit_a_reply() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("logs")).unwrap();
    fs::write(root.path().join("logs/a.stdout.log"), "\n".repeat(1 << 20)).unwrap();
    fs::write(root.path().join("logs/a.stderr.log"), "\0".repeat(1023) + "\n").unwrap();
    let seen = tail(root.path(), "a", window(0, 0)).unwrap();
    assert_eq!((seen.stdout_total, seen.stderr_total, seen.more), (1 << 20, 1, true));
    assert!(seen.lines.len() <= 64 * 1024, "{}", seen.lines.len());
    assert_eq!(seen.stderr[0].len(), 1023);
    let last = tail(root.path(), "a", window(3, (1 << 20) - 2)).unwrap();
    assert_eq!((last.stdout.len(), last.stderr.len(), last.more), (2, 0, false));

    let nuls = ("\0".repeat(1023) + "\n").repeat(4 << 10);
    fs::write(root.path().join("logs/a.stderr.log"), &nuls).unwrap();
    let seen = tail(root.path(), "a", window(0, 0)).unwrap();
    assert!(serde_json::to_string(&seen).unwrap().len() < 9 << 20);
}

#[test]
fn a_pipe_or_a_link_in_the_place_of_a_log_keeps_nobody_waiting() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("logs")).unwrap();
    let at = |name: &str| root.path().join("logs").join(name);
    let made = std::process::Command::new("mkfifo").arg(at("a.stdout.log")).status().unwrap();
    assert!(made.success());
    let seen = tail(root.path(), "a", window(0, 0)).unwrap();
    assert_eq!((seen.stdout_total, seen.more), (0, false));
    fs::write(at("other"), "secret\n").unwrap();
    std::os::unix::fs::symlink(at("other"), at("b.stdout.log")).unwrap();
    assert!(tail(root.path(), "b", window(0, 0)).is_err());
}
