//! How well facts are found, with the walk and without.

use carport_bench_dispatch::{Error, stats};
use carport_memory_graph::{Snapshot, Weights};

use crate::{
    LEXICAL, ask, facts,
    fts5::Fts5,
    set::{self, Kind, Question},
};

/// Facts that are looked at for the first relevant one.
const DEEP: usize = 100;

/// What is compared.
#[derive(Clone, Copy)]
enum Arm {
    Fts5,
    Ranking(Weights),
}

const ARMS: [(&str, Arm); 4] = [
    ("SQLite FTS5", Arm::Fts5),
    ("lexical only", Arm::Ranking(LEXICAL)),
    ("walk alone", Arm::Ranking(Weights { coverage: 0.0, bm25: 0.0, reached: 1.0 })),
    ("graph walk", Arm::Ranking(Weights { coverage: 0.5, bm25: 0.3, reached: 0.2 })),
];

/// Sums over questions.
#[derive(Default)]
struct Sums {
    questions: f64,
    recall: f64,
    reciprocal: f64,
    ndcg: f64,
    complete: f64,
}

pub(crate) fn measure() -> Result<(), Error> {
    let (told, questions) = (set::facts()?, set::questions()?);
    let graph = facts::graph(&told)?.snapshot();
    let fts5 = Fts5::of(&told, None)?;
    println!("{} facts, {} questions\n", told.len(), questions.len());
    let mut rows = Vec::new();
    for (name, kinds) in [
        ("single-hop", &[Kind::One][..]),
        ("multi-hop", &[Kind::Shared, Kind::Chained]),
        ("- shared subject", &[Kind::Shared]),
        ("- chained", &[Kind::Chained]),
    ] {
        for (arm_name, arm) in ARMS {
            let mut sums = Sums::default();
            for question in questions.iter().filter(|it| kinds.contains(&it.kind)) {
                sums.add(question, &find(arm, &graph, &fts5, &question.text)?);
            }
            rows.push(sums.row(name, arm_name));
        }
    }
    let header = ["questions", "n", "arm", "recall@5", "MRR", "nDCG@10", "all in 5"];
    stats::table(header, rows);
    Ok(())
}

/// The places of the facts that are found, the best first.
fn find(arm: Arm, graph: &Snapshot, fts5: &Fts5, text: &str) -> Result<Vec<usize>, Error> {
    match arm {
        Arm::Fts5 => fts5.find(text, DEEP),
        Arm::Ranking(weights) => {
            let hits = graph.rank_by(weights, &ask(text), DEEP);
            Ok(hits.iter().filter_map(|hit| facts::place(&hit.fact.fact_id)).collect())
        }
    }
}

impl Sums {
    fn add(&mut self, question: &Question, found: &[usize]) {
        let relevant = question.relevant.len();
        let is_relevant = |place: &usize| question.relevant.contains(place);
        let in_five = found.iter().take(5).filter(|it| is_relevant(it)).count();
        self.questions += 1.0;
        self.recall += in_five as f64 / relevant as f64;
        self.complete += f64::from(u8::from(in_five == relevant));
        let first = found.iter().position(&is_relevant);
        self.reciprocal += first.map_or(0.0, |at| 1.0 / (at as f64 + 1.0));
        // A fact is relevant or is not: a gain of 1 or 0, over the binary logarithm of its rank and one.
        let gain = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let gained = found.iter().take(10).enumerate().filter(|it| is_relevant(it.1));
        let most: f64 = (0..relevant.min(10)).map(gain).sum();
        self.ndcg += gained.map(|it| gain(it.0)).sum::<f64>() / most;
    }

    fn row(&self, name: &str, arm: &str) -> [String; 7] {
        let mean = |sum: f64| format!("{:.3}", sum / self.questions);
        let figures = [self.recall, self.reciprocal, self.ndcg, self.complete].map(mean);
        let [recall, reciprocal, ndcg, complete] = figures;
        let n = format!("{}", self.questions);
        [name.into(), n, arm.into(), recall, reciprocal, ndcg, complete]
    }
}
