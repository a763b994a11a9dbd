//! Who goes first, against a look at every task.

use carport_a2a_types::TaskState;
use chrono::DateTime;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::log::Change;

fn at(second: u16) -> Time {
    (DateTime::UNIX_EPOCH + TimeDelta::seconds(second.into())).into()
}

#[derive(Debug, Clone)]
enum Step {
    Begin(usize),
    End(u8, u16),
    Receivers(u8, bool),
    Stuck(u8),
    Remove(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0u8..24;
    prop_oneof![
        4 => (0..OWNERS.len()).prop_map(Step::Begin),
        4 => (id(), 0u16..200).prop_map(|(id, at)| Step::End(id, at)),
        2 => (id(), any::<bool>()).prop_map(|(id, untold)| Step::Receivers(id, untold)),
        1 => id().prop_map(Step::Stuck),
        2 => id().prop_map(Step::Remove),
    ]
}

const OWNERS: [&str; 3] = ["ann", "bob", "cid"];

/// As the store's contract words it: rather one of long ago with nobody left to tell, rather the caller's own,
/// rather one of whoever has the most, and of these the one that ended first; one that is stuck last of all.
fn first(index: &Index, owner: &str, now: Time) -> Option<String> {
    let tasks = |owner: &str| index.rows.values().filter(|row| row.owner == owner).count();
    let ended = index.rows.iter().filter(|(_, row)| row.progress.state.is_terminal());
    let ranked = ended.map(|(id, row)| {
        let wanted = !row.stuck && (row.untold || *now - *row.progress.status_at < FRESH);
        let of_other = row.owner != owner;
        (row.stuck, wanted, of_other, Reverse(tasks(&row.owner)), row.progress.status_at, id)
    });
    ranked.min().map(|it| it.5.clone())
}

proptest! {
    #[test]
    fn the_one_that_goes_first_is_found_among_all(steps in vec(step(), 0..80), now in 0u16..300) {
        let mut index = Index::default();
        let mut made = 0u8;
        for step in steps {
            match step {
                Step::Begin(owner) => {
                    let progress = Progress::begun(at(0), 9);
                    let row = Row::new(OWNERS[owner].into(), "c".into(), progress, 9);
                    index.insert(made.to_string(), row);
                    made += 1;
                }
                Step::End(id, second) => {
                    let id = id.to_string();
                    if index.row(&id).is_some_and(|row| !row.progress.state.is_terminal()) {
                        let change = Change::state(TaskState::Completed, None);
                        let stored = Stored { seq: 1, at: at(second), change };
                        index.note(&id, &stored.into(), 0, 9);
                    }
                }
                Step::Receivers(id, untold) => index.note_receivers(&id.to_string(), untold),
                Step::Stuck(id) => index.note_stuck(&id.to_string()),
                Step::Remove(id) => drop(index.remove(&id.to_string())),
            }
            for owner in OWNERS {
                prop_assert_eq!(index.dispensable(owner, at(now)), first(&index, owner, at(now)));
            }
        }
    }
}
