//! The book of messages, without agents.

use proptest::prelude::*;

use super::*;

fn message(id: usize, from: &str, to: &str, body: &str) -> Message {
    Message { id: format!("m{id}"), from: from.into(), to: to.into(), body: body.into() }
}

#[test]
fn the_same_words_pass_again_after_ten_seconds_and_to_somebody_else_at_once() {
    let mut book = Book::default();
    let mut say = |now, id, from, to| book.send(now, &message(id, from, to, "hello"));
    assert_eq!(say(0, 0, "a", "b"), Ok(()));
    assert_eq!(say(9_999, 1, "a", "b"), Err(PeerError::Same));
    assert_eq!((say(0, 2, "a", "c"), say(0, 3, "b", "a")), (Ok(()), Ok(())));
    assert_eq!(say(10_000, 4, "a", "b"), Ok(()));
    assert_eq!(say(10_001, 4, "a", "b"), Ok(()), "one that passed counts as itself");
}

#[test]
fn fifty_wait_for_one_peer_and_one_that_may_not_pass_leaves_no_trace() {
    let mut book = Book::default();
    for id in 0..WAITING {
        assert_eq!(
            book.send(0, &message(id, &format!("s{}", id % 3), "b", &id.to_string())),
            Ok(())
        );
    }
    let last = message(50, "a", "b", "x");
    assert_eq!(book.send(0, &last), Err(PeerError::Waiting));
    assert_eq!(book.send(0, &message(51, "a", "c", "x")), Ok(()));
    assert_eq!(book.hold(0, last), Ok(vec![]));
    assert_eq!(book.release(0, "m50"), Err(PeerError::Waiting));
    book.heard("b");
    assert_eq!(book.release(0, "m50").unwrap().unwrap().body, "x");
    assert_eq!(book.release(0, "m50"), Ok(None));
}

#[test]
fn what_is_held_is_bounded_in_number_and_in_bytes_and_the_oldest_goes() {
    let mut book = Book::default();
    let from = |id| format!("s{}", id / 10);
    for id in 0..MAX_HELD {
        assert_eq!(book.hold(0, message(id, &from(id), "b", &id.to_string())), Ok(vec![]));
    }
    assert_eq!(book.hold(7, message(100, "a", "b", "x")).unwrap()[0].id, "m0");
    assert_eq!((book.find("m0"), book.held().last().unwrap().at), (None, 7));
    assert_eq!(book.take("m1").unwrap().id, "m1");
    assert_eq!(book.take("m1"), None);
    assert_eq!(book.hold(8, message(101, "a", "b", "x")), Err(PeerError::Same));
    // A control character is six bytes of JSON.
    let large = "\u{1}".repeat(1 << 20);
    assert_eq!(book.hold(8, message(200, "a", "b", &large)).unwrap().len(), 0);
    assert_eq!(book.hold(9, message(201, "c", "b", &large)).unwrap().len(), 100);
    assert_eq!((book.held().count(), book.held_bytes), (1, 6 * large.len() + 2));
}

proptest! {
    #[test]
    fn no_minute_has_more_than_twenty_of_a_pair(gaps in prop::collection::vec(0..9_000_i64, 1..120)) {
        let (mut book, mut now, mut passed) = (Book::default(), 0, Vec::new());
        for (id, gap) in gaps.into_iter().enumerate() {
            now += gap;
            let recent = passed.iter().filter(|at| now - **at < 60_000).count();
            let admitted = book.send(now, &message(id, "a", "b", &id.to_string()));
            prop_assert_eq!(admitted, if recent < 20 { Ok(()) } else { Err(PeerError::PerPair) });
            if admitted.is_ok() {
                book.heard("b");
                passed.push(now);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_held_counts_its_bytes(
        steps in prop::collection::vec((0..200_usize, prop::option::of(0..200_usize)), 1..200),
    ) {
        let mut book = Book::default();
        for (id, (size, taken)) in steps.into_iter().enumerate() {
            book.hold(0, message(id, &id.to_string(), "b", &"x".repeat(size))).unwrap();
            if let Some(id) = taken {
                book.take(&format!("m{id}"));
            }
            prop_assert_eq!(book.held_bytes, book.held().map(|it| it.message.body.len() + 2).sum::<usize>());
            prop_assert!(book.held().count() <= MAX_HELD);
        }
    }
}
