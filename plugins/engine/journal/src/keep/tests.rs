//! Which journals go, without a disk.

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Time {
    DateTime::from_timestamp(second, 0).unwrap().into()
}

fn file(name: &str, modified: i64, bytes: u64) -> Found {
    let (name, path) = (name.to_owned(), PathBuf::from(name));
    Found { name, path, bytes, modified: at(modified), half: false }
}

fn names(files: Vec<Found>) -> Vec<String> {
    files.into_iter().map(|file| file.name).collect()
}

#[test]
fn the_oldest_go_and_an_open_one_never() {
    let files = || vec![file("c", 30, 10), file("a", 10, 10), file("b", 20, 10)];
    let gone = |open: &[&str], keep| {
        let open = open.iter().map(|it| (*it).to_owned()).collect();
        names(expired(files(), &open, keep, at(100)))
    };
    let age = Keep { max_age: Some(TimeDelta::seconds(80)), max_bytes: None };
    let bytes = Keep { max_age: None, max_bytes: Some(15) };
    assert_eq!(gone(&[], Keep::default()), Vec::<String>::new());
    assert_eq!(gone(&[], age), ["a"]);
    assert_eq!(gone(&["a"], age), Vec::<String>::new());
    assert_eq!(gone(&[], bytes), ["a", "b"]);
    assert_eq!(gone(&["a"], bytes), ["b", "c"]);
    assert_eq!(gone(&["b", "c"], bytes), ["a"], "open ones count, and stay");
}

#[test]
fn what_is_left_of_a_rewrite_goes_once_nobody_writes_it() {
    let half = || vec![Found { half: true, ..file("a", 99, 1) }];
    assert_eq!(names(expired(half(), &HashSet::new(), Keep::default(), at(100))), ["a"]);
    let open = HashSet::from(["a".to_owned()]);
    assert!(expired(half(), &open, Keep::default(), at(100)).is_empty());
}

proptest! {
    #[test]
    fn what_stays_is_within_and_nothing_goes_without_need(
        rows in prop::collection::vec((0..100i64, 0..50u64, any::<bool>()), 0..20),
        age in prop::option::of(0..100i64),
        most in prop::option::of(0..500u64),
    ) {
        let files: Vec<_> = rows.iter().enumerate()
            .map(|(n, (modified, bytes, _))| file(&format!("{n:02}"), *modified, *bytes)).collect();
        let open: HashSet<_> = rows.iter().enumerate()
            .filter(|(_, row)| row.2).map(|(n, _)| format!("{n:02}")).collect();
        let keep = Keep { max_age: age.map(TimeDelta::seconds), max_bytes: most };
        let gone = names(expired(files.clone(), &open, keep, at(100)));
        prop_assert!(gone.iter().all(|name| !open.contains(name)));
        let stay: Vec<_> = files.iter().filter(|it| !gone.contains(&it.name)).collect();
        let ended = |it: &&&Found| !open.contains(&it.name);
        let bytes: u64 = stay.iter().map(|it| it.bytes).sum();
        prop_assert!(stay.iter().filter(ended).all(|it| age.is_none_or(|age| *it.modified >= *at(100 - age))));
        prop_assert!(most.is_none_or(|most| bytes <= most) || stay.iter().filter(ended).count() == 0);
        // Oldest first: who stays is not older than who went for the sake of room.
        let newest_gone = files.iter().filter(|it| gone.contains(&it.name)).map(|it| it.modified).max();
        let oldest_stays = stay.iter().filter(ended).map(|it| it.modified).min();
        if let (Some(gone), Some(stays)) = (newest_gone, oldest_stays) {
            prop_assert!(gone <= stays);
        }
    }
}
