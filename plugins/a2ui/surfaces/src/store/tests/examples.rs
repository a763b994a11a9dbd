//! The official examples apply, and what they make can be made again.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::{client, store};
use crate::Limits;

#[test]
fn every_example_applies_and_is_replayed_whole() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data/examples");
    let mut applied = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let example: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut first = store();
        let mut id = String::new();
        for message in example["messages"].as_array().unwrap() {
            let outcome = first.send(&client(), message.clone());
            id = outcome.unwrap_or_else(|fault| panic!("{}: {fault:?}", path.display())).surface_id;
        }
        let replayed = first.get(&client(), &id).unwrap();
        assert_eq!(
            replayed.bytes() - replayed.head_bytes,
            replayed.components.bytes() + replayed.model.root().to_string().len()
        );
        for most in [1 << 20, 3000, 1100] {
            let mut second = store();
            let limits = Limits { max_envelope_bytes: most, ..Limits::default() };
            for envelope in replayed.envelopes(&limits) {
                second.send(&client(), envelope).unwrap();
            }
            let again = second.get(&client(), &id).unwrap();
            assert!(again.components.iter().eq(replayed.components.iter()), "{}", path.display());
            assert_eq!(again.model, replayed.model, "{}", path.display());
            assert_eq!((&again.theme, again.catalog_id), (&replayed.theme, replayed.catalog_id));
            assert_eq!(again.send_data_model, replayed.send_data_model);
        }
        applied += 1;
    }
    assert_eq!(applied, 43);
}
