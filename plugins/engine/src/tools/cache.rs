//! Results that stand for calls: bounded by entries, by bytes and by age. Pure: the time is passed in.

use std::collections::{BTreeMap, HashMap};

use carport_core::Time;
use chrono::TimeDelta;
use serde_json::Value;

/// Entries of one cache.
const MAX_ENTRIES: usize = 4096;
/// Bytes of JSON of keys and results of one cache.
const MAX_BYTES: usize = 16 << 20;

/// Successful results by key. The oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<String, Entry>,
    /// By the number of their insertion.
    order: BTreeMap<u64, String>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    tool: String,
    output: Value,
    until: Time,
    bytes: usize,
    number: u64,
}

impl Cache {
    pub(crate) fn get(&mut self, key: &str, now: Time) -> Option<Value> {
        match self.entries.get(key) {
            Some(entry) if entry.until > now => Some(entry.output.clone()),
            Some(_) => {
                self.remove(key);
                None
            }
            None => None,
        }
    }

    /// Keeps a result for `life`. One that is larger than the whole cache is not kept.
    pub(crate) fn put(
        &mut self,
        key: String,
        tool: &str,
        output: &Value,
        now: Time,
        life: TimeDelta,
    ) {
        let bytes = key.len() + serde_json::to_vec(output).map_or(usize::MAX / 2, |it| it.len());
        self.remove(&key);
        if bytes > MAX_BYTES {
            return;
        }
        while self.entries.len() >= MAX_ENTRIES || self.bytes + bytes > MAX_BYTES {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(&oldest);
        }
        self.next += 1;
        let number = self.next;
        let until = now.checked_add_signed(life).map_or(now, Time::from);
        self.order.insert(number, key.clone());
        self.bytes += bytes;
        let (tool, output) = (tool.to_owned(), output.clone());
        self.entries.insert(key, Entry { tool, output, until, bytes, number });
    }

    /// Forgets every result of a tool.
    pub(crate) fn forget(&mut self, tool: &str) {
        let of_tool = self.entries.iter().filter(|(_, entry)| entry.tool == tool);
        let keys: Vec<_> = of_tool.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.number);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn at(secs: i64) -> Time {
        (chrono::DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)).into()
    }

    #[test]
    fn a_result_lives_its_time_and_goes_with_its_tool() {
        let mut cache = Cache::default();
        let life = TimeDelta::seconds(10);
        cache.put("k".into(), "t", &json!(1), at(0), life);
        cache.put("l".into(), "u", &json!(2), at(0), life);
        assert_eq!(cache.get("k", at(9)), Some(json!(1)));
        assert_eq!(cache.get("k", at(10)), None);
        cache.put("k".into(), "t", &json!(3), at(20), life);
        cache.forget("t");
        assert_eq!(cache.get("k", at(20)), None);
        assert_eq!(cache.get("l", at(5)), Some(json!(2)));
    }

    #[test]
    fn what_is_larger_than_the_cache_is_not_kept() {
        let mut cache = Cache::default();
        cache.put("small".into(), "t", &json!(1), at(0), TimeDelta::seconds(10));
        let huge = json!("x".repeat(MAX_BYTES));
        cache.put("huge".into(), "t", &huge, at(0), TimeDelta::seconds(10));
        assert_eq!(cache.get("huge", at(1)), None);
        assert_eq!(cache.get("small", at(1)), Some(json!(1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]
        #[test]
        fn the_bounds_hold(sizes in prop::collection::vec(1usize..6_000_000, 1..8)) {
            let mut cache = Cache::default();
            for (n, size) in sizes.iter().enumerate() {
                let output = json!("x".repeat(*size));
                cache.put(format!("{}", n % 7), "t", &output, at(0), TimeDelta::seconds(1));
                let bytes: usize = cache.entries.values().map(|it| it.bytes).sum();
                prop_assert_eq!(bytes, cache.bytes);
                prop_assert!(bytes <= MAX_BYTES && cache.entries.len() == cache.order.len());
            }
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut cache = Cache::default();
        for n in 0..=MAX_ENTRIES {
            cache.put(format!("{n}"), "t", &json!(n), at(0), TimeDelta::seconds(10));
        }
        assert_eq!(cache.get("0", at(1)), None);
        assert_eq!(cache.get("1", at(1)), Some(json!(1)));
        assert_eq!(cache.entries.len(), MAX_ENTRIES);
    }
}
