//! Which runs have been kept for long enough. Pure.

use std::cmp::Reverse;

use carport_core::Time;
use chrono::TimeDelta;

use crate::index::Kept;

/// What an agent's runs that have ended may take. An absent bound does not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) max_age: Option<TimeDelta>,
    pub(crate) max_runs: Option<usize>,
    pub(crate) max_bytes: Option<u64>,
}

/// The runs of one agent that are beyond the policy. The newest by start stay.
pub(crate) fn expired(mut kept: Vec<Kept>, policy: Policy, now: Time) -> Vec<String> {
    kept.sort_unstable_by_key(|it| Reverse((it.started_at, it.run_id.clone())));
    let oldest = policy.max_age.and_then(|age| now.checked_sub_signed(age));
    let (mut runs, mut bytes) = (0, 0u64);
    let stays = |run: &Kept| {
        runs += 1;
        bytes = bytes.saturating_add(run.bytes);
        oldest.is_none_or(|oldest| *run.ended_at >= oldest)
            && policy.max_runs.is_none_or(|most| runs <= most)
            // However large, the newest run stays.
            && policy.max_bytes.is_none_or(|most| bytes <= most || runs == 1)
    };
    let (_, expired): (Vec<_>, Vec<_>) = kept.into_iter().partition(stays);
    expired.into_iter().map(|run| run.run_id).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Time {
        DateTime::from_timestamp(second, 0).unwrap().into()
    }

    fn run(n: i64, ended: i64, bytes: u64) -> Kept {
        Kept { run_id: format!("r{n}"), started_at: at(n), ended_at: at(ended), bytes }
    }

    fn names(of: &[i64]) -> Vec<String> {
        of.iter().map(|n| format!("r{n}")).collect()
    }

    #[test]
    fn age_counts_from_the_end_and_the_newest_by_start_stay() {
        let kept = || vec![run(1, 50, 10), run(2, 5, 10), run(3, 40, 10)];
        let none = Policy::default();
        assert_eq!(expired(kept(), none, at(1000)), names(&[]));
        let age = Policy { max_age: Some(TimeDelta::seconds(20)), ..none };
        assert_eq!(expired(kept(), age, at(60)), names(&[2]));
        assert_eq!(
            expired(kept(), age, at(1)),
            names(&[]),
            "a clock that went back removes nothing"
        );
        let count = Policy { max_runs: Some(1), ..none };
        assert_eq!(expired(kept(), count, at(60)), names(&[2, 1]));
        let bytes = Policy { max_bytes: Some(20), ..none };
        assert_eq!(expired(kept(), bytes, at(60)), names(&[1]));
        let tiny = Policy { max_bytes: Some(1), ..none };
        assert_eq!(expired(kept(), tiny, at(60)), names(&[2, 1]));
    }

    proptest! {
        #[test]
        fn what_stays_is_within_and_nothing_goes_without_need(
            runs in prop::collection::vec((0..100i64, 0..100i64, 0..50u64), 0..30),
            age in prop::option::of(0..100i64),
            most in prop::option::of(1..20usize),
            bytes in prop::option::of(0..400u64),
        ) {
            let kept: Vec<_> = runs.iter().enumerate()
                .map(|(n, (start, ended, bytes))| Kept {
                    run_id: format!("{n:03}"), started_at: at(*start), ended_at: at(*ended), bytes: *bytes,
                }).collect();
            let max_age = age.map(TimeDelta::seconds);
            let policy = Policy { max_age, max_runs: most, max_bytes: bytes };
            let gone = expired(kept.clone(), policy, at(100));
            let stay: Vec<_> = kept.iter().filter(|it| !gone.contains(&it.run_id)).collect();
            prop_assert!(stay.iter().all(|it| age.is_none_or(|age| it.ended_at >= at(100 - age))));
            prop_assert!(most.is_none_or(|most| stay.len() <= most));
            let total: u64 = stay.iter().map(|it| it.bytes).sum();
            prop_assert!(bytes.is_none_or(|bytes| total <= bytes || stay.len() == 1));
            let all = u64::try_from(kept.len()).unwrap() * 50;
            let loose = most.is_none_or(|most| kept.len() <= most) && bytes.is_none_or(|it| all <= it);
            if age.is_none() && loose {
                prop_assert!(gone.is_empty());
            }
        }
    }
}
