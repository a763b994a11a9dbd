//! How well facts are found, with the walk and without.

use carport_bench_dispatch::{Error, stats};
use carport_memory_graph::{Snapshot, Weights};

use crate::{
    LEXICAL, ask, facts,
    fts5::Fts5,
    measures::Sums,
    set::{self, Kind},
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
                sums.add(&question.relevant, &find(arm, &graph, &fts5, &question.text)?);
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
