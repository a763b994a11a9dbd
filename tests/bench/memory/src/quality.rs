//! How well facts are found, with the walk and without.

use std::path::PathBuf;

use carport_bench_dispatch::{Error, stats};
use carport_memory_graph::{Ask, Meaning, Snapshot, Weights};

use crate::{
    LEXICAL, ask, facts,
    fts5::Fts5,
    measures::Sums,
    model,
    set::{self, Kind},
};

/// What is measured beside words and the walk.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A directory with a BERT sentence encoder, for the arms with embeddings
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// Facts that are looked at for the first relevant one.
const DEEP: usize = 100;

/// What is compared.
#[derive(Clone, Copy)]
enum Arm {
    Fts5,
    Ranking(Weights),
    /// The cosine and nothing else.
    Nearest,
    /// The ranking of a graph that knows what its facts mean.
    Meaning(Weights),
}

const ARMS: [(&str, Arm); 7] = [
    ("SQLite FTS5", Arm::Fts5),
    ("lexical only", Arm::Ranking(LEXICAL)),
    ("walk alone", Arm::Ranking(Weights { coverage: 0.0, bm25: 0.0, reached: 1.0 })),
    ("graph walk", Arm::Ranking(Weights { coverage: 0.5, bm25: 0.3, reached: 0.2 })),
    ("embeddings alone", Arm::Nearest),
    ("embeddings + words", Arm::Meaning(LEXICAL)),
    ("embeddings + walk", Arm::Meaning(Weights { coverage: 0.5, bm25: 0.3, reached: 0.2 })),
];

/// What a question is put to.
struct Bench {
    graph: Snapshot,
    fts5: Fts5,
    /// With `--model`.
    meant: Option<Meant>,
}

/// What facts, by their places, and questions mean.
struct Meant {
    graph: Snapshot,
    facts: Vec<Meaning>,
    questions: Vec<Meaning>,
}

pub(crate) fn measure(args: &Args) -> Result<(), Error> {
    let (told, questions) = (set::facts()?, set::questions()?);
    let graph = facts::graph(&told)?.snapshot();
    let meant = args.model.as_ref().map(|directory| {
        let texts: Vec<String> =
            told.iter().map(|told| format!("{}: {}", told.subject, told.body)).collect();
        let asked: Vec<String> = questions.iter().map(|it| it.text.clone()).collect();
        let facts = model::meanings(directory, &texts)?;
        let mut graph = facts::graph(&told)?;
        model::tell(&mut graph, &facts)?;
        let questions = model::meanings(directory, &asked)?;
        Ok::<_, Error>(Meant { graph: graph.snapshot(), facts, questions })
    });
    let bench = Bench { graph, fts5: Fts5::of(&told, None)?, meant: meant.transpose()? };
    println!("{} facts, {} questions\n", told.len(), questions.len());
    let mut rows = Vec::new();
    for (name, kinds) in [
        ("single-hop", &[Kind::One][..]),
        ("multi-hop", &[Kind::Shared, Kind::Chained]),
        ("- shared subject", &[Kind::Shared]),
        ("- chained", &[Kind::Chained]),
    ] {
        for (arm_name, arm) in ARMS {
            // Without a model some arms find nothing out.
            let needs_model = matches!(arm, Arm::Nearest | Arm::Meaning(_));
            if needs_model && bench.meant.is_none() {
                continue;
            }
            let mut sums = Sums::default();
            let of_kind = questions.iter().enumerate().filter(|it| kinds.contains(&it.1.kind));
            for (number, question) in of_kind {
                let found = bench.find(arm, number, &question.text)?;
                found.into_iter().for_each(|found| sums.add(&question.relevant, &found));
            }
            rows.push(sums.row(name, arm_name));
        }
    }
    let header = ["questions", "n", "arm", "recall@5", "MRR", "nDCG@10", "all in 5"];
    stats::table(header, rows);
    Ok(())
}

impl Bench {
    /// The places of the facts that are found, the best first; `None` if the arm needs a model.
    fn find(&self, arm: Arm, number: usize, text: &str) -> Result<Option<Vec<usize>>, Error> {
        let places = |graph: &Snapshot, weights: Weights, ask: &Ask<'_>| {
            let hits = graph.rank_by(weights, ask, DEEP);
            hits.iter().filter_map(|hit| facts::place(&hit.fact.fact_id)).collect()
        };
        Ok(match (arm, &self.meant) {
            (Arm::Fts5, _) => Some(self.fts5.find(text, DEEP)?),
            (Arm::Ranking(weights), _) => Some(places(&self.graph, weights, &ask(text))),
            (Arm::Nearest, Some(meant)) => Some(meant.nearest(number)),
            (Arm::Meaning(weights), Some(meant)) => {
                let meaning = Some(&meant.questions[number]);
                Some(places(&meant.graph, weights, &Ask { meaning, ..ask(text) }))
            }
            (Arm::Nearest | Arm::Meaning(_), None) => None,
        })
    }
}

impl Meant {
    fn nearest(&self, question: usize) -> Vec<usize> {
        let asked = &self.questions[question];
        let mut places: Vec<(usize, f32)> =
            self.facts.iter().map(|it| it.cosine(asked)).enumerate().collect();
        places.sort_by(|a, b| b.1.total_cmp(&a.1));
        places.into_iter().take(DEEP).map(|it| it.0).collect()
    }
}
