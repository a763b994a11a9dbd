//! The memory that a graph says it takes, held against an allocator that counts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::alloc::System;

use carport_core::Time;
use carport_memory_api::{NewFact, Turn};
use carport_memory_graph::{Graph, Limits, Line, Which};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated since a region began and not given back.
fn taken(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.bytes_allocated - change.bytes_deallocated
}

/// A word that is the rarer the larger its number is, from a number that decides it.
fn word(seed: u64) -> String {
    let mixed = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let rank = 40_000f64.powf((mixed >> 11) as f64 / (1u64 << 53) as f64) as u64;
    format!("word{rank}")
}

fn text(seed: u64, words: u64) -> String {
    (0..words).map(|at| word(seed * 1000 + at)).collect::<Vec<_>>().join(" ")
}

fn filled(facts: u64, words: u64, tenants: u64, tags: u64) -> Graph {
    let mut graph = Graph::new(Limits { facts: usize::MAX, bytes: usize::MAX });
    for at in 0..facts {
        let new = NewFact {
            tenant_id: (tenants > 0).then(|| format!("tenant-{}", at % tenants)),
            tags: (0..tags).map(|tag| word(at + tag)).collect(),
            ..NewFact::new(format!("subject {}", at / 3), text(at, words))
        };
        let planned = graph.plan_add(new, Time::default(), || format!("ws-{at:036}")).unwrap();
        graph.apply(planned.line);
    }
    graph
}

fn holds(name: &str, make: impl FnOnce() -> Graph) {
    let region = Region::new(ALLOCATOR);
    let graph = make();
    let (taken, says) = (taken(&region), graph.bytes());
    let share = says as f64 / taken as f64;
    println!("{name}: says {says}, takes {taken}, {share:.2}");
    assert!((1.0..2.0).contains(&share), "{name}: says {says}, takes {taken}");
}

/// One test, for others would allocate beside it.
#[test]
fn a_graph_takes_no_more_than_it_says_and_no_less_than_half() {
    holds("short facts", || filled(5000, 8, 0, 0));
    holds("long facts", || filled(500, 400, 0, 4));
    holds("many tenants", || filled(4000, 10, 50, 1));
    holds("turns", || {
        let mut graph = Graph::new(Limits::DISK);
        for at in 0..3000 {
            let key = format!("meeting-1-turn-{at}");
            let (speaker, origin) = ("Ana".to_owned(), "meeting-1".to_owned());
            let turn = Turn { key, speaker, text: text(at, 20), at: Time::default(), origin };
            graph.apply(Line::Turn(turn));
        }
        graph
    });
    holds("what is left of many", || {
        let mut graph = filled(4000, 12, 0, 1);
        for at in (0..4000u64).filter(|at| at % 3 == 0) {
            graph.apply(Line::Del(Which::new(format!("ws-{at:036}").into(), None)));
        }
        graph
    });
}
