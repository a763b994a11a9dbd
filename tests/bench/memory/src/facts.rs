//! Facts, told or made up, and graphs of them.

use carport_bench_dispatch::Error;
use carport_core::Time;
use carport_memory_api::NewFact;
use carport_memory_graph::{Graph, Limits, Line};

/// A fact without what the host adds. Its place among others becomes its id.
pub(crate) struct Told {
    pub(crate) subject: String,
    pub(crate) body: String,
}

/// The line that adds a fact to a graph and to its file.
pub(crate) fn add(graph: &mut Graph, place: usize, told: &Told) -> Result<Line, Error> {
    let new = NewFact {
        fact_id: Some(format!("ws-{place:036}")),
        ..NewFact::new(told.subject.as_str(), told.body.as_str())
    };
    let line = graph.plan_add(new, Time::default(), String::new)?.line;
    graph.apply(line.clone());
    Ok(line)
}

/// A graph of these facts.
pub(crate) fn graph(facts: &[Told]) -> Result<Graph, Error> {
    let mut graph = Graph::new(Limits::DISK);
    for (place, told) in facts.iter().enumerate() {
        add(&mut graph, place, told)?;
    }
    Ok(graph)
}

/// The place of the fact with this id.
pub(crate) fn place(id: &str) -> Option<usize> {
    id.strip_prefix("ws-")?.parse().ok()
}

/// Makes up texts, the same each time: xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016).
pub(crate) struct MadeUp(u64);

impl MadeUp {
    pub(crate) fn new() -> Self {
        Self(0x5eed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// So many numbers from -1 to 1.
    pub(crate) fn numbers(&mut self, count: usize) -> Vec<f32> {
        let number = |_| (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..count).map(number).collect()
    }

    /// A word as rare as in a language: the chance of the *n*-th of 60,000 is about `1 / n`.
    fn word(&mut self) -> String {
        let share = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        format!("w{}", 60_000f64.powf(share) as u64)
    }

    /// So many words.
    pub(crate) fn text(&mut self, words: u64) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// Bodies of 6 to 25 words; three facts share a subject, on average.
    pub(crate) fn facts(&mut self, count: usize) -> Vec<Told> {
        let told = |_| {
            let subject = format!("{} s{}", self.word(), self.next() % (count as u64 / 3 + 1));
            let words = 6 + self.next() % 20;
            Told { subject, body: self.text(words) }
        };
        (0..count).map(told).collect()
    }
}
