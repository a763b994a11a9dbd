//! Tests of what a transcript's file says after it was cut anywhere, and of paging.

use proptest::prelude::*;

use super::*;
use crate::{Owner, Role};

fn segment(n: u64, text: &str) -> Segment {
    Segment {
        n,
        source: "main".into(),
        speaker: "S1".into(),
        text: text.into(),
        start_ms: n * 1000,
        end_ms: n * 1000 + 700,
        at: <_>::default(),
        confidence: Some(0.5),
        language: Some("en".into()),
        words: None,
    }
}

fn file(segments: &[Segment]) -> String {
    segments.iter().map(|it| line(it).unwrap()).collect()
}

fn all(bytes: &[u8]) -> Read {
    read(bytes, Wanted::ALL).unwrap()
}

fn wanted(from: u64, limit: usize, bytes: usize) -> Wanted {
    Wanted { from, limit, bytes }
}

fn recording() -> Meeting {
    let owner = Owner { role: Role::Agent, agent_id: Some("a".into()) };
    Meeting::begin("m".into(), String::new(), <_>::default(), owner, false)
}

#[test]
fn a_later_line_replaces_an_earlier_one_in_its_place() {
    let corrected = Segment { speaker: "Ann".into(), ..segment(0, "one") };
    let text = file(&[segment(0, "one"), segment(1, "two"), corrected.clone()]);
    assert_eq!(all(text.as_bytes()).segments, [corrected, segment(1, "two")]);
}

#[test]
fn damaged_lines_are_counted_and_the_rest_is_there() {
    let text = format!("{}no JSON\n\n{}", file(&[segment(0, "one")]), file(&[segment(1, "two")]));
    let mut bytes = text.into_bytes();
    bytes.extend(b"\xff\xfe\n{\"n\":2");
    let whole = bytes.len() - 6;
    let found = all(&bytes);
    assert_eq!(found.segments, [segment(0, "one"), segment(1, "two")]);
    assert_eq!((found.damaged, found.whole), (vec![2, 3, 5], whole as u64));
}

#[test]
fn a_meeting_that_was_cut_off_ends_with_its_last_segment() {
    let text = [segment(0, "one two"), segment(1, "three")];
    let found = recovered(recording(), &text).unwrap();
    assert_eq!((found.status, found.ended_by), (Status::Interrupted, Some(EndedBy::Crash)));
    assert_eq!(found.ended_at, Some(found.time_at(1700)));
    assert_eq!((found.segments, found.words, found.duration_ms), (2, 3, 1700));
    assert_eq!(found.participants[0].speech_ms, 1400);
    assert_eq!(recovered(found, &text), None, "it is done once");
    let empty = recovered(recording(), &[]).unwrap();
    assert_eq!(empty.ended_at, Some(empty.started_at));
}

#[test]
fn a_status_goes_one_way() {
    use Status::{Ended, Failed, Interrupted, Recording};
    for from in [Recording, Ended, Interrupted, Failed] {
        for to in [Recording, Ended, Interrupted, Failed] {
            let mut meeting = Meeting { status: from, ..recording() };
            let went = meeting.end(to, <_>::default(), EndedBy::Stop).is_ok();
            let may = from == Recording && to != Recording || (from, to) == (Interrupted, Ended);
            assert_eq!((went, meeting.status == to), (may, may || from == to), "{from:?} {to:?}");
        }
    }
}

#[test]
fn a_page_holds_what_it_may_and_at_least_one() {
    let all: Vec<_> = (0..10).filter(|n| *n != 4).map(|n| segment(n, "text")).collect();
    let numbers = |page: &Page<'_>| page.segments.iter().map(|it| it.n).collect::<Vec<_>>();
    let first = page(&all, wanted(3, 3, usize::MAX));
    assert_eq!((numbers(&first), first.next), (vec![3, 5, 6], Some(7)));
    let tight = page(&all, wanted(7, 100, 1));
    assert_eq!((numbers(&tight), tight.next), (vec![7], Some(8)));
    let last = page(&all, wanted(8, 100, usize::MAX));
    assert_eq!((numbers(&last), last.next), (vec![8, 9], None));
    assert_eq!(page(&all, wanted(50, 100, usize::MAX)).segments.len(), 0);
}

/// A reader of more bytes than anybody could hold, which says how much was asked for at once.
struct Endless {
    left: u64,
    line: Vec<u8>,
}

impl io::Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        into[..count].fill(b'x');
        self.left -= count as u64;
        match count {
            0 => self.line.as_slice().read(into).inspect(|it| drop(self.line.drain(..*it))),
            _ => Ok(count),
        }
    }
}

#[test]
fn a_line_without_end_is_passed_over_and_not_held() {
    let after = format!("\n{}", line(&segment(7, "after it")).unwrap());
    let length = after.len() as u64;
    let endless = Endless { left: 20 << 20, line: after.into_bytes() };
    let found = read(io::BufReader::new(endless), Wanted::ALL).unwrap();
    assert_eq!(found.segments, [segment(7, "after it")]);
    assert_eq!((found.damaged, found.whole), (vec![1], (20 << 20) + length));
    // The longest line that is read.
    let fits = line(&segment(0, &"x".repeat(MOST_LINE - line(&segment(0, "")).unwrap().len())));
    assert_eq!(all(fits.unwrap().as_bytes()).segments.len(), 1);
}

fn any_segment() -> impl Strategy<Value = Segment> {
    (0u64..20, ".{0,40}", ".{0,12}", any::<u32>(), prop::option::of(0.0f64..1.0)).prop_map(
        |(n, text, speaker, start, confidence)| Segment {
            speaker,
            start_ms: start.into(),
            confidence,
            ..segment(n, &text)
        },
    )
}

proptest! {
    /// A kill at any byte: what was written whole is there, the rest is not, and nothing else is read.
    #[test]
    fn a_cut_file_holds_every_whole_line(
        segments in prop::collection::vec(any_segment(), 0..12), at in any::<prop::sample::Index>(),
    ) {
        let lines: Vec<_> = segments.iter().map(|it| line(it).unwrap()).collect();
        let text = lines.concat().into_bytes();
        let cut = at.index(text.len() + 1);
        let found = all(&text[..cut]);
        let mut whole = 0;
        let survived = lines.iter().take_while(|it| {
            let fits = whole + it.len() <= cut;
            if fits { whole += it.len(); }
            fits
        }).count();
        let mut expected = BTreeMap::new();
        segments[..survived].iter().for_each(|it| drop(expected.insert(it.n, it.clone())));
        prop_assert_eq!(found.segments, expected.into_values().collect::<Vec<_>>());
        prop_assert_eq!((found.whole, found.damaged), (whole as u64, vec![]));
    }

    /// Pages one after the other are the whole.
    #[test]
    fn pages_join(count in 0u64..40, limit in 1usize..9, bytes in 0usize..3000) {
        let all: Vec<_> = (0..count).map(|n| segment(n, "some text")).collect();
        let (mut joined, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            let page = page(&all, wanted(at, limit, bytes));
            joined.extend(page.segments.into_iter().cloned());
            from = page.next;
        }
        prop_assert_eq!(joined, all);
    }

    /// Pages of a file, of whatever order and with whatever between, are what the whole file says.
    #[test]
    fn pages_of_a_file_join(
        segments in prop::collection::vec(any_segment(), 0..40), limit in 1usize..9, bytes in 0usize..3000,
    ) {
        let text = file(&segments).replace('\n', "\n?\n");
        let (mut joined, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            let page = read(text.as_bytes(), wanted(at, limit, bytes)).unwrap();
            prop_assert!(page.segments.len() <= limit);
            prop_assert!(page.next.is_none_or(|it| it > at));
            prop_assert_eq!(page.damaged.len(), segments.len());
            joined.extend(page.segments);
            from = page.next;
        }
        prop_assert_eq!(joined, all(text.as_bytes()).segments);
    }
}
