//! Any order of words, cancels and leavings: one end a chat, numbers in order, nothing left behind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{super::memory::TEXT_BYTES, *};

const AGENTS: u64 = 3;
const AGENT: Speaker = Speaker::Session(1);

#[derive(Debug, Clone)]
enum Op {
    Open {
        chat: u8,
        agent: u64,
        origin: u64,
    },
    Live {
        chat: u8,
    },
    Say {
        chat: u8,
        from: u64,
        kind: &'static str,
    },
    Cancel {
        chat: u8,
        by: u64,
        host: bool,
    },
    Gone {
        session: u64,
    },
    Sweep {
        later: i64,
    },
    /// The last events that waited for room are queued.
    Room,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let chat = || 0..4u8;
    let kind =
        prop::sample::select(vec!["token", "tool_call", "approval_pending", "done", "error"]);
    let op = prop_oneof![
        3 => (chat(), 0..AGENTS, 10..13u64)
            .prop_map(|(chat, agent, origin)| Op::Open { chat, agent, origin }),
        3 => chat().prop_map(|chat| Op::Live { chat }),
        8 => (chat(), 0..AGENTS, kind).prop_map(|(chat, from, kind)| Op::Say { chat, from, kind }),
        1 => (chat(), 10..13u64, any::<bool>())
            .prop_map(|(chat, by, host)| Op::Cancel { chat, by, host }),
        1 => (0..13u64).prop_map(|session| Op::Gone { session }),
        1 => (0..1000i64).prop_map(|later| Op::Sweep { later }),
        2 => Just(Op::Room),
    ];
    prop::collection::vec(op, 1..80)
}

/// What each chat's originator has heard; the ear is the chat's serial.
#[derive(Default)]
struct Heard {
    all: BTreeMap<u64, Vec<(u64, bool)>>,
    /// Ends that wait for room, by their chats' ids and serials.
    waiting: Vec<(String, u64, u64)>,
}

impl Heard {
    fn take(&mut self, delivery: Option<Delivery<u64>>) {
        let Some(Delivery { ear, serial, events, ending }) = delivery else { return };
        let all = self.all.entry(ear).or_default();
        all.extend(events.iter().map(|event| (event.seq, false)));
        let waits = ending.map(|it| (it.event.session_id, serial, it.event.seq));
        self.waiting.extend(waits);
    }

    fn room(&mut self, book: &mut Book<u64>) {
        for (id, serial, seq) in self.waiting.drain(..) {
            assert!(book.chats.get(&id).is_none_or(|it| it.serial == serial), "the id was free");
            self.all.entry(serial).or_default().push((seq, true));
            book.withdraw(&id, serial);
        }
    }
}

fn members(kind: &str) -> Map<String, Value> {
    let value = match kind {
        "approval_pending" => json!({ "approval_id": "a" }),
        _ => json!({ "delta": "x" }),
    };
    value.as_object().cloned().unwrap_or_default()
}

proptest! {
    #[test]
    fn a_chat_ends_once_and_speaks_in_order_and_only_after_its_reply(ops in ops()) {
        let (mut book, mut heard, mut now) = (Book::<u64>::default(), Heard::default(), 0);
        let (mut serials, mut live) = (BTreeMap::new(), std::collections::BTreeSet::new());
        let name = |chat: u8| format!("c{chat}");
        for op in ops {
            match op {
                Op::Open { chat, agent, origin } => {
                    let new = NewChat {
                        session_id: name(chat), agent_id: agent.to_string(), agent: Speaker::Session(agent),
                        origin: Party::Session(origin), ear: book.next_serial, stream: true,
                    };
                    let running = book.chats.contains_key(&name(chat));
                    let opened = book.open(now, new);
                    prop_assert_eq!(opened.is_err(), running);
                    if let Ok(serial) = opened {
                        serials.insert(chat, serial);
                    }
                }
                Op::Live { chat } => {
                    let Some(serial) = serials.get(&chat) else { continue };
                    live.insert(*serial);
                    heard.take(book.go_live(&name(chat), *serial));
                }
                Op::Say { chat, from, kind } => {
                    let delivery = book.event(now, Speaker::Session(from), &name(chat), kind, members(kind));
                    heard.take(delivery);
                }
                Op::Cancel { chat, by, host } => {
                    let cut = book.cancel(&name(chat), Party::Session(by), host);
                    heard.take(cut.ok().flatten().and_then(|cut| cut.delivery));
                }
                Op::Gone { session } => {
                    let (_, ended) = book.session_gone(session);
                    ended.into_iter().for_each(|cut| heard.take(cut.delivery));
                    let left = book.chats.values().any(|it| it.origin == Party::Session(session));
                    prop_assert!(!left, "a chat outlived whoever began it");
                    // Ends for whoever has left are heard by nobody.
                    let waits = |id: &str, serial| {
                        book.chats.get(id).is_some_and(|it| it.serial == serial)
                    };
                    heard.waiting.retain(|(id, serial, _)| waits(id, *serial));
                }
                Op::Room => heard.room(&mut book),
                Op::Sweep { later } => {
                    now += later;
                    book.sweep(now, 900).into_iter().for_each(|cut| heard.take(cut.delivery));
                }
            }
            for (serial, events) in &heard.all {
                prop_assert!(events.is_empty() || live.contains(serial), "heard before the reply");
                prop_assert!(events.windows(2).all(|two| two[0].0 < two[1].0), "{:?}", events);
                let ends = events.iter().filter(|(_, ends)| *ends).count();
                prop_assert!(ends <= 1, "ended twice");
                prop_assert!(ends == 0 || events.last().is_some_and(|last| last.1));
            }
        }
    }
}

fn open(book: &mut Book<u64>, stream: bool) -> u64 {
    let new = NewChat {
        session_id: "c".into(),
        agent_id: "a".into(),
        agent: AGENT,
        origin: Party::Session(2),
        ear: 0,
        stream,
    };
    book.open(0, new).unwrap()
}

#[test]
fn what_is_held_is_bounded_and_the_end_is_kept_all_the_same() {
    let mut book = Book::default();
    let serial = open(&mut book, true);
    for _ in 0..300 {
        book.event(0, AGENT, "c", "token", members("token")).unwrap();
    }
    book.event(0, AGENT, "c", "done", Map::new()).unwrap();
    assert!(book.event(0, AGENT, "c", "token", Map::new()).is_none());
    let Delivery { events, ending, .. } = book.go_live("c", serial).unwrap();
    assert_eq!(events.len(), HELD_EVENTS);
    let ending = ending.unwrap().event;
    assert_eq!(ending.seq, 301, "the lost ones show as a gap");
    assert_eq!(ending.members["text"], "x".repeat(300));
    assert_eq!(book.event(0, AGENT, "c", "token", Map::new()).map(|_| ()), None);
    book.withdraw("c", serial);
    assert!(book.chats.is_empty());

    let serial = open(&mut book, true);
    let large = Map::from_iter([("delta".to_owned(), Value::from("y".repeat(1 << 20)))]);
    for _ in 0..10 {
        book.event(0, AGENT, "c", "token", large.clone()).unwrap();
    }
    let text = book.chats["c"].text.text.len();
    assert_eq!(text, TEXT_BYTES);
    assert_eq!(book.go_live("c", serial).unwrap().events.len(), 3, "4 MiB are held");
}

#[test]
fn an_open_approval_gives_a_silent_chat_an_hour() {
    let mut book = Book::default();
    open(&mut book, true);
    book.event(10, AGENT, "c", "approval_pending", members("approval_pending")).unwrap();
    assert!(book.sweep(10 + IDLE_WITH_APPROVAL - 1, 900).is_empty());
    let serial = book.chats["c"].serial;
    assert_eq!(book.decide(20, "c", "a", Party::Session(2), false), Ok((0, serial)));
    assert_eq!(
        book.decide(30, "c", "a", Party::Session(2), false),
        Err(ChatError::Decided("a".into()))
    );
    book.reopen("c", serial + 1, "a");
    assert!(book.decide(30, "c", "a", Party::Inside, true).is_err(), "another chat's failure");
    book.reopen("c", serial, "a");
    assert_eq!(book.decide(3000, "c", "a", Party::Inside, true), Ok((0, serial)));
    assert!(book.sweep(3000 + 899, 900).is_empty(), "the agent has time to go on");
    assert_eq!(book.sweep(3000 + 900, 900).len(), 1);
}

#[test]
fn an_ending_of_an_earlier_chat_of_the_same_id_touches_nothing() {
    let mut book = Book::default();
    let first = open(&mut book, true);
    book.withdraw("c", first);
    let second = open(&mut book, true);
    assert!(book.go_live("c", first).is_none());
    book.withdraw("c", first);
    assert!(book.go_live("c", second).is_some());
}

#[test]
fn an_end_that_waits_for_room_keeps_the_id_and_counts() {
    let mut book = Book::default();
    let first = open(&mut book, true);
    book.go_live("c", first).unwrap();
    let ending = book.event(0, AGENT, "c", "done", Map::new()).unwrap().ending.unwrap();
    assert_eq!((ending.event.kind.as_str(), ending.why), ("done", None));
    let again = |book: &mut Book<u64>, id: &str| {
        let new = NewChat {
            session_id: id.into(),
            agent_id: "a".into(),
            agent: AGENT,
            origin: Party::Session(2),
            ear: 0,
            stream: true,
        };
        book.open(0, new)
    };
    assert_eq!(again(&mut book, "c"), Err(ChatError::Running("c".into())));
    for n in 1..MAX_OF_AGENT {
        again(&mut book, &n.to_string()).unwrap();
    }
    let (limit, got) = (MAX_OF_AGENT, MAX_OF_AGENT + 1);
    let full = ChatError::Limit { what: "chats with one agent", limit, got };
    assert_eq!(again(&mut book, "more"), Err(full));
    assert_eq!(book.cancel("c", Party::Session(2), false).unwrap().map(|it| it.session_id), None);
    assert!(book.sweep(900, 900).iter().all(|it| it.session_id != "c"));
    assert!(!book.is_anothers("c", Party::Session(3), false) && !book.runs("c"));
    book.withdraw("c", first);
    assert!(again(&mut book, "c").is_ok());
}

#[test]
fn an_end_says_whether_the_host_made_it() {
    let mut book = Book::default();
    let serial = open(&mut book, true);
    book.go_live("c", serial).unwrap();
    let cut = book.fail("c", AGENT, "too large").unwrap();
    let ending = cut.delivery.and_then(|it| it.ending).unwrap();
    assert_eq!(
        (ending.why, &ending.event.members["error"]),
        (Some("too large"), &json!("too large"))
    );
    book.withdraw("c", serial);
    let serial = open(&mut book, true);
    book.go_live("c", serial).unwrap();
    let said =
        Map::from_iter([("error".to_owned(), Value::Null), ("delta".to_owned(), json!("x"))]);
    let ending = book.event(0, AGENT, "c", "error", said).unwrap().ending.unwrap();
    assert_eq!((ending.why, &ending.event.members["error"]), (None, &json!("x")));
}

#[test]
fn a_run_is_never_stale_and_no_earlier_run_of_the_same_chat_speaks_in_it() {
    let mut book = Book::default();
    let run = |number| NewChat {
        session_id: "c".into(),
        agent_id: "a".into(),
        agent: Speaker::Run(number),
        origin: Party::Session(2),
        ear: 0,
        stream: true,
    };
    book.open(0, run(1)).unwrap();
    assert!(book.sweep(1_000_000, 900).is_empty());
    assert_eq!(book.ear("c", Party::Session(3), false), Err(ChatError::NotOriginator));
    assert_eq!(book.ear("c", Party::Session(2), false), Ok(Some(0)));
    assert_eq!(book.session_gone(2).0.len(), 1);
    book.open(0, run(2)).unwrap();
    assert!(book.event(0, Speaker::Run(1), "c", "done", Map::new()).is_none());
    assert!(book.event(0, Speaker::Run(2), "c", "done", Map::new()).is_some());
    assert_eq!(book.ear("c", Party::Session(2), false), Ok(None), "it has ended");
}
