//! How long queries, contexts and writes take on graphs of 1000, 10 000 and 100 000 made-up facts.
//!
//! `cargo run --release -p carport-memory-graph --example latency`

use std::time::{Duration, Instant};

use carport_core::Time;
use carport_memory_api::NewFact;
use carport_memory_graph::{Ask, ContextAsk, Graph, Limits, Utility};

/// Numbers that look random and are the same each time (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// A word as rare as in a language: the chance of the *n*-th is about `1 / n`.
    fn word(&mut self) -> String {
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        format!("w{}", 60_000f64.powf(share) as u64)
    }

    fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

fn main() {
    for facts in [1000, 10_000, 100_000] {
        measure(facts);
    }
}

fn new_fact(numbers: &mut Numbers, facts: u64) -> NewFact {
    let words = 6 + numbers.below(20);
    let subject = format!("{} s{}", numbers.word(), numbers.below(facts / 3 + 1));
    let tags = (0..numbers.below(3)).map(|_| format!("tag{}", numbers.below(200))).collect();
    NewFact { tags, ..NewFact::new(subject, numbers.text(words)) }
}

fn measure(facts: u64) {
    let mut numbers = Numbers(0x5eed);
    let mut graph = Graph::new(Limits::DISK);
    let start = Instant::now();
    for at in 0..facts {
        add(&mut graph, &mut numbers, facts, at);
    }
    println!("\n{facts} facts: made in {:.2?}, {} MiB", start.elapsed(), graph.bytes() >> 20);

    let utility = Utility::default();
    for (name, words) in
        [("query of 1 word", 1), ("query of 4 words", 4), ("query of 12 words", 12)]
    {
        let now = graph.snapshot();
        times(name, 300, || {
            let text = numbers.text(words);
            let start = Instant::now();
            let ask = Ask { text: &text, tenant: None, turns: false, utility };
            let hits = now.rank(&ask, 5, |_| true);
            (start.elapsed(), hits.len())
        });
    }
    let now = graph.snapshot();
    for (name, fast) in [("context", false), ("fast context", true)] {
        times(name, 100, || {
            let text = numbers.text(6);
            let ask = ContextAsk { text: &text, window: None, agent: None, tenant: None, utility };
            let start = Instant::now();
            let context = if fast { now.context_fast(&ask) } else { now.context(&ask) };
            (start.elapsed(), context.len())
        });
    }
    let mut at = facts;
    times("write while a snapshot is held", 300, || {
        let held = graph.snapshot();
        at += 1;
        let start = Instant::now();
        add(&mut graph, &mut numbers, facts, at);
        (start.elapsed(), held.fact_count(None))
    });
}

fn add(graph: &mut Graph, numbers: &mut Numbers, facts: u64, at: u64) {
    let new = new_fact(numbers, facts);
    match graph.plan_add(new, Time::default(), || format!("ws-{at:036}")) {
        Ok(planned) => graph.apply(planned.line),
        // The last writes find a full graph; what is full is measured as well.
        Err(full) => drop(full.to_string()),
    }
}

/// Prints the median and the 99th percentile.
fn times(name: &str, count: usize, mut once: impl FnMut() -> (Duration, usize)) {
    let mut all = Vec::new();
    let mut found = 0;
    for _ in 0..count {
        let (took, size) = once();
        all.push(took);
        found += size;
    }
    all.sort();
    let at = |share: usize| all[(all.len() * share / 100).min(all.len() - 1)];
    println!("{name:32} p50 {:9.2?}  p99 {:9.2?}  average size {}", at(50), at(99), found / count);
}
