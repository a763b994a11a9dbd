//! The book of messages, without agents.

use proptest::prelude::*;

use super::*;

fn message(id: usize, from: &str, to: &str, body: &str) -> Message {
    Message { id: format!("m{id}"), from: from.into(), to: to.into(), body: body.into() }
}

#[test]
fn the_same_words_pass_again_after_ten_seconds_and_to_somebody_else_at_once() {
    let mut book = Book::default();
    let mut say = |now, id, from, to| book.admit(now, &message(id, from, to, "hello"));
    assert_eq!(say(0, 0, "a", "b"), Ok(()));
    assert_eq!(say(9_999, 1, "a", "b"), Err(PeerError::Same));
    assert_eq!((say(0, 2, "a", "c"), say(0, 3, "b", "a")), (Ok(()), Ok(())));
    assert_eq!(say(10_000, 4, "a", "b"), Ok(()));
    assert_eq!(say(10_001, 4, "a", "b"), Ok(()), "one that passed counts as itself");
}

#[test]
fn fifty_wait_for_one_peer_and_none_for_another() {
    let mut book = Book::default();
    for _ in 0..WAITING {
        assert_eq!(book.wait_for("b"), Ok(()));
    }
    assert_eq!((book.wait_for("b"), book.wait_for("c")), (Err(PeerError::Waiting), Ok(())));
    book.heard("b");
    assert_eq!(book.wait_for("b"), Ok(()));
}

#[test]
fn what_is_held_is_bounded_in_number_and_in_bytes_and_the_oldest_goes() {
    let mut book = Book::default();
    for id in 0..MAX_HELD {
        assert_eq!(book.hold(0, message(id, "a", "b", "x")), []);
    }
    assert_eq!(book.hold(7, message(100, "a", "b", "x"))[0].id, "m0");
    assert_eq!((book.find("m0"), book.held().last().unwrap().at), (None, 7));
    assert_eq!(book.take("m1").unwrap().id, "m1");
    assert_eq!(book.take("m1"), None);
    // A control character is six bytes of JSON.
    let large = "\u{1}".repeat(1 << 20);
    assert_eq!(book.hold(8, message(200, "a", "b", &large)).len(), 0);
    assert_eq!(book.hold(9, message(201, "a", "b", &large)).len(), 100);
    assert_eq!(book.held().count(), 1);
}

proptest! {
    #[test]
    fn no_minute_has_more_than_twenty_of_a_pair(gaps in prop::collection::vec(0..9_000_i64, 1..120)) {
        let (mut book, mut now, mut passed) = (Book::default(), 0, Vec::new());
        for (id, gap) in gaps.into_iter().enumerate() {
            now += gap;
            let recent = passed.iter().filter(|at| now - **at < 60_000).count();
            let admitted = book.admit(now, &message(id, "a", "b", &id.to_string()));
            prop_assert_eq!(admitted, if recent < 20 { Ok(()) } else { Err(PeerError::PerPair) });
            passed.extend(admitted.ok().map(|()| now));
        }
    }

    #[test]
    fn what_is_held_counts_its_bytes(sizes in prop::collection::vec(0..2_000_000_usize, 1..30)) {
        let mut book = Book::default();
        for (id, size) in sizes.into_iter().enumerate() {
            book.hold(0, message(id, "a", "b", &"x".repeat(size)));
            prop_assert_eq!(book.held_bytes, book.held().map(|it| it.message.body.len() + 2).sum::<usize>());
            prop_assert!(book.held_bytes <= HELD_BYTES);
        }
    }
}
