//! What the official SDK writes is read, and what is written here is what it writes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use carport_a2a_types::{
    Message, NewPushConfig, PushConfig, StreamResponse, Task, TaskStatus, Version,
    card::AgentCard,
    read::{Read, read},
    v03,
};
use serde::Serialize;
use serde_json::{Value, json};

const SAMPLES: &str = include_str!("data/samples.json");

/// The pairs of one type: v1.0 and v0.3.
fn samples(kind: &str) -> Vec<(Value, Value)> {
    let all: Vec<Value> = serde_json::from_str(SAMPLES).unwrap();
    let of_kind = all.into_iter().filter(|it| it["type"] == kind);
    let pairs: Vec<_> = of_kind.map(|it| (it["v1"].clone(), it["v03"].clone())).collect();
    assert!(!pairs.is_empty(), "no sample of {kind}");
    pairs
}

/// Both shapes read as the same object, and each is written as it was.
fn agree<T, O>(kind: &str, older: impl Fn(T) -> O)
where
    T: Read + Serialize + Clone + PartialEq + std::fmt::Debug,
    O: Serialize,
{
    for (v1, v03) in samples(kind) {
        let object: T = read(v1.clone(), Version::V1).unwrap();
        assert_eq!(serde_json::to_value(&object).unwrap(), v1);
        assert_eq!(read::<T>(v03.clone(), Version::V03).unwrap(), object);
        assert_eq!(serde_json::to_value(older(object)).unwrap(), v03);
    }
}

#[test]
fn messages_agree() {
    agree::<Message, _>("message", v03::Message::from);
}

#[test]
fn tasks_agree() {
    agree::<Task, _>("task", v03::Task::from);
}

#[test]
fn every_status_agrees() {
    assert_eq!(samples("status").len(), 8);
    agree::<TaskStatus, _>("status", v03::TaskStatus::from);
}

#[test]
fn events_of_streams_agree() {
    agree::<StreamResponse, _>("stream", |event| v03::StreamResponse::of(event, true));
}

#[test]
fn push_configurations_agree() {
    for (v1, v03) in samples("push") {
        let new: NewPushConfig = read(v1.clone(), Version::V1).unwrap();
        assert_eq!(read::<NewPushConfig>(v03.clone(), Version::V03).unwrap(), new);
        let config = PushConfig { task_id: Some(new.task_id), ..new.config };
        assert_eq!(serde_json::to_value(&config).unwrap(), v1);
        assert_eq!(serde_json::to_value(v03::TaskPushConfig::from(config)).unwrap(), v03);
    }
}

#[test]
fn cards_agree_but_for_two_members_that_the_sdk_leaves_out() {
    agree::<AgentCard, _>("card", |card| {
        let mut older = serde_json::to_value(v03::AgentCard::of(card).unwrap()).unwrap();
        assert_eq!(older["protocolVersion"], "0.3.0");
        older["protocolVersion"] = "0.3".into();
        let capabilities = older["capabilities"].as_object_mut().unwrap();
        assert_eq!(capabilities.remove("stateTransitionHistory"), Some(json!(false)));
        older
    });
}

#[test]
fn a_card_of_both_versions_is_read_as_either() {
    let (v1, _) = samples("card").remove(0);
    let card: AgentCard = read(v1, Version::V1).unwrap();
    let both = v03::union(&card);
    assert_eq!(read::<AgentCard>(both.clone(), Version::V1).unwrap(), card);
    assert_eq!(read::<AgentCard>(both, Version::V03).unwrap(), card);
}

#[test]
fn a_card_without_an_interface_of_the_older_version_has_no_older_form() {
    let (mut v1, _) = samples("card").remove(0);
    for interface in v1["supportedInterfaces"].as_array_mut().unwrap() {
        interface["protocolVersion"] = "1.0".into();
    }
    let card: AgentCard = read(v1, Version::V1).unwrap();
    assert_eq!(v03::AgentCard::of(card.clone()), None);
    assert_eq!(v03::union(&card), serde_json::to_value(&card).unwrap());
}
