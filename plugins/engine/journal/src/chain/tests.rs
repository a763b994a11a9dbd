//! The chain under edits, removals, swaps and cuts.

use carport_core::Time;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    event::{Kind, NewEvent},
    log::Log,
};

fn verify(text: &[u8]) -> Verdict {
    let mut verifier = Verifier::default();
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        verifier.check(line);
    }
    verifier.verdict()
}

/// Lines of a log: some unchained, then chained ones.
fn lines(unchained: usize, texts: &[String]) -> Vec<String> {
    let mut log = Log::default();
    let data = |text: &str| json!({ "error": text, "cost": 0.1 + 0.2, "n": [1.0, -3e300, null] });
    let append = |log: &mut Log, text: &str| {
        let new = NewEvent::new(Kind::ActionFailed, data(text)).of_action("a1");
        log.append("c-1", new, Time::default()).canonical()
    };
    let mut lines: Vec<_> = (0..unchained).map(|_| append(&mut log, "before")).collect();
    log.enable_chain();
    log.enable_chain();
    lines.extend(texts.iter().map(|text| append(&mut log, text)));
    lines
}

fn join(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(any::<String>(), 3..8)
}

#[test]
fn a_hash_is_what_the_protocol_says() {
    let line = lines(0, &["x".into()]).remove(0);
    let own = line.split("\"hash\":\"").nth(1).unwrap()[..64].to_owned();
    let bare = line.replace(&format!("\"hash\":\"{own}\","), "");
    let digest = Sha256::digest(format!("{}\n{bare}", "0".repeat(64)));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(own, hex);
    assert!(line.contains(&format!("\"prev_hash\":\"{}\"", "0".repeat(64))));
}

#[test]
fn every_edit_of_every_byte_of_a_line_is_found() {
    let lines = lines(1, &["ü".into(), "\u{1f}k".into(), "c".into()]);
    let whole = join(&lines);
    assert_eq!(verify(&whole), Verdict::Verified(3));
    let mut start = lines[0].len() + 1;
    for (line, index) in lines[1..].iter().zip(1..) {
        for at in start..start + line.len() {
            for byte in
                [0, b'\n', b' ', b'0', b'F', b'"', b'\\', b'}', whole[at] ^ 1, whole[at] ^ 0x20]
            {
                let mut edited = whole.clone();
                if std::mem::replace(&mut edited[at], byte) != byte {
                    assert_eq!(verify(&edited), Verdict::TamperedAt(index), "{at} {byte}");
                }
            }
        }
        start += line.len() + 1;
    }
}

#[test]
fn the_same_event_in_another_spelling_is_an_edit() {
    let mut lines = lines(0, &["a".into(), "b".into()]);
    lines[1] = lines[1].replace("\"b\"", "\"\\u0062\"");
    assert_eq!(verify(&join(&lines)), Verdict::TamperedAt(1));
}

#[test]
fn the_first_chained_events_do_not_vanish_behind_an_unchained_one() {
    let mut lines = lines(1, &["a".into(), "b".into(), "c".into()]);
    lines.remove(1);
    assert_eq!(verify(&join(&lines)), Verdict::TamperedAt(1));
}

#[test]
fn an_unchained_event_among_chained_ones_is_not_ours() {
    let (before, mut chained) = (lines(1, &[]), lines(0, &["a".into(), "b".into()]));
    chained.insert(1, before[0].clone());
    assert_eq!(verify(&join(&chained)), Verdict::TamperedAt(1));
}

proptest! {
    #[test]
    fn an_edited_byte_is_found_where_it_is(
        unchained in 0..3usize, texts in texts(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let lines = lines(unchained, &texts);
        let whole = join(&lines);
        let chained = join(&lines[..unchained]).len();
        // The last newline aside: without it, the file is cut at its end.
        let at = chained + at.index(whole.len() - chained - 1);
        prop_assume!(whole[at] != byte);
        let index = whole[..at].iter().filter(|it| **it == b'\n').count() as u64;
        let mut edited = whole;
        edited[at] = byte;
        prop_assert_eq!(verify(&edited), Verdict::TamperedAt(index));
    }

    #[test]
    fn either_end_may_be_cut(texts in texts(), from in 0..8usize, to in 0..8usize) {
        let lines = lines(2, &texts);
        let to = (lines.len() - to.min(lines.len())).max(1);
        let kept = &lines[from.min(to - 1)..to];
        let chained = kept.iter().filter(|line| line.contains("prev_hash")).count() as u64;
        prop_assert_eq!(verify(&join(kept)), Verdict::Verified(chained));
    }

    #[test]
    fn removals_and_swaps_inside_are_found(texts in texts(), one: prop::sample::Index, two: prop::sample::Index) {
        let lines = lines(1, &texts);
        let inside = |index: prop::sample::Index| 2 + index.index(lines.len() - 3);
        let (one, two) = (inside(one), 1 + two.index(lines.len() - 1));
        let mut removed = lines.clone();
        removed.remove(one);
        prop_assert_eq!(verify(&join(&removed)), Verdict::TamperedAt(one as u64));
        prop_assume!(one != two);
        let mut swapped = lines.clone();
        swapped.swap(one, two);
        prop_assert!(matches!(verify(&join(&swapped)), Verdict::TamperedAt(_)));
    }
}
