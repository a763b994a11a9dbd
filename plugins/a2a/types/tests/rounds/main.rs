//! Whatever object there is, it survives its way over the wire, in either spelling and either version, and is
//! what the official schemas say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cards;
mod made;
#[path = "../official/mod.rs"]
mod official;
mod schemas;

use carport_a2a_types::{
    NewPushConfig, PushConfig, SendMessage, StreamResponse, Version, card::AgentCard, read::read,
    v03,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    cards::card,
    made::{event, json, push_config},
};

/// The same object in snake_case; what is free JSON stays as it is.
fn snake(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| match name.as_str() {
                "metadata" | "data" => (name, value),
                _ => (snake_name(&name), snake(value)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(snake).collect(),
        other => other,
    }
}

fn snake_name(name: &str) -> String {
    let letters = name.chars().flat_map(|letter| {
        let mark = letter.is_ascii_uppercase().then_some('_');
        mark.into_iter().chain([letter.to_ascii_lowercase()])
    });
    letters.collect()
}

proptest! {
    #[test]
    fn v1_and_back_in_either_spelling(event in event()) {
        let json = serde_json::to_value(&event).unwrap();
        prop_assert_eq!(&read::<StreamResponse>(json.clone(), Version::V1).unwrap(), &event);
        prop_assert_eq!(read::<StreamResponse>(snake(json), Version::V1).unwrap(), event);
    }

    #[test]
    fn v03_and_back_in_either_spelling(event in event(), last in any::<bool>()) {
        let json = serde_json::to_value(v03::StreamResponse::of(event.clone(), last)).unwrap();
        prop_assert_eq!(&read::<StreamResponse>(json.clone(), Version::V03).unwrap(), &event);
        prop_assert_eq!(&read::<StreamResponse>(snake(json), Version::V03).unwrap(), &event);
    }

    #[test]
    fn receivers_and_back(config in push_config()) {
        let json = serde_json::to_value(&config).unwrap();
        prop_assert!(read::<PushConfig>(json.clone(), Version::V1).unwrap() == config);
        prop_assert!(read::<PushConfig>(snake(json), Version::V1).unwrap() == config);
        let older = serde_json::to_value(v03::TaskPushConfig::from(config.clone())).unwrap();
        for older in [older.clone(), snake(older)] {
            let NewPushConfig { task_id, config: read } = read(older, Version::V03).unwrap();
            let again = PushConfig { task_id: Some(task_id), ..read };
            prop_assert!(again == config);
        }
    }

    #[test]
    fn cards_and_back(card in card()) {
        let json = serde_json::to_value(&card).unwrap();
        prop_assert_eq!(&read::<AgentCard>(json, Version::V1).unwrap(), &card);
        let older = serde_json::to_value(v03::AgentCard::of(card.clone())).unwrap();
        prop_assert_eq!(&read::<AgentCard>(older, Version::V03).unwrap(), &card);
        let both = v03::union(&card);
        prop_assert_eq!(&read::<AgentCard>(both.clone(), Version::V1).unwrap(), &card);
        prop_assert_eq!(read::<AgentCard>(both, Version::V03).unwrap(), card);
    }

    #[test]
    fn nothing_that_is_read_panics(json in json()) {
        for version in [Version::V1, Version::V03] {
            drop(read::<StreamResponse>(json.clone(), version));
            drop(read::<SendMessage>(json!({ "message": json }), version));
            drop(read::<AgentCard>(json.clone(), version));
        }
    }
}
