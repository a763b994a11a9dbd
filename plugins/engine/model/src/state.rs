//! State as checks see it: values by key.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

/// What is known of the state at one moment.
pub trait StateView {
    /// The value of a key, if the key is there.
    fn get(&self, key: &str) -> Option<&Value>;

    /// Whether the key is there, also with a `null`.
    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }
}

impl StateView for Map<String, Value> {
    fn get(&self, key: &str) -> Option<&Value> {
        Self::get(self, key)
    }
}

impl StateView for BTreeMap<String, Value> {
    fn get(&self, key: &str) -> Option<&Value> {
        Self::get(self, key)
    }
}

impl StateView for HashMap<String, Value> {
    fn get(&self, key: &str) -> Option<&Value> {
        Self::get(self, key)
    }
}
