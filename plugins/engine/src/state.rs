//! State keys of one runtime, by tenant, with what it takes to undo a proposal's writes. Pure.

use std::collections::{BTreeMap, HashMap, btree_map};

use carport_core::RpcError;
use serde_json::{Map, Value};

/// Keys of one runtime, over all tenants.
const MAX_KEYS: usize = 100_000;
/// Bytes of keys and values of one runtime.
const MAX_BYTES: usize = 64 << 20;
/// Bytes of JSON of one value.
pub(crate) const MAX_VALUE: usize = 1 << 20;

/// Why a write does not fit. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("state keys of a connection: the limit is {MAX_KEYS}")]
    Keys,
    #[error("bytes of state of a connection: the limit is {MAX_BYTES}")]
    Bytes,
    #[error("bytes of a state value: the limit is {MAX_VALUE}")]
    Value,
}

impl From<Full> for RpcError {
    fn from(full: Full) -> Self {
        match full {
            Full::Keys => Self::limit("state keys of a connection", MAX_KEYS as u64),
            Full::Bytes => Self::limit("bytes of state of a connection", MAX_BYTES as u64),
            Full::Value => Self::limit("bytes of a state value", MAX_VALUE as u64),
        }
    }
}

/// Whose keys: the empty name is no tenant.
pub(crate) type Tenant = str;

/// The state of a runtime.
#[derive(Debug, Default)]
pub(crate) struct State {
    tenants: HashMap<String, BTreeMap<String, Entry>>,
    keys: usize,
    bytes: usize,
    /// Counts writes; a key that has the stamp of one's last write was not written by others since.
    stamp: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    bytes: usize,
    stamp: u64,
}

/// What a proposal wrote: each key's value before, and the stamp of the last write. The value before is
/// what others wrote last, also in between.
#[derive(Debug, Default)]
pub(crate) struct Undo(BTreeMap<String, (Option<Entry>, u64)>);

impl State {
    pub(crate) fn get(&self, tenant: &Tenant, key: &str) -> Option<&Value> {
        self.tenants.get(tenant)?.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn has(&self, tenant: &Tenant, key: &str) -> bool {
        self.get(tenant, key).is_some()
    }

    /// Sorted.
    pub(crate) fn keys(&self, tenant: &Tenant) -> Vec<String> {
        self.tenants.get(tenant).map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    pub(crate) fn snapshot(&self, tenant: &Tenant) -> Map<String, Value> {
        let keys = self.tenants.get(tenant).into_iter().flatten();
        keys.map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
    }

    /// Writes keys, all of them or none, and remembers in `undo` what they were.
    pub(crate) fn write(
        &mut self,
        tenant: &Tenant,
        writes: &Map<String, Value>,
        undo: &mut Undo,
    ) -> Result<(), Full> {
        let sizes = writes.iter().map(|(key, value)| Ok((key, key.len() + size(value)?)));
        let sizes: Vec<_> = sizes.collect::<Result<_, Full>>()?;
        let held = self.tenants.get(tenant);
        let (mut keys, mut bytes) = (self.keys, self.bytes);
        for (key, size) in &sizes {
            let old = held.and_then(|held| held.get(*key));
            keys += usize::from(old.is_none());
            bytes = bytes + size - old.map_or(0, |old| old.bytes);
        }
        match (keys <= MAX_KEYS, bytes <= MAX_BYTES) {
            (false, _) => return Err(Full::Keys),
            (_, false) => return Err(Full::Bytes),
            _ => {}
        }
        for ((key, value), (_, bytes)) in writes.iter().zip(sizes) {
            self.stamp += 1;
            let entry = Entry { value: value.clone(), bytes, stamp: self.stamp };
            let old = self.replace(tenant, key, Some(entry));
            match undo.0.entry(key.clone()) {
                btree_map::Entry::Vacant(place) => {
                    place.insert((old, self.stamp));
                }
                btree_map::Entry::Occupied(mut place) => {
                    let (former, stamp) = place.get_mut();
                    if old.as_ref().is_none_or(|old| old.stamp != *stamp) {
                        *former = old;
                    }
                    *stamp = self.stamp;
                }
            }
        }
        Ok(())
    }

    /// Gives every key in `undo` its former value, unless somebody else wrote it since. Returns the
    /// keys that were given back.
    pub(crate) fn roll_back(&mut self, tenant: &Tenant, undo: Undo) -> Vec<String> {
        let mut restored = Vec::new();
        for (key, (former, stamp)) in undo.0 {
            let now = self.tenants.get(tenant).and_then(|keys| keys.get(&key));
            if now.is_some_and(|entry| entry.stamp == stamp) {
                self.replace(tenant, &key, former);
                restored.push(key);
            }
        }
        restored
    }

    fn replace(&mut self, tenant: &Tenant, key: &str, entry: Option<Entry>) -> Option<Entry> {
        let (keys, bytes) = entry.as_ref().map_or((0, 0), |entry| (1, entry.bytes));
        let old = match entry {
            Some(entry) => {
                let space = self.tenants.entry(tenant.to_owned()).or_default();
                space.insert(key.to_owned(), entry)
            }
            None => {
                let space = self.tenants.get_mut(tenant)?;
                let old = space.remove(key);
                if space.is_empty() {
                    self.tenants.remove(tenant);
                }
                old
            }
        };
        let (old_keys, old_bytes) = old.as_ref().map_or((0, 0), |old| (1, old.bytes));
        self.keys = self.keys + keys - old_keys;
        self.bytes = self.bytes + bytes - old_bytes;
        old
    }
}

fn size(value: &Value) -> Result<usize, Full> {
    let size = serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
    if size <= MAX_VALUE { Ok(size) } else { Err(Full::Value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn one(key: &str, value: Value) -> Map<String, Value> {
        Map::from_iter([(key.to_owned(), value)])
    }

    #[test]
    fn tenants_see_only_their_own_keys() {
        let mut state = State::default();
        state.write("", &one("k", json!(0)), &mut Undo::default()).unwrap();
        state.write("a", &one("k", json!(1)), &mut Undo::default()).unwrap();
        assert_eq!(state.get("", "k"), Some(&json!(0)));
        assert_eq!(state.get("a", "k"), Some(&json!(1)));
        assert!(!state.has("b", "k"));
        assert_eq!(state.keys("a"), ["k"]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut state = State::default();
        let large = json!("x".repeat(MAX_VALUE - 2));
        for n in 0..63 {
            let key = format!("k{n}");
            state.write("", &one(&key, large.clone()), &mut Undo::default()).unwrap();
        }
        let mut two = one("p", large.clone());
        two.insert("q".into(), large);
        assert_eq!(state.write("t", &two, &mut Undo::default()), Err(Full::Bytes));
        assert!(state.keys("t").is_empty());
        let longer = one("p", json!("x".repeat(MAX_VALUE)));
        assert_eq!(state.write("t", &longer, &mut Undo::default()), Err(Full::Value));
    }

    proptest! {
        /// However writes of a proposal and of others mingle: afterwards the state is as if only the
        /// others had written, and the counters fit what is there.
        #[test]
        fn rolling_back_restores_what_others_left_alone(
            before in prop::collection::btree_map("[a-e]", any::<u8>(), 0..5),
            writes in prop::collection::vec(("[a-e]", any::<u8>(), any::<bool>()), 0..20),
        ) {
            let mut state = State::default();
            for (key, value) in &before {
                state.write("t", &one(key, json!(value)), &mut Undo::default()).unwrap();
            }
            let mut expected = state.snapshot("t");
            let mut undo = Undo::default();
            for (key, value, own) in &writes {
                let mut others = Undo::default();
                let into = if *own { &mut undo } else { &mut others };
                state.write("t", &one(key, json!(value)), into).unwrap();
                if !own {
                    expected.insert(key.clone(), json!(value));
                }
            }
            state.roll_back("t", undo);
            prop_assert_eq!(state.snapshot("t"), expected);
            let held = state.tenants.values().flatten();
            let (keys, bytes) = held.fold((0, 0), |(k, b), (_, entry)| (k + 1, b + entry.bytes));
            prop_assert_eq!((state.keys, state.bytes), (keys, bytes));
        }
    }
}
