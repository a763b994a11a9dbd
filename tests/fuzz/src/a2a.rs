//! Any text as what others send by A2A: parameters, cards, results, URLs, streams and headers. Nothing panics, what
//! is read survives being written, and no reader holds more than it may.

use carport_a2a_outbound::{EventReader, Screen, Target, choose_interface, parse_retry_after};
use carport_a2a_types::{
    CancelTask, GetTask, ListTasks, NewPushConfig, PushConfig, PushConfigOf, PushConfigsOf,
    SendMessage, SendResult, StreamResponse, SubscribeToTask, Task, Version,
    card::AgentCard,
    decode_base64,
    read::{Read, read},
    v03,
};
use carport_core::Time;
use serde_json::Value;

/// Has every reader read the text.
///
/// # Panics
/// If a reader breaks its promise.
pub fn a2a(text: &str) {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        for version in [Version::V1, Version::V03] {
            parameters(&value, version);
            card(&value, version);
        }
        again(&value, |task: &Task| v03::Task::from(task.clone()));
        again(&value, |event: &StreamResponse| v03::StreamResponse::of(event.clone(), true));
    }
    url(text);
    stream(text);
    let _ = parse_retry_after(text, Time::default());
    let _ = decode_base64(text);
}

fn parameters(value: &Value, version: Version) {
    fn one<T: Read>(value: &Value, version: Version) {
        if let Err(error) = read::<T>(value.clone(), version) {
            assert!((1..=32).contains(&error.violations().len()));
        }
    }
    one::<SendMessage>(value, version);
    one::<GetTask>(value, version);
    one::<ListTasks>(value, version);
    one::<CancelTask>(value, version);
    one::<SubscribeToTask>(value, version);
    one::<PushConfig>(value, version);
    one::<NewPushConfig>(value, version);
    one::<PushConfigOf>(value, version);
    one::<PushConfigsOf>(value, version);
    one::<SendResult>(value, version);
}

/// What is read of v1.0 is the same when it was written; and it has a form of v0.3.
fn again<T, O>(value: &Value, older: impl Fn(&T) -> O)
where
    T: Read + serde::Serialize + PartialEq + std::fmt::Debug,
    O: serde::Serialize,
{
    let Ok(it) = read::<T>(value.clone(), Version::V1) else { return };
    let Ok(written) = serde_json::to_value(&it) else { panic!("what is read is written") };
    assert_eq!(read::<T>(written, Version::V1).as_ref(), Ok(&it));
    assert!(serde_json::to_value(older(&it)).is_ok());
}

fn card(value: &Value, version: Version) {
    let Ok(card) = read::<AgentCard>(value.clone(), version) else { return };
    let Ok(asked) = Target::parse("https://a.example") else { return };
    if let Some(chosen) = choose_interface(&card, &asked) {
        assert!(Target::parse(&chosen.url).is_ok_and(|it| it.same_origin(&asked)));
    }
    let _ = serde_json::to_value(v03::AgentCard::of(card));
}

fn url(text: &str) {
    let Ok(target) = Target::parse(text) else { return };
    let canonical = target.canonical();
    assert_eq!(Target::parse(&canonical).map(|it| it.canonical()), Ok(canonical));
    if let Ok(screened) = Screen::default().register(text, carport_a2a_outbound::Consent::Given) {
        assert!(
            screened.is_https()
                && !screened.address().is_some_and(carport_a2a_outbound::is_blocked)
        );
    }
}

fn stream(text: &str) {
    let whole = EventReader::new(64).feed(text.as_bytes());
    let mut reader = EventReader::new(64);
    let mut pieces = Ok(Vec::new());
    for piece in text.as_bytes().chunks(3) {
        pieces = pieces.and_then(|mut all: Vec<_>| {
            all.extend(reader.feed(piece)?);
            Ok(all)
        });
    }
    assert_eq!(whole, pieces, "cuts do not matter");
}
